"""What a training writes: when a checkpoint is due, and what it contains."""

import dataclasses
import time
from typing import Any

import numpy as np

from keras_oocore.core.errors import DestinationError
from keras_oocore.core.warn import warn_user
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.training.changes import KEY, current_options
from keras_oocore.training.resume import versions
from keras_oocore.training.stages import TrainingState
from keras_oocore.training.state import model as model_state
from keras_oocore.training.state import random as random_state
from keras_oocore.training.state.checkpoints import Checkpoints
from keras_oocore.training.state.plain_values import NotPlainError, to_plain

COST = 20  # train this many times as long as the last checkpoint took before writing the next one: under 5 %
SECONDS_BETWEEN = 60  # at least, between two checkpoints within an epoch


class Saver:
    """Writes the checkpoints of one training.

    Args:
        state: The training.
        checkpoints: The directory to write to.
        every_batches: Save after this many batches, and at the end of each epoch. `None` decides by time.
    """

    def __init__(self, state: TrainingState, checkpoints: Checkpoints, every_batches: int | None):
        self.state: TrainingState = state
        self.checkpoints: Checkpoints = checkpoints
        self.every_batches: int | None = every_batches
        self.is_saved = False  # whether the newest checkpoint has the current position
        self._cost_seconds = 0.0
        self._last_saved_seconds = time.monotonic()
        self._skipped_columns = set()  # columns of the history that cannot be saved

    def note_progress(self) -> None:
        """Note that the training has moved on since the newest checkpoint."""
        self.is_saved = False

    def due_within_epoch(self, batches_before: int, batches: int) -> bool:
        """Return whether a checkpoint is due now that the training has come from `batches_before` to `batches`."""
        if self.every_batches is not None:
            return crosses(self.every_batches, batches_before, batches)
        return self._seconds_since > max(SECONDS_BETWEEN, COST * self._cost_seconds)

    def due_after_epoch(self) -> bool:
        """Return whether a checkpoint is due at the end of an epoch. Short epochs do not each get one."""
        return self.every_batches is not None or self._seconds_since > COST * self._cost_seconds

    @property
    def _seconds_since(self) -> float:
        return time.monotonic() - self._last_saved_seconds

    def save(self, metrics: list[np.ndarray] | None = None, required: bool = False) -> None:
        """Write a checkpoint. If that fails, the training continues, because it is still in memory.

        Args:
            metrics: The metrics of all processes, or `None` if those of the model are.
            required: Whether a failure is an error instead of a warning.

        Raises:
            DestinationError: If `required` and the checkpoint cannot be written.
        """
        started_seconds = time.monotonic()
        try:
            self.checkpoints.save(*captured(self.state, self._plain_history(), metrics))
            self.is_saved: bool = True
        except DestinationError as error:
            if required:
                raise
            warn_user(f"The training continues, but could not be saved: {error}")
        self._last_saved_seconds = time.monotonic()
        self._cost_seconds = self._last_saved_seconds - started_seconds

    def _plain_history(self) -> dict[str, list]:
        """Return the history without columns that cannot be saved, which a callback may add. Warn of each once."""
        plain = {}
        for name, values in self.state.history.items():
            try:
                to_plain(values, {}, name)
                plain[name] = values
            except NotPlainError as error:
                if name not in self._skipped_columns:
                    self._skipped_columns.add(name)
                    warn_user(f"{name!r} of the history cannot be saved: {error}")
        return plain


def crosses(every_batches: int | None, batches_before: int, batches: int) -> bool:
    """Return whether a multiple of `every_batches` is reached between two numbers of batches.

    >>> crosses(10, 19, 20), crosses(10, 20, 29), crosses(None, 0, 10)
    (True, False, False)
    """
    return every_batches is not None and batches // every_batches > batches_before // every_batches


def captured(
    state: TrainingState,
    history: dict[str, list[Any]],
    metrics: list[np.ndarray] | None = None,
    has_begun: bool = True,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return everything there is to save, as plain JSON and arrays. The keys are those of checkpoint.json.

    Args:
        state: The training.
        history: The columns of its history that can be saved.
        metrics: As in `Saver.save`.
        has_begun: Whether the callbacks were told that the training begins. Before, they have no state.
    """
    position = state.position
    state.record_position()
    paths, arrays = model_state.capture(state.model, with_metrics=position.step > 0)
    arrays |= {f"metrics/{number}": array for number, array in enumerate(metrics or [])}
    saved = {
        "kind": state.kind,
        "versions": versions(),
        "epochs": state.end_epoch,
        "place": dataclasses.asdict(position),
        "steps_per_epoch": state.steps_per_epoch,
        KEY: current_options(state),
        "data": {number: _state_at(data, *state.data_positions[id(data)]) for number, data in state.data().items()},
        "validations": {number: _next_call(data) for number, data in state.validation_data().items()},
        "ends": [stage.end_epoch for stage in state.stages[: position.stage]],
        "seeds": [stage.data.seed for stage in state.stages],
        "trainable": state.trainable,
        "variables": paths,
        "history": to_plain(history, arrays, "history"),
        "callbacks": state.callback_states.capture(arrays) if has_begun else {},
        "random": to_plain(random_state.capture(), arrays, "random"),
    }
    return saved, arrays


def _state_at(data: OutOfCoreSequence, epoch: int, batches: int) -> dict[str, Any]:
    """Return the state of a Sequence at a position that the training counted, because Keras asks for batches ahead."""
    return {**data.state_dict(), "epoch": epoch, "batches": batches}


def _next_call(data: OutOfCoreSequence) -> dict[str, Any]:
    """Return the state of a Sequence at the position where the next call of `evaluate` starts."""
    state = data.state_dict()
    return {**state, "epoch": state["epoch"] + (state["batches"] > 0), "batches": 0}
