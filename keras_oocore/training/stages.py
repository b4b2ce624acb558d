"""What a training consists of: its stages, and the state that the loop, resuming and saving share."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.training import layers
from keras_oocore.training.callback_list import ContinuousCallbackList
from keras_oocore.training.schedule import TrainingPosition
from keras_oocore.training.state.callbacks import CallbackStates
from keras_oocore.training.state.checkpoint import Checkpoint
from keras_oocore.training.state.model import AveragedWeights


@dataclasses.dataclass(frozen=True)
class Stage:
    """Some epochs of a training, with their own data, trained layers and learning rate.

    Attributes:
        data: The Sequence to train on.
        end_epoch: Epoch of the whole training at which the next stage starts.
        validation_data: The argument of `fit`.
        check: Called with the model before the training starts. Raises an error if `enter` would fail, and may change
            the layers' `trainable` flags.
        enter: Called with the model when the stage starts. Returns the text to print, if any.
        note: Name of a column of the history, and the value of that column in the epochs of this stage.
    """

    data: OutOfCoreSequence
    end_epoch: int
    validation_data: Any = None
    check: Callable[[keras.Model], None] = lambda model: None
    enter: Callable[[keras.Model], str | None] = lambda model: None
    note: tuple[str, Any] | None = None

    @property
    def title(self) -> str:
        """What messages call this stage: the name of a phase in quotes, `partition 0`, or `""` for the only stage."""
        if self.note is None:
            return ""
        column, value = self.note
        return repr(value) if isinstance(value, str) else f"{column} {value}"


@dataclasses.dataclass
class TrainingState:
    """The state of one training.

    Attributes:
        kind: Name of the function that the user called.
        model: The model that is trained.
        stages: All stages.
        steps_per_epoch: The argument of `fit`.
        callbacks: The callbacks, which see one training.
        callback_states: What the callbacks remember.
        position: How far the training has come.
        data_positions: `id` of a Sequence → its pass number and batches. Several stages may share a Sequence.
        trainable: The `trainable` flags of the layers before the first stage.
        column_lengths: Lengths of the history's columns when the epoch started.
        random: States of the random generators, to restore at the start of the next epoch and at its first batch.
        averaged: Weights to put back after a call of `fit`.
        checkpoint: The checkpoint to resume from, until everything in it is restored.
        class_weight: The argument of `fit`.
    """

    kind: str
    model: keras.Model
    stages: list[Stage]
    steps_per_epoch: int | None
    callbacks: ContinuousCallbackList
    callback_states: CallbackStates
    position: TrainingPosition = dataclasses.field(default_factory=TrainingPosition)
    data_positions: dict[int, tuple[int, int]] = dataclasses.field(default_factory=dict)
    trainable: list[bool] = dataclasses.field(default_factory=list)
    column_lengths: dict[str, int] = dataclasses.field(default_factory=dict)
    random: dict[str, Any] | None = None
    averaged: AveragedWeights | None = None
    checkpoint: Checkpoint | None = None
    class_weight: dict[int, float] | None = None

    @property
    def stage(self) -> Stage:
        """The current stage."""
        return self.stages[self.position.stage]

    @property
    def end_epoch(self) -> int:
        """The epoch at which the whole training ends."""
        return self.stages[-1].end_epoch

    @property
    def history(self) -> dict[str, list[Any]]:
        """The columns of the history."""
        return self.callbacks.history.history

    def data(self) -> dict[str, OutOfCoreSequence]:
        """Return each Sequence of the stages that have started, by the number of the first stage that uses it."""
        return _distinct([stage.data for stage in self.stages[: self.position.stage + 1]])

    def validation_data(self) -> dict[str, OutOfCoreSequence]:
        """Return each Sequence for validation of the stages that have started, by the number of the first stage."""
        return _distinct([stage.validation_data for stage in self.stages[: self.position.stage + 1]])

    def first_batch(self) -> Any:
        """Return the first batch of the current stage, without moving the position in the data."""
        return self.stage.data.cursor.peek(0)

    def record_data_positions(self) -> None:
        """Record the position of every Sequence."""
        self.data_positions = {id(stage.data): stage.data.cursor.position for stage in self.stages}

    def move_to_data(self) -> None:
        """Set the position to that of the stage's data: their start, or where an earlier stage left them."""
        self.position.pass_number, self.position.pass_batches = self.data_positions[id(self.stage.data)]

    def record_position(self) -> None:
        """Record the position in the data of the current stage."""
        self.data_positions[id(self.stage.data)] = (self.position.pass_number, self.position.pass_batches)

    def check_stages(self) -> None:
        """Find out now what would stop a stage that starts in hours."""
        flags = layers.layer_flags(self.model)
        try:
            for stage in self.stages:
                stage.check(self.model)
        finally:
            layers.set_layer_flags(self.model, flags)


def _distinct(data: list) -> dict[str, OutOfCoreSequence]:
    """Return each Sequence once, by its first index in the list, without data of other types."""
    first = {}
    for number, sequence in enumerate(data):
        if isinstance(sequence, OutOfCoreSequence):
            first.setdefault(id(sequence), (str(number), sequence))
    return dict(first.values())
