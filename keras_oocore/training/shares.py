"""Which processes train together, as their data say, and what several processes cannot train on."""

import sys

import keras

from keras_oocore.core.errors import OptionError
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.sequences.shards import Shard, require_averaged_gradients
from keras_oocore.training.processes import JaxEngine, Processes, TorchEngine
from keras_oocore.training.stages import Stage


def processes_of(stages: list[Stage]) -> Processes:
    """Return the processes that train together: as many as the data have shards.

    Raises:
        OptionError: If the data are not the share of this process, or Keras does not train on several processes.
    """
    shard, running = stages[0].data.cursor.shard, _running()
    for stage in stages:
        title = f" of {stage.title}" if stage.note is not None and stage.note[0] == "phase" else ""
        _require_share(f"The Sequence to train on{title}", stage.data, shard, running)
        if isinstance(stage.validation_data, OutOfCoreSequence):
            _require_share(f"`validation_data`{title}", stage.validation_data, shard, running)
    if shard is None or shard.num_shards == 1:
        return Processes(None)
    _require_running(shard, running)
    for stage in stages:
        stage.data.require_all_indices()
        require_averaged_gradients(stage.data.cursor.shard)
    return Processes(JaxEngine() if keras.backend.backend() == "jax" else TorchEngine())


def _running() -> tuple[int, int]:
    """Return the number of this process, and the number of processes that Keras or torch trains on."""
    if keras.backend.backend() == "jax":
        count = getattr(keras.distribution.distribution(), "num_processes", 1)
        if count > 1:
            import jax

            return jax.process_index(), count
    elif keras.backend.backend() == "torch":
        distributed = sys.modules["torch"].distributed
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _require_share(owner: str, data: OutOfCoreSequence, shard: Shard | None, running: tuple[int, int]) -> None:
    """Check that `data` are divided like the data of the first stage."""
    own = data.cursor.shard
    if own is None and running[1] > 1 and (shard is None or shard.num_shards > 1):
        raise OptionError(
            f"{owner} is a whole Sequence, and this is one of {running[1]} processes: each would read all samples. "
            "Use the share of this process: call `.shard()` of the Sequence"
        )
    numbers, expected = ((0, 1) if one is None else one[:2] for one in (own, shard))
    if numbers != expected:
        raise OptionError(
            f"All Sequences of a training should be the same shard. {owner} is {_in_words(own)}, and the first "
            f"Sequence to train on is {_in_words(shard)}."
        )


def _in_words(shard: Shard | None) -> str:
    return "a whole Sequence" if shard is None else f"shard {shard.index} of {shard.num_shards}"


def _require_running(shard: Shard, running: tuple[int, int]) -> None:
    """Check that the shard is that of this process."""
    index, count = running
    if count == 1:
        backend = keras.backend.backend()
        remedy = {
            "jax": "Call keras.distribution.initialize and keras.distribution.set_distribution first.",
            "torch": "Call torch.distributed.init_process_group first.",
        }.get(backend, f"On {backend}, `fit` cannot train on several: write a training loop, or use JAX or torch.")
        raise OptionError(
            f"The Sequence is shard {shard.index} of {shard.num_shards}, but Keras trains in one process. {remedy} To "
            "train in one process, use the whole Sequence."
        )
    if (index, count) != (shard.index, shard.num_shards):
        raise OptionError(
            f"This is process {index} of {count}, and the Sequence is shard {shard.index} of {shard.num_shards}. Use "
            f"shard({index}, {count}), or shard() without arguments."
        )
