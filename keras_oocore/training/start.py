"""From the arguments of a user to a running training: checks them, locks the directory, and starts or resumes."""

import contextlib
import os
import tempfile
from collections.abc import Callable
from typing import Any

import keras

from keras_oocore.core.checks import positive
from keras_oocore.core.errors import OptionError
from keras_oocore.core.files import absolute_path
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.sequences.padded_data import require_exact, require_purpose
from keras_oocore.training.arguments import DEFAULTS
from keras_oocore.training.content import require_content
from keras_oocore.training.run import TrainingRun
from keras_oocore.training.shares import processes_of
from keras_oocore.training.signals import StopSignal, deferred_signals
from keras_oocore.training.stages import Stage
from keras_oocore.training.state.checkpoints import exclusive, require_own_directory
from keras_oocore.training.state.model import require_compiled

ONLY_IN_FIRST = (  # callbacks that write, and do not change the training
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.RemoteMonitor,
    keras.callbacks.TensorBoard,
)


def train(
    function: Callable[..., Any],
    model: keras.Model | Callable[[], keras.Model],
    stages: list[Stage],
    checkpoint: str | os.PathLike[str] | None,
    arguments: dict[str, Any],
) -> keras.callbacks.History:
    """Train through all stages, and return the history of the whole training.

    Args:
        function: The function that the user called.
        model: A compiled model, or a function that returns one.
        stages: The stages of the training.
        checkpoint: The directory for checkpoints, or `None` to save nothing.
        arguments: The `TrainingArguments`, and other arguments of `fit`.
    """
    fit_options = dict(arguments)
    for name in ("validation_steps", "validation_batch_size", "validation_freq", "class_weight"):
        if fit_options[name] == DEFAULTS[name]:
            del fit_options[name]  # Keras's own default
    del fit_options["validation_data"]  # each stage has its own
    save_every_batches, keep = fit_options.pop("save_every_batches"), fit_options.pop("keep")
    callbacks, verbose = _callback_list(fit_options.pop("callbacks")), fit_options.pop("verbose")
    for stage in stages:
        require_data(stage.data, stage.validation_data)
        require_purpose(stage.data, stage.validation_data)
    if save_every_batches is not None:
        save_every_batches = positive(save_every_batches, "save_every_batches")
    if fit_options["steps_per_epoch"] is not None:
        fit_options["steps_per_epoch"] = positive(fit_options["steps_per_epoch"], "steps_per_epoch")
    if isinstance(fit_options.get("class_weight"), str):
        raise OptionError(
            "`class_weight` of `fit` is a dictionary; the Sequence takes class_weight='balanced'. "
            f"Received: class_weight={fit_options['class_weight']!r}"
        )
    processes = processes_of(stages)
    for stage in stages:
        if isinstance(stage.validation_data, OutOfCoreSequence):
            stage.validation_data.require_evaluation()
    with contextlib.ExitStack() as stack:
        if not processes.is_first:
            callbacks, verbose = _without_writing(callbacks, stack), 0
        directory = checkpoints = found = None
        if checkpoint is not None:
            directory = absolute_path(checkpoint, "checkpoint")
            with processes.all_or_none():
                if processes.is_first:
                    require_own_directory(directory)
                    checkpoints = stack.enter_context(exclusive(directory, keep))
                    found = checkpoints.latest(require_content)
        if not isinstance(model, keras.Model) and callable(model):
            model = model()
        require_compiled(model)
        validation_data = [stage.validation_data for stage in stages]
        require_exact(model, validation_data, "validation_data", fit_options.get("validation_steps"))
        training = TrainingRun(
            function.__name__,
            model,
            stages,
            processes,
            directory,
            checkpoints,
            save_every_batches,
            callbacks,
            verbose,
            fit_options,
        )
        training.begin(found)
        return training.run(
            StopSignal() if directory is None else stack.enter_context(deferred_signals(processes.count))
        )


def _without_writing(callbacks: list[Any], stack: contextlib.ExitStack) -> list[Any]:
    """Return the callbacks of a process other than the first, which keep no file."""
    kept = []
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.ModelCheckpoint) and keras.backend.backend() == "jax":
            # Keras copies a variable to all processes of JAX when it saves a model, so all of them save together.
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="keras_oocore-"))
            callback.filepath = os.path.join(folder, os.path.basename(callback.filepath))
            kept.append(callback)
        elif not isinstance(callback, ONLY_IN_FIRST):
            kept.append(callback)
    return kept


def require_data(x: Any, validation_data: Any) -> None:
    """Raise an error if the position in the data cannot be saved.

    Raises:
        OptionError: If `x` is not a Sequence of keras_oocore, or is also the validation data.
    """
    if not isinstance(x, OutOfCoreSequence):
        raise OptionError(
            "`x` should be a Sequence of keras_oocore, whose position can be saved. For arrays, use "
            f"ko.ArraySequence(x, y). Received: {type(x).__name__}"
        )
    if x is validation_data:
        raise OptionError("Use one Sequence for training and another for validation. Received: the same for both")


def _callback_list(callbacks) -> list[keras.callbacks.Callback]:
    if callbacks is None:
        return []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    callbacks = keras.tree.flatten(callbacks)
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise OptionError(f"`callbacks` should be objects of keras.callbacks. Received: {callback!r}")
    if any(isinstance(callback, keras.callbacks.BackupAndRestore) for callback in callbacks):
        raise OptionError("Remove `BackupAndRestore`: `checkpoint` saves the training, and the two would disagree.")
    return callbacks
