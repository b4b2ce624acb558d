"""The share of one process in every batch: which process this is, and what several processes cannot have."""

import sys
from typing import NamedTuple

import keras

from keras_oocore.batches.options import BatchOptions
from keras_oocore.core.checks import boolean, is_integer
from keras_oocore.core.errors import OptionError

AVERAGES_ON_TORCH = (3, 16)  # from this version of Keras, `fit` on torch averages the gradients of all processes


class Shard(NamedTuple):
    """Which shard a Sequence is.

    Attributes:
        index: Number of the shard.
        num_shards: Number of shards.
        found_by: What told these numbers, or `None` if the user did.
        gradients_averaged: Whether the script averages the gradients of all processes.
    """

    index: int
    num_shards: int
    found_by: str | None
    gradients_averaged: bool

    def __str__(self) -> str:
        found = f" (by {self.found_by})" if self.found_by else ""
        return f"{self.index} of {self.num_shards}{found}"


def checked_shard(index: int | None, num_shards: int | None, gradients_averaged: bool, options: BatchOptions) -> Shard:
    """Return the shard that the arguments of `shard` choose.

    Args:
        index, num_shards: The arguments. If both are `None`, they are those of this process.
        gradients_averaged: The argument.
        options: Options of the Sequence of all shards.

    Raises:
        OptionError: If an argument is not valid, or the batches cannot be divided.
    """
    gradients_averaged = boolean(gradients_averaged, "gradients_averaged")
    found_by = None
    if index is None and num_shards is None:
        index, num_shards, found_by = this_process()
    if not is_integer(num_shards) or num_shards < 1:
        raise OptionError(f"`num_shards` should be a number of shards, 1 or more. Received: num_shards={num_shards!r}")
    if not is_integer(index) or not 0 <= index < num_shards:
        raise OptionError(f"`index` should be from 0 to {num_shards - 1}. Received: index={index!r}")
    if options.batch_size % num_shards:
        raise OptionError(
            f"`batch_size` is the size of the batches of all shards together, so {num_shards} shards should divide "
            f"it. Received: batch_size={options.batch_size}"
        )
    if num_shards > 1 and options.seed_is_drawn and (options.shuffle or options.transform is not None):
        raise OptionError(
            "The processes need one order, and each process would draw a seed of its own. Pass seed=0, or another "
            "number, to the Sequence."
        )
    if num_shards > 1 and options.on_error == "skip":
        raise OptionError(
            'on_error="skip" gives the shards of a batch different sizes, which stops some backends forever. Use '
            'on_error="replace", or on_error="raise".'
        )
    return Shard(int(index), int(num_shards), found_by, gradients_averaged)


def require_equal_batches(num_samples: int, options: BatchOptions, num_shards: int) -> None:
    """Check that all shards of the last batch have the same size.

    Raises:
        OptionError: If they have not.
    """
    last = num_samples % options.batch_size
    if last % num_shards and options.last_batch == "keep":
        raise OptionError(
            f"The last batch has {last} samples, which {num_shards} shards cannot divide. With different numbers of "
            f'samples, some backends stop forever. Use last_batch="drop", or a number of samples that {num_shards} '
            "divides."
        )


def this_process() -> tuple[int, int, str]:
    """Return the number of this process, the number of processes, and what told them.

    Raises:
        OptionError: If neither is initialized.
    """
    distribution = keras.distribution.distribution()
    if getattr(distribution, "num_processes", 1) > 1:
        num_shards = min(distribution.num_model_replicas, distribution.num_processes)
        return distribution.data_shard_id, num_shards, "keras.distribution"
    if (torch := sys.modules.get("torch")) is not None:
        distributed = torch.distributed
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size(), "torch.distributed"
    if distribution is not None:
        return 0, 1, "keras.distribution"
    raise OptionError(
        "`shard()` without arguments takes the number of this process from `keras.distribution` or "
        "`torch.distributed`, and neither is initialized. Call `keras.distribution.set_distribution` or "
        "`torch.distributed.init_process_group` first, or pass the numbers: shard(index, num_shards)"
    )


def require_averaged_gradients(shard: Shard) -> None:
    """Check that Keras averages the gradients of all processes, before the first step of `fit`.

    Raises:
        OptionError: If it does not, or if it has another number of processes.
    """
    distribution = keras.distribution.distribution()
    num_processes = getattr(distribution, "num_processes", 1)
    if num_processes > 1 and num_processes != shard.num_shards:
        raise OptionError(
            f"Keras trains with {num_processes} processes, and this Sequence is a shard of {shard.num_shards}. Use "
            f"shard(process_id, {num_processes})."
        )
    if shard.gradients_averaged or not averages_nothing():
        return
    raise OptionError(
        f"Keras {keras.__version__} does not average the gradients of several processes on torch: each would train a "
        "model of its own, and `evaluate` would return the result of its own shard. Write a training loop with "
        "DistributedDataParallel, or average the gradients in hooks and pass shard(..., gradients_averaged=True)."
    )


def averages_nothing() -> bool:
    """Whether this is one of several processes of torch, and Keras trains each for itself."""
    if keras.backend.backend() != "torch" or tuple(map(int, keras.__version__.split(".")[:2])) >= AVERAGES_ON_TORCH:
        return False
    distributed = sys.modules["torch"].distributed
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
