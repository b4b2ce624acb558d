"""What a user passes, checked; then one training, from the lock of its directory to its history."""

import contextlib
import inspect
import os
from collections.abc import Callable
from typing import Any

import keras

from keras_oocore.core.checks import positive
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import did_you_mean
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.training.run import Stage, TrainingRun
from keras_oocore.training.signals import noted
from keras_oocore.training.state.checkpoints import held, require_own_directory
from keras_oocore.training.state.model import require_compiled

DECIDED = ("x", "y", "initial_epoch", "batch_size", "validation_split", "sample_weight", "shuffle", "epochs")


def train(
    kind: str,
    model: keras.Model | Callable[[], keras.Model],
    stages: list[Stage],
    checkpoint: str | os.PathLike | None,
    save_every_batches: int | None,
    keep: int,
    callbacks: list | None,
    verbose,
    fit_options: dict[str, Any],
) -> keras.callbacks.History:
    """Train through all stages and return the history of the whole.

    Args:
        kind: name of the function that a user called.
        model, checkpoint, save_every_batches, keep, callbacks, verbose, fit_options: as in `fit_resumable`.
        stages: of the training.
    """
    _check_options(fit_options)
    for stage in stages:
        require_data(stage.data, stage.validation_data)
    if save_every_batches is not None:
        save_every_batches = positive(save_every_batches, "save_every_batches")
    if fit_options.get("steps_per_epoch") is not None:
        fit_options["steps_per_epoch"] = positive(fit_options["steps_per_epoch"], "steps_per_epoch")
    callbacks = _listed(callbacks)
    if checkpoint is not None:
        require_own_directory(checkpoint)
    with contextlib.ExitStack() as stack:
        checkpoints = None if checkpoint is None else stack.enter_context(held(checkpoint, keep))
        if not isinstance(model, keras.Model) and callable(model):
            model = model()
        require_compiled(model)
        training = TrainingRun(kind, model, stages, checkpoints, save_every_batches, callbacks, verbose, fit_options)
        found = None if checkpoints is None else checkpoints.latest()
        if found is None:
            training.begin()
        else:
            training.go_on(found)
        if checkpoints is not None:
            training.stop = stack.enter_context(noted())
        return training.run()


def require_data(x: Any, validation_data: Any) -> None:
    """Raise when these are not data whose place can be saved.

    Raises:
        OptionError: which says what to pass.
    """
    if not isinstance(x, OutOfCoreSequence):
        raise OptionError(
            "`x` should be a Sequence of keras_oocore, whose place can be saved. For arrays, "
            f"ko.ArraySequence(x, y). Received: {type(x).__name__}"
        )
    if x is validation_data:
        raise OptionError("Use one Sequence for training and another for validation. Received: the same for both")


def _check_options(fit_options: dict[str, Any]) -> None:
    known = inspect.signature(keras.Model.fit).parameters
    for name, value in fit_options.items():
        if name in DECIDED:
            raise OptionError(
                f"`{name}` is decided by the Sequence, the checkpoint and the other arguments. Received: {name}=..."
            )
        if name not in known:
            raise OptionError(
                f"`fit` has no argument `{name}`.{did_you_mean(name, [*known])} Received: {name}={value!r}"
            )
    if isinstance(fit_options.get("class_weight"), str):
        raise OptionError(
            "`class_weight` of `fit` is a dictionary; the Sequence takes class_weight='balanced'. "
            f"Received: class_weight={fit_options['class_weight']!r}"
        )


def _listed(callbacks) -> list[keras.callbacks.Callback]:
    if callbacks is None:
        return []
    callbacks = keras.tree.flatten(getattr(callbacks, "callbacks", callbacks))
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise OptionError(f"`callbacks` should be objects of keras.callbacks. Received: {callback!r}")
    if any(isinstance(callback, keras.callbacks.BackupAndRestore) for callback in callbacks):
        raise OptionError("Leave `BackupAndRestore` out: `checkpoint` saves the training, and the two would disagree.")
    return callbacks
