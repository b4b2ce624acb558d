"""`fit_phases`: phases of one training, each with its own learning rate, trained layers and, if given, data."""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import keras

from keras_oocore.core.checks import positive
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import shown
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.training.arguments import TrainingArguments, with_training_arguments
from keras_oocore.training.layers import set_trainable, trainable_flags, trainable_summary
from keras_oocore.training.recompile import check_rate, recompile
from keras_oocore.training.stages import Stage
from keras_oocore.training.start import train

Layers = str | Callable[[keras.Layer], bool] | Sequence[str | Callable[[keras.Layer], bool]]


@dataclasses.dataclass(frozen=True, repr=False)
class Phase:
    """Some epochs of a training.

    Args:
        epochs: Number of epochs.
        learning_rate: A number, or a `keras.optimizers.schedules.LearningRateSchedule`. `None` keeps the current rate.
        freeze: Layers to stop training from this phase on: names, prefixes of names (if no layer has that name),
            functions of a layer, or a list of these, or `"all"`. The name of a nested model means all of its layers.
            `freeze="all", unfreeze="head"` means all layers except the head. Layers that no phase names keep their
            setting.
        unfreeze: Layers to train again, given in the same way.
        reset_optimizer: Whether the optimizer loses its state (momentum, averages, iterations). If `False`, the state
            is kept for the weights that stay trainable, and weights that become trainable start without.
        data: A Sequence for this phase, for example with larger images or another partition. `None` uses the data of
            the whole training.
        validation_data: Validation data for this phase. `None` uses those of the whole training.
        name: Name in the history and in plots. Defaults to `"phase 1"` and so on.

    >>> Phase(epochs=5, learning_rate=1e-3, freeze=["backbone"])
    Phase(epochs=5, learning_rate=0.001, freeze=['backbone'])
    """

    epochs: int
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule | None = None
    freeze: Layers | None = None
    unfreeze: Layers | None = None
    reset_optimizer: bool = False
    data: OutOfCoreSequence | None = None
    validation_data: Any = None
    name: str | None = None

    def __post_init__(self) -> None:
        positive(self.epochs, "epochs")
        check_rate(self.learning_rate)

    def __repr__(self) -> str:
        """Return one line with the arguments that are not defaults."""
        fields = dataclasses.fields(self)
        values = {field.name: getattr(self, field.name) for field in fields}
        given = [field.name for field in fields if values[field.name] is not field.default]
        return f"Phase({', '.join(f'{name}={_in_words(values[name])}' for name in given)})"


@with_training_arguments
def fit_phases(
    model: keras.Model | Callable[[], keras.Model],
    phases: Phase | Sequence[Phase],
    x: OutOfCoreSequence | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    **arguments: Unpack[TrainingArguments],
) -> keras.callbacks.History:
    """Train in phases, as one training: freeze and unfreeze layers and change the learning rate between them.

    Epochs count on from phase to phase. Callbacks see one training: a callback that stops it ends all phases. The model
    is compiled again where Keras requires it. Unless `verbose=0`, each phase prints which layers it trains and what
    happens to the state of the optimizer. The history has a column `phase`, which `ko.plot_history` marks.

    Args:
        model: A compiled model, new or loaded, or a function without arguments that returns one. In that case, the
            model is `history.model`.
        phases: The phases, in order.
        x: A Sequence of keras_oocore, for the phases without their own data.
        checkpoint: Directory for this training only, to resume it after a crash as `fit_resumable` does. `None` saves
            nothing.
        **arguments: Shared by the three functions.

    Returns:
        The `keras.callbacks.History` of the whole training.

    Raises:
        OptionError: If a name matches no layer (the message lists the names), or another argument cannot work.
        DataError, BusyError, DestinationError: As in `fit_resumable`.

    >>> import numpy as np
    >>> import keras_oocore as ko
    >>> model = keras.Sequential(
    ...     [keras.Input((1,)), keras.layers.Dense(4, name="backbone"), keras.layers.Dense(1, name="head")]
    ... )
    >>> model.compile("sgd", "mse")
    >>> numbers = ko.ArraySequence(np.arange(8.0)[:, None] / 8, np.arange(8.0), batch_size=2, seed=1)
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
        raise OptionError(f"`phases` should be a list of ko.Phase. Received: {shown(phases)}")
    if x is None and any(phase.data is None for phase in phases):
        raise OptionError("`x` is required for phases without their own data. Received: x=None")
    validation_data = arguments.get("validation_data")
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
    return train(fit_phases, model, stages, checkpoint, arguments)


def _in_words(value: Any) -> str:
    """Return a value in one short line."""
    if isinstance(value, OutOfCoreSequence):
        return f"<{type(value).__name__} of {value.num_samples:,} samples>"
    if isinstance(value, list | tuple) and all(isinstance(item, str) or callable(item) for item in value):
        return f"[{', '.join(map(_in_words, value))}]"
    if isinstance(value, str | bool | int | float):
        return repr(value)
    return f"<{getattr(value, '__name__', type(value).__name__)}>"


def _freeze(phase: Phase, name: str, model: keras.Model) -> None:
    set_trainable(model, phase.freeze or (), phase.unfreeze or ())
    if not model.trainable_variables:
        raise OptionError(f"{name}: all layers are frozen, so there is nothing to train. Unfreeze some of them.")


def _enter(phase: Phase, name: str, model: keras.Model) -> str:
    """Freeze, unfreeze and compile, and return what happened to the model."""
    before = trainable_flags(model)
    _freeze(phase, name, model)
    changed = trainable_flags(model) != before
    outcome = recompile(model, phase.learning_rate, not phase.reset_optimizer, changed)
    return f"{name}: {trainable_summary(model)}; {outcome}."
