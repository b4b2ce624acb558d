"""The loop of one training: it calls `fit` as often as needed, and acts when the callbacks report."""

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import display_path
from keras_oocore.training import layers, resume
from keras_oocore.training.agreement import Agreement
from keras_oocore.training.callback_list import ContinuousCallbackList
from keras_oocore.training.metrics import keep_own_part, metrics_of_all
from keras_oocore.training.processes import Processes
from keras_oocore.training.saving import Saver, captured, crosses
from keras_oocore.training.schedule import FitCall, TrainingPosition, next_fit
from keras_oocore.training.signals import NAMES, StopSignal, raise_again
from keras_oocore.training.stages import Stage, TrainingState
from keras_oocore.training.state import model as model_state
from keras_oocore.training.state import random as random_state
from keras_oocore.training.state.callbacks import CallbackStates
from keras_oocore.training.state.checkpoint import Checkpoint
from keras_oocore.training.state.checkpoints import Checkpoints


class TrainingRun:
    """One training, from its first batch or a checkpoint to its history. It is the `Listener` of its callbacks.

    Args:
        kind: Name of the function that the user called.
        model: A compiled model.
        stages: The stages of the training.
        processes: The processes that train together.
        directory: The directory for checkpoints, or `None` to save nothing.
        checkpoints: Its checkpoints, in process 0.
        save_every_batches, callbacks, verbose: As in `fit_resumable`.
        fit_options: Other arguments of `fit`.
    """

    def __init__(
        self,
        kind: str,
        model: keras.Model,
        stages: list[Stage],
        processes: Processes,
        directory: Path | None,
        checkpoints: Checkpoints | None,
        save_every_batches: int | None,
        callbacks: list[keras.callbacks.Callback],
        verbose: str | int,
        fit_options: dict[str, Any],
    ):
        self.verbose: str | int = verbose
        self.fit_options: dict[str, Any] = dict(fit_options)
        self.stop: StopSignal = StopSignal()
        self.processes: Processes = processes
        self.directory: Path | None = directory
        self.agreement: Agreement = Agreement(processes)
        steps_per_epoch = self.fit_options.pop("steps_per_epoch", None)
        self.callbacks: ContinuousCallbackList = ContinuousCallbackList(
            callbacks, model, self, verbose, stages[-1].end_epoch
        )
        callback_states = CallbackStates(self.callbacks.callbacks)
        self.state: TrainingState = TrainingState(kind, model, stages, steps_per_epoch, self.callbacks, callback_states)
        self.state.class_weight = self.fit_options.get("class_weight")
        self.state.record_data_positions()
        self.saver: Saver | None = None if checkpoints is None else Saver(self.state, checkpoints, save_every_batches)
        self._is_new = True  # whether there was no checkpoint
        self._every_batches = save_every_batches if directory is not None else None  # of process 0
        self._call: FitCall | None = None  # the call of `fit` that is running
        self._call_begins = False  # whether the data must be moved to their position
        self._epoch_start = TrainingPosition()  # where this call of `fit` entered the epoch
        self._steps_in_epoch = 0

    def begin(self, found: Checkpoint | None) -> None:
        """Continue from a checkpoint, or start the training. All processes have the state of process 0 then.

        Args:
            found: The checkpoint, in process 0.
        """
        self._every_batches = int(self.processes.gathered([self._every_batches or 0])[0][0]) or None
        checkpoint = self.processes.share(found)
        self._is_new: bool = checkpoint is None
        if checkpoint is not None:
            self._print(self._resume(checkpoint))
            return
        self._start()
        if self.processes.count > 1:
            if self.processes.is_first:
                found = Checkpoint(Path("process 0"), 0, *captured(self.state, {}, has_begun=False))
            self._resume(self.processes.share(found))

    def _start(self) -> None:
        """Create the model's variables, and enter the first stage."""
        state = self.state
        state.move_to_data()
        model_state.ensure_built(state.model, state.first_batch)
        state.trainable = layers.layer_flags(state.model)
        state.check_stages()
        self._print(state.stage.enter(state.model))

    def _resume(self, checkpoint: Checkpoint) -> str:
        with self.processes.all_or_none():  # before the first variable is changed, which JAX does together
            try:
                resume.move_data(self.state, checkpoint)
            except (DataError, OptionError) as error:
                if not self._is_new:
                    raise
                alike = f"Process {self.processes.index} should train like process 0."
                raise type(error)(f"{alike} {error}") from error
        return resume.resume(self.state, checkpoint)

    def run(self, stop: StopSignal) -> keras.callbacks.History:
        """Train to the end, or until `stop` receives a signal, and return the history of the whole training."""
        self.stop, state = stop, self.state
        self._run_stage()
        while state.position.stage + 1 < len(state.stages) and not state.position.stopped:
            state.record_position()
            state.position.stage += 1
            state.move_to_data()
            self._print(state.stage.enter(state.model))
            self._run_stage()
        if not self.callbacks.begun:  # there was nothing left to do
            self.callbacks.on_train_begin()
            state.model.optimizer.finalize_variable_values(state.model.trainable_variables)
        self.callbacks.finish()
        self.agreement.meet(state.position.batches, self.stop.received, stops=False)  # and wait for the checkpoint
        if self.agreement.signal is not None:
            raise_again(self.agreement.signal, "the training is done and saved.")
        return self.callbacks.history

    def _run_stage(self) -> None:
        state, data, steps = self.state, self.state.stage.data, self.state.steps_per_epoch
        while call := next_fit(state.position, state.stage.end_epoch, len(data), steps):
            self._call, self._call_begins = call, True
            self.callbacks.set_params({**self.callbacks.params, "steps": steps or len(data)})
            try:
                state.model.fit(
                    data if call.num_batches is None else data.cursor.rest(call.num_batches),
                    initial_epoch=call.first_epoch,
                    epochs=call.end_epoch,
                    steps_per_epoch=call.steps_per_epoch,
                    validation_data=state.stage.validation_data,
                    callbacks=self.callbacks,
                    verbose=self.verbose,
                    shuffle=False,  # Keras would permute batch indices by Python's `random`, in a TensorFlow thread
                    **self.fit_options,
                )
            finally:
                data.cursor.delivered = None
                data.cursor.release()  # otherwise batches loaded ahead stay in memory while other data are used
            if state.position.epoch < call.end_epoch and not state.position.stopped:
                raise OptionError(
                    f"Keras ended `fit` after epoch {state.position.epoch} of {call.end_epoch}, and no callback "
                    "stopped it. Is there a `keras.config.set_max_epochs`?"
                )
            if state.position.epoch < state.end_epoch and not state.position.stopped:
                state.averaged.put_back()

    def _print(self, text: str | None) -> None:
        if text and self.verbose != 0:
            print(text, flush=True)

    # What the callbacks report: the methods of a `Listener`

    @contextlib.contextmanager
    def around_train_begin(self) -> Iterator[None]:
        """Run the callbacks' `on_train_begin`, then restore what they remembered."""
        state = self.state
        saved = {} if state.checkpoint is None else state.checkpoint.state["callbacks"]
        with state.callback_states.logs_truncated(saved):
            yield
        state.callback_states.record_initial()
        if state.checkpoint is not None:
            resume.restore_callbacks(state)
            self.callbacks.history.epoch = list(range(state.position.epoch))
        if self._is_new:
            with self.processes.all_or_none():
                if self.saver is not None:
                    self.saver.save(required=True)  # from now on a kill loses nothing, and a full disk is found at once

    def before_epoch_begin(self) -> int:
        """Move the data to their position: batches that Keras or a callback read meanwhile do not count.

        With `steps_per_epoch`, one iterator of Keras continues over several epochs and must not be disturbed.
        """
        state, position = self.state, self.state.position
        cursor, num_batches = state.stage.data.cursor, len(state.stage.data)
        if self._call_begins or state.steps_per_epoch is None:
            self._call_begins = False
            cursor.seek(position.pass_number, position.pass_batches)
        cursor.delivered = position.pass_batches
        self._epoch_start = dataclasses.replace(position)
        self._steps_in_epoch = position.step + num_batches - position.pass_batches
        if state.steps_per_epoch is not None:
            self._steps_in_epoch = min(self._steps_in_epoch, state.steps_per_epoch)
        if not position.step and state.random is not None:
            random_state.restore(state.random)
        return position.step

    def after_epoch_begin(self) -> None:
        """Capture the random states, because creating a torch iterator, which Keras may have done already, draws.

        Record the lengths of the history's columns, to find out which columns get a value in this epoch.
        """
        state = self.state
        if not state.position.step:
            state.random = random_state.capture()
        state.column_lengths = {name: len(values) for name, values in state.history.items()}

    def before_batch(self) -> None:
        """Restore what belongs to the first batch."""
        if resume.restore_at_first_batch(self.state):
            keep_own_part(self.state.model, self.processes)

    def after_batch(self, step: int) -> None:
        """Count the batches, and save if a checkpoint is due or a signal was received."""
        position, batches_before = self.state.position, self.state.position.batches
        step = min(step, self._steps_in_epoch)  # with steps_per_execution, the last execution may have fewer steps
        position.batches += step - position.step
        position.step = step
        position.pass_batches = self._epoch_start.pass_batches + step - self._epoch_start.step
        self.state.stage.data.cursor.delivered = position.pass_batches
        if self.saver is not None:
            self.saver.note_progress()
        if step == self._steps_in_epoch:
            return  # the end of the epoch follows
        model, agreement = self.state.model, self.agreement
        stops = bool(model.stop_training)
        saves = self.saver is not None and self.saver.due_within_epoch(batches_before, position.batches)
        required = crosses(self._every_batches, batches_before, position.batches)
        agreement.within_epoch(position.batches, self.stop.received, stops, saves, required)
        if agreement.stops != stops:
            model.stop_training = agreement.stops
        if agreement.stops:
            return
        if agreement.signal is not None or agreement.saves:
            self._save_within_epoch()
        self._stop_if_agreed()

    def _save_within_epoch(self) -> None:
        """Save in process 0, with what the others tell it."""
        self.callbacks.wait()
        metrics = metrics_of_all(self.state.model, self.processes)
        if self.saver is not None:
            self.saver.save(metrics)

    def before_epoch_end(self, logs: dict[str, Any] | None) -> dict[str, Any]:
        """Let the callbacks of all processes decide by the same numbers."""
        return self.agreement.averaged(logs)

    def after_epoch(self) -> None:
        """Move to the next epoch, fill the history, and save if a checkpoint is due."""
        state, position, agreement = self.state, self.state.position, self.agreement
        position.end_epoch(len(state.stage.data), state.steps_per_epoch)
        agreement.meet(position.batches, self.stop.received, bool(state.model.stop_training))
        state.model.stop_training = position.stopped = agreement.stops
        if state.stage.note is not None:
            name, value = state.stage.note
            state.history.setdefault(name, []).append(value)
        if self.fit_options.get("validation_freq", 1) == 1:  # otherwise Keras's own columns are shorter
            _fill_columns(state.history, position.epoch, state.column_lengths)
        if position.epoch == self._call.end_epoch:
            state.averaged, state.random = model_state.AveragedWeights(state.model), random_state.capture()
        last = position.stopped or position.epoch == state.end_epoch
        if self.saver is not None:
            self.saver.note_progress()
            if last or agreement.signal is not None or self.saver.due_after_epoch():
                self.saver.save()
        if not last:
            self._stop_if_agreed()

    def _stop_if_agreed(self) -> None:
        """End the program if a process received a signal, once process 0 has saved the training."""
        if self.agreement.signal is None:
            return
        ((is_saved,), *_) = self.processes.gathered([self.saver is not None and self.saver.is_saved])
        done = "saved" if is_saved else "not saved since the last checkpoint"
        message = f"the training is {done} in {display_path(self.directory)!r}. Run the same command again to continue."
        print(f"{NAMES[self.agreement.signal]}: {message}", flush=True)
        raise_again(self.agreement.signal, message)


def _fill_columns(history: dict[str, list], num_epochs: int, lengths: dict[str, int]) -> None:
    """Give every column one value per epoch: NaN for epochs without, such as those before the first validation.

    Args:
        history: Column → values.
        num_epochs: Number of epochs that are done.
        lengths: Lengths of the columns before the last epoch.

    >>> history = {"loss": [3.0, 2.0], "mae": [1.0], "val_loss": [2.5]}
    >>> _fill_columns(history, 2, {"loss": 1, "mae": 1}); history
    {'loss': [3.0, 2.0], 'mae': [1.0, nan], 'val_loss': [nan, 2.5]}
    """
    for name, values in history.items():
        missing = [math.nan] * (num_epochs - len(values))
        if len(values) > lengths.get(name, 0):
            values[:0] = missing
        else:
            values.extend(missing)
