"""What several processes or devices cannot do with a Sequence, checked before the first step of a call of Keras."""

import sys

import keras

from keras_oocore.core.errors import OptionError
from keras_oocore.core.warn import warn_user
from keras_oocore.sequences.equal_training import require_equal_training
from keras_oocore.sequences.keras_call import KerasCall, keras_call
from keras_oocore.sequences.shards import Shard, found_process

AVERAGES_ON_TORCH = (3, 16)  # from this version of Keras, `fit` on torch averages the gradients of all processes


def require_one_training(
    shard: Shard | None, is_partition: bool, batch_sizes: list[int], method: str | None = None
) -> None:
    """Check that all processes and devices can train, evaluate or predict with a Sequence.

    In `fit`, the same is checked for `validation_data`, which Keras reads after the first epoch only.

    Args:
        shard: Which shard it is, or `None`.
        is_partition: Whether it is a partition.
        batch_sizes: Sizes of its batches, or `[]` if they can have any size.
        method: What will be done with it, such as `"evaluate"`. Defaults to the call of Keras that reads it now.

    Raises:
        OptionError: If they cannot.
    """
    call, process = keras_call(), found_process()
    if method is not None:
        call = KerasCall(method, None if call is None else call.model, {})
    if process is not None and process[1] > 1:
        _check_processes(shard, is_partition, process[1], process[2], call)
    elif shard is not None and shard.num_shards > 1:
        _warn_if_alone(shard, call)
    backend = keras.backend.backend()
    if backend == "jax":
        _check_devices(batch_sizes, call)
    elif backend == "tensorflow":
        _check_strategy(shard, call)
    if call is not None and method is None and call.method == "fit":
        require_evaluation = getattr(call.arguments["validation_data"], "require_evaluation", None)
        if require_evaluation is not None:  # of a Sequence of this package
            require_evaluation()


def _check_processes(
    shard: Shard | None, is_partition: bool, num_processes: int, found_by: str, call: KerasCall | None
) -> None:
    if shard is not None and shard.num_shards not in (1, num_processes):
        raise OptionError(
            f"Keras trains with {num_processes} processes, and this Sequence is a shard of {shard.num_shards}. Use "
            f"shard(index, {num_processes}), or shard() without arguments."
        )
    method = None if call is None else call.method
    if method == "predict" and keras.backend.backend() == "jax" and found_by == "keras.distribution":
        raise OptionError(
            "On JAX, `predict` of Keras does not work with several processes. Call `ko.predict(model, sequence)` in "
            "all processes, with the whole Sequence, or predict in one process."
        )
    if averages_nothing():
        _check_local(shard, method)
        if call is not None and method == "fit":
            require_equal_training(call)
    elif method == "fit" and shard is None and not is_partition:
        warn_user(
            f"{num_processes} processes train, and each reads this whole Sequence: they compute the same. Use "
            "sequence.shard(), the share of this process in every batch, or sequence.shard(0, 1) if each process has "
            "samples of its own."
        )


def _check_local(shard: Shard | None, method: str | None) -> None:
    """Check a call of Keras that knows nothing of the other processes."""
    if method == "fit":
        require_averaged_gradients(shard)
    if method == "evaluate":
        require_averaged_results(shard)


def require_averaged_results(shard: Shard | None) -> None:
    """Check that a shard is not evaluated without the others.

    Raises:
        OptionError: If it is.
    """
    if averages_nothing() and shard is not None and shard.num_shards > 1:
        raise OptionError(
            f"Keras {keras.__version__} does not average results of several processes on torch: each would report the "
            "loss of its own shard, and callbacks could stop one process alone. Evaluate the whole Sequence in all "
            "processes, without `shard`. The same applies to `validation_data`."
        )


def require_averaged_gradients(shard: Shard | None) -> None:
    """Check that Keras or the script averages the gradients of all processes.

    Raises:
        OptionError: If neither Keras nor the script does.
    """
    if averages_nothing() and not (shard is not None and shard.gradients_averaged):
        raise OptionError(
            f"Keras {keras.__version__} does not average the gradients of several processes on torch: each would train "
            "a model of its own. Write a training loop with DistributedDataParallel, or average the gradients in hooks "
            "and pass shard(..., gradients_averaged=True)."
        )


def _warn_if_alone(shard: Shard, call: KerasCall | None) -> None:
    """Warn if one process trains on its share of every batch."""
    if call is not None and call.method == "fit" and not shard.gradients_averaged:
        warn_user(
            f"This process trains alone on shard {shard}, because Keras knows of no other process. Call "
            "`keras.distribution.set_distribution` or `torch.distributed.init_process_group` before `fit`, or pass "
            "shard(..., gradients_averaged=True) if your script averages the gradients."
        )


def _check_devices(batch_sizes: list[int], call: KerasCall | None) -> None:
    """Check that the devices of this process divide every batch."""
    distribution = keras.distribution.distribution()
    num_devices = getattr(distribution, "num_model_replicas", 1) // getattr(distribution, "num_processes", 1)
    if num_devices < 2:
        return
    if not batch_sizes:
        raise OptionError(
            f'on_error="skip" makes batches shorter, so {num_devices} devices may not divide them. Use '
            'on_error="replace", or on_error="raise".'
        )
    if wrong := [size for size in batch_sizes if size % num_devices]:
        which = "The last batch has" if wrong == batch_sizes[-1:] and len(batch_sizes) > 1 else "Batches have"
        remedy = f'Use last_batch="pad" or "drop", or a number of samples that {num_devices} divides.'
        if which == "Batches have":
            remedy = f"Use a `batch_size` that {num_devices} divides."
        elif call is not None and call.method == "predict":
            remedy = "Use `ko.predict(model, sequence)`, which returns a prediction for every sample."
        raise OptionError(
            f"{which} {wrong[-1]} samples, which {num_devices} devices of this process cannot divide. {remedy}"
        )


def _check_strategy(shard: Shard | None, call: KerasCall | None) -> None:
    """Check that a strategy of TensorFlow over several machines can read a Sequence."""
    strategy = None if call is None else getattr(call.model, "distribute_strategy", None)
    if strategy is None or not isinstance(strategy, sys.modules["tensorflow"].distribute.MultiWorkerMirroredStrategy):
        return
    cluster = strategy.cluster_resolver.cluster_spec().as_dict()
    if sum(len(cluster.get(job, [])) for job in ("chief", "worker")) < 2:
        return
    if call.method != "predict":
        raise OptionError(
            f"`{call.method}` of Keras does not work with MultiWorkerMirroredStrategy on several machines "
            "(https://github.com/keras-team/keras/issues/20585). Write a training loop with `strategy.run`: the guide "
            '"Train on several processes" has one.'
        )
    if shard is not None:
        raise OptionError(
            "With MultiWorkerMirroredStrategy, TensorFlow divides the batches of `predict` itself. Pass the whole "
            "Sequence, without `shard`."
        )


def averages_nothing() -> bool:
    """Whether this is one of several processes of torch, and Keras trains each for itself."""
    if keras.backend.backend() != "torch" or averages_on_torch():
        return False
    distributed = sys.modules["torch"].distributed
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def averages_on_torch() -> bool:
    """Whether this version of Keras averages the gradients of all processes of torch in `fit`."""
    return tuple(map(int, keras.__version__.split(".")[:2])) >= AVERAGES_ON_TORCH
