"""Phases of one training: each with a learning rate, trained layers and, where it wants, data of its own."""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_oocore.core.checks import positive
from keras_oocore.core.errors import OptionError
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.training.layers import described, set_trainable, trainable_flags
from keras_oocore.training.recompile import check_rate, recompile
from keras_oocore.training.run import Stage
from keras_oocore.training.start import train

Layers = str | Callable[[keras.Layer], bool] | Sequence[str | Callable[[keras.Layer], bool]]


@dataclasses.dataclass(frozen=True)
class Phase:
    """Some epochs of a training.

    Args:
        epochs: how many.
        learning_rate: a number, or a `keras.optimizers.schedules.LearningRateSchedule`; `None` leaves it.
        freeze: layers that are not trained from here on: names, beginnings of names (where no layer has that name),
            functions of a layer, or a list of these; `"all"` for all. The name of a model within the model means all
            of its layers; `freeze="all", unfreeze="head"` means all but the head. Layers that no phase names stay as
            they are.
        unfreeze: layers that are trained again, likewise.
        reset_optimizer: whether the optimizer forgets its state (momentum, averages, iterations); otherwise it is kept
            for the weights that stay trained, and weights that join begin without.
        data: a Sequence of its own, of larger images or another partition say; `None` for that of the whole training.
        validation_data: likewise.
        name: in the history and in pictures; "phase 1" and so on unless told.

    >>> Phase(epochs=5, learning_rate=1e-3, freeze=["backbone"]).epochs
    5
    """

    epochs: int
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule | None = None
    freeze: Layers | None = None
    unfreeze: Layers | None = None
    reset_optimizer: bool = False
    data: OutOfCoreSequence | None = None
    validation_data: Any = None
    name: str | None = None

    def __post_init__(self):
        positive(self.epochs, "epochs")
        check_rate(self.learning_rate)


def fit_phases(
    model: keras.Model | Callable[[], keras.Model],
    phases: Sequence[Phase],
    x: OutOfCoreSequence | None = None,
    checkpoint: str | os.PathLike | None = None,
    save_every_batches: int | None = None,
    keep: int = 2,
    validation_data: Any = None,
    callbacks: list | None = None,
    verbose="auto",
    **fit_options,
) -> keras.callbacks.History:
    """Train in phases, as one training: layers are frozen and unfrozen and the learning rate changed between them.

    Epochs count on from phase to phase; callbacks see one training, so that one that stops it ends all phases. The
    model is compiled again where Keras needs that; what trains in a phase, and what becomes of the optimizer's state,
    is printed, unless `verbose=0`. The history has a column `phase`, which `ko.plot_history` marks.

    Args:
        model: as in `fit_resumable`.
        phases: one after another.
        x: a Sequence of keras_oocore, for the phases without data of their own.
        checkpoint: a directory for this training alone, to go on from after a kill, as in `fit_resumable`; `None` saves
            nothing.
        save_every_batches, keep, validation_data, callbacks, verbose, **fit_options: as in `fit_resumable`.

    Returns:
        The `keras.callbacks.History` of the whole training.

    Raises:
        OptionError: when a name matches no layer (it lists them), or another argument cannot work.
        DataError, BusyError, DestinationError: as in `fit_resumable`.

    >>> import numpy as np
    >>> import keras_oocore as ko
    >>> model = keras.Sequential(
    ...     [keras.Input((1,)), keras.layers.Dense(4, name="backbone"), keras.layers.Dense(1, name="head")]
    ... )
    >>> model.compile("sgd", "mse")
    >>> numbers = ko.NpyManifestSequence(np.arange(8.0)[:, None] / 8, np.arange(8.0), batch_size=2, seed=1)
    >>> history = fit_phases(
    ...     model,
    ...     [Phase(epochs=1, freeze="backbone"), Phase(epochs=2, learning_rate=1e-3, unfreeze="all")],
    ...     numbers,
    ...     verbose=0,
    ... )
    >>> history.epoch, history.history["phase"]
    ([0, 1, 2], ['phase 1', 'phase 2', 'phase 2'])
    """
    phases = [phases] if isinstance(phases, Phase) else list(phases)
    if not phases or not all(isinstance(phase, Phase) for phase in phases):
        raise OptionError(f"`phases` should be a list of ko.Phase. Received: {phases!r:.200}")
    if x is None and any(phase.data is None for phase in phases):
        raise OptionError("`x` is wanted for the phases without data of their own. Received: x=None")
    stages, end_epoch = [], 0
    for number, phase in enumerate(phases, 1):
        end_epoch += int(phase.epochs)
        name = phase.name or f"phase {number}"
        stages.append(
            Stage(
                x if phase.data is None else phase.data,
                end_epoch,
                validation_data=validation_data if phase.validation_data is None else phase.validation_data,
                check=functools.partial(_freeze, phase, name),
                enter=functools.partial(_enter, phase, name),
                note=("phase", name),
            )
        )
    return train("fit_phases", model, stages, checkpoint, save_every_batches, keep, callbacks, verbose, fit_options)


def _freeze(phase: Phase, name: str, model: keras.Model) -> None:
    set_trainable(model, phase.freeze or (), phase.unfreeze or ())
    if not model.trainable_variables:
        raise OptionError(f"{name}: every layer is frozen, so that there is nothing to train. Unfreeze some.")


def _enter(phase: Phase, name: str, model: keras.Model) -> str:
    """Freeze, unfreeze, compile; returns what became of the model."""
    before = trainable_flags(model)
    _freeze(phase, name, model)
    changed = trainable_flags(model) != before
    said = recompile(model, phase.learning_rate, not phase.reset_optimizer, changed)
    return f"{name}: {described(model)}; {said}."
