"""One training that takes several calls of `fit`, saves itself on the way, and goes on where it was saved."""

import contextlib
import dataclasses
import math
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_oocore.core.errors import DestinationError, OptionError
from keras_oocore.core.text import display_path
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.training import layers
from keras_oocore.training.callback_list import ContinuousCallbackList
from keras_oocore.training.recompile import recompile
from keras_oocore.training.rest import Rest
from keras_oocore.training.resume import (
    load_states,
    next_call,
    require_same_training,
    state_at,
    versions,
    warn_of_other_versions,
    where,
)
from keras_oocore.training.saving import SavingTimes
from keras_oocore.training.schedule import Place, next_fit
from keras_oocore.training.signals import StopSignal
from keras_oocore.training.state import model as model_state
from keras_oocore.training.state import random as random_state
from keras_oocore.training.state.callbacks import CallbackStates
from keras_oocore.training.state.checkpoints import Checkpoint, Checkpoints
from keras_oocore.training.state.plain_values import NotPlainError, from_plain, to_plain


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of a training: epochs with data, trained layers and a learning rate of their own.

    Attributes:
        data: the Sequence.
        end_epoch: of the whole training, at which the next stage begins.
        validation_data: as `fit` has it.
        check: called with the model before the training; raises when `enter` would. It may change the layers' flags.
        enter: called with the model when the stage begins; returns what to print, if anything.
        note: name of a column of the history, and what stands there for each epoch of this stage.
    """

    data: OutOfCoreSequence
    end_epoch: int
    validation_data: Any = None
    check: Callable[[keras.Model], None] = lambda model: None
    enter: Callable[[keras.Model], str | None] = lambda model: None
    note: tuple[str, Any] | None = None


def _fill(history: dict[str, list], num_epochs: int, lengths: dict[str, int]) -> None:
    """Give all columns one value an epoch: NaN for epochs without, as before validation or a metric came.

    Args:
        history: column → values.
        num_epochs: that are done.
        lengths: of the columns before the last epoch.

    >>> history = {"loss": [3.0, 2.0], "mae": [1.0], "val_loss": [2.5]}
    >>> _fill(history, 2, {"loss": 1, "mae": 1}); history
    {'loss': [3.0, 2.0], 'mae': [1.0, nan], 'val_loss': [nan, 2.5]}
    """
    for name, values in history.items():
        missing = [math.nan] * (num_epochs - len(values))
        if len(values) > lengths.get(name, 0):
            values[:0] = missing
        else:
            values.extend(missing)


def _first_of_each(data: list) -> dict[str, OutOfCoreSequence]:
    """Each Sequence once, by the number of its first place in the list; other data left out."""
    first = {}
    for number, one in enumerate(data):
        if isinstance(one, OutOfCoreSequence):
            first.setdefault(id(one), (str(number), one))
    return dict(first.values())


class TrainingRun:
    """See `train.train`, and `ContinuousCallbackList`, whose `Listener` it is."""

    def __init__(
        self,
        kind: str,
        model: keras.Model,
        stages: list[Stage],
        checkpoints: Checkpoints | None,
        save_every_batches: int | None,
        callbacks: list[keras.callbacks.Callback],
        verbose,
        fit_options: dict[str, Any],
    ):
        self.kind, self.model, self.stages, self.checkpoints, self.verbose = kind, model, stages, checkpoints, verbose
        self.fit_options = dict(fit_options)
        self.steps_per_epoch = self.fit_options.pop("steps_per_epoch", None)
        self.end_epoch = stages[-1].end_epoch
        self.callbacks = ContinuousCallbackList(callbacks, model, self, verbose, self.end_epoch)
        self.states = CallbackStates(self.callbacks.callbacks)
        self.times = SavingTimes(save_every_batches)
        self.stop = StopSignal()
        self.place = Place()
        self._places = {id(stage.data): stage.data._pass.place() for stage in stages}  # of data that stages may share
        self._left_out = set()  # of the history that is saved
        self._trainable = []  # flags of the layers before the first stage
        self._found: Checkpoint | None = None
        self._is_saved = False  # at this place
        self._random = None  # states to go back to at the next epoch's begin, and again at its first batch
        self._averaged = None  # weights to put back after a `fit`
        self._call = None  # the `fit` that runs
        self._call_begins = False  # so that the data are to be brought to their place
        self._at_begin = Place()  # of the epoch, in this call of `fit`
        self._steps_of_epoch = 0
        self._lengths = {}  # of the history's columns when the epoch began

    @property
    def stage(self) -> Stage:
        """The one that the training is in."""
        return self.stages[self.place.stage]

    # To the place from which it trains

    def begin(self) -> None:
        """Make the model's variables, and enter the first stage."""
        self._go_to_data()
        model_state.ensure_built(self.model, self._first_batch)
        self._trainable = layers.flags(self.model)
        self._check_stages()
        self._say(self.stage.enter(self.model))

    def _check_stages(self) -> None:
        """Find now what would stop a stage that begins in hours."""
        flags = layers.flags(self.model)
        try:
            for stage in self.stages:
                stage.check(self.model)
        finally:
            layers.set_flags(self.model, flags)

    def go_on(self, found: Checkpoint) -> None:
        """Bring model, data and history to where a checkpoint has them."""
        state, reached = found.state, Place(**found.state["place"])
        require_same_training(found, self.kind, [stage.end_epoch for stage in self.stages], self.steps_per_epoch)
        warn_of_other_versions(found)
        for stage, seed in zip(self.stages, state["seeds"]):
            stage.data._take_seed(seed)  # partitions to come are to be those of then
        self.place.stage = reached.stage
        load_states(self._data(), state["data"], "The data")
        load_states(self._validations(), state["validations"], "`validation_data`")
        self._places = {id(stage.data): stage.data._pass.place() for stage in self.stages}
        self._enter_again(reached.stage, state["trainable"])
        self._found, self.place = found, reached
        paths = state["variables"] if reached.step else {**state["variables"], "metrics": []}
        model_state.ensure_stepped(self.model, paths, self._first_batch)
        self._restore_variables()
        self._random = from_plain(state["random"], found.arrays)
        history = self.callbacks.history.history = from_plain(state["history"], found.arrays)
        notes = [stage.note[0] for stage in self.stages if stage.note]
        self.callbacks.logs = {name: values[-1] for name, values in history.items() if values and name not in notes}
        if reached.stopped and self.end_epoch > state["epochs"]:
            reached.stopped = False  # who asks for more epochs wants to go on
        self._say(f"Going on from {display_path(found.path)!r}: {where(reached, self.end_epoch)}.")

    def _enter_again(self, last: int, trainable: list[bool]) -> None:
        """Bring the model to how it was made for a stage; it may have been trained in this process before."""
        for self.place.stage in range(last + 1):
            model_state.ensure_built(self.model, self._first_batch)
            if self.place.stage == 0:
                if layers.set_flags(self.model, trainable):
                    recompile(self.model, trainable_changed=True)
                self._check_stages()
            self.stage.enter(self.model)
        self._trainable = trainable

    def _data(self) -> dict[str, OutOfCoreSequence]:
        """The data of the stages that were begun, by the number of the first stage that has each."""
        return _first_of_each([stage.data for stage in self.stages[: self.place.stage + 1]])

    def _validations(self) -> dict[str, OutOfCoreSequence]:
        """The Sequences for validation, likewise."""
        return _first_of_each([stage.validation_data for stage in self.stages[: self.place.stage + 1]])

    def _first_batch(self) -> Any:
        return self.stage.data._batch_apart(0)

    def _go_to_data(self) -> None:
        """The stage begins where its data are: at the beginning, or where an earlier stage has left them."""
        self.place.pass_number, self.place.pass_batches = self._places[id(self.stage.data)]

    def _restore_variables(self, with_metrics: bool = False) -> None:
        whose = f"The checkpoint {display_path(self._found.path)!r}"
        paths = {  # without metrics, which are not made yet, or belong to the epoch before
            group: paths
            for group, paths in self._found.state["variables"].items()
            if group != "metrics" or with_metrics
        }
        model_state.require_same_variables(self.model, paths, self._found.arrays, whose)
        model_state.restore(self.model, paths, self._found.arrays)
        model_state.restore_buffers(self.model, self._found.arrays)

    def _say(self, text: str | None) -> None:
        if text and self.verbose != 0:
            print(text, flush=True)

    # The training itself

    def run(self) -> keras.callbacks.History:
        """Call `fit` as often as it takes."""
        self._run_stage()
        while self.place.stage + 1 < len(self.stages) and not self.place.stopped:
            self._places[id(self.stage.data)] = (self.place.pass_number, self.place.pass_batches)
            self.place.stage += 1
            self._go_to_data()
            self._say(self.stage.enter(self.model))
            self._run_stage()
        if not self.callbacks.begun:  # nothing was left to do
            self.callbacks.on_train_begin()
            self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        self.callbacks.finish()
        if self.stop.received:
            self.stop.raise_again()
        return self.callbacks.history

    def _run_stage(self) -> None:
        data, steps = self.stage.data, self.steps_per_epoch
        while call := next_fit(self.place, self.stage.end_epoch, len(data), steps):
            self._call, self._call_begins = call, True
            self.callbacks.set_params({**self.callbacks.params, "steps": steps or len(data)})
            try:
                self.model.fit(
                    data if call.num_batches is None else Rest(data, call.num_batches),
                    initial_epoch=call.first_epoch,
                    epochs=call.end_epoch,
                    steps_per_epoch=call.steps_per_epoch,
                    validation_data=self.stage.validation_data,
                    callbacks=self.callbacks,
                    verbose=self.verbose,
                    shuffle=False,  # of batch numbers, by Python's `random` in a thread of TensorFlow's
                    **self.fit_options,
                )
            finally:
                data._pass.delivered = None
                data._batches.close()  # or what it made ahead would stay in memory while other data are used
            if self.place.epoch < call.end_epoch and not self.place.stopped:
                raise OptionError(
                    f"Keras ended `fit` after epoch {self.place.epoch} of {call.end_epoch}, and no callback stopped "
                    "it. Is there a `keras.config.set_max_epochs`?"
                )
            if self.place.epoch < self.end_epoch and not self.place.stopped:
                self._averaged.put_back()

    # What the callbacks tell

    @contextlib.contextmanager
    def beginning(self) -> Iterator[None]:
        """Around the callbacks' `on_train_begin`, after which they get back what they remembered."""
        states = {} if self._found is None else self._found.state["callbacks"]
        with self.states.logs_cut_back(states):
            yield
        self.states.begun()
        if self._found is not None:
            self.states.restore(states, self._found.arrays)
            self.callbacks.history.epoch = list(range(self.place.epoch))
        elif self.checkpoints is not None:
            self._save(must=True)  # from here on a kill loses nothing, and a disk that is full shows now

    def before_epoch(self, epoch: int) -> int:
        """Bring the data to their place: what Keras drew before, or a callback, does not count.

        With `steps_per_epoch` one iterator goes on over epochs, and must not be disturbed.
        """
        place, data = self.place, self.stage.data
        if self._call_begins or self.steps_per_epoch is None:
            self._call_begins = False
            data._seek(place.pass_number, place.pass_batches)
        data._pass.delivered = place.pass_batches
        self._at_begin = dataclasses.replace(place)
        left = len(data) - place.pass_batches
        self._steps_of_epoch = place.step + left
        if self.steps_per_epoch is not None:
            self._steps_of_epoch = min(self._steps_of_epoch, self.steps_per_epoch)
        if not place.step and self._random is not None:
            random_state.restore(self._random)
        return place.step

    def epoch_begun(self) -> None:
        """Note the random states: an iterator of torch's draws from them, and Keras may have made it long before.

        And how long the history's columns are, to see which of them get a value.
        """
        if not self.place.step:
            self._random = random_state.captured()
        self._lengths = {name: len(values) for name, values in self.callbacks.history.history.items()}

    def before_batch(self) -> None:
        """At an epoch's first batch, undo what Keras drew; within one that goes on, all that beginning it changed."""
        if self._random is None:
            return
        if self.place.step:
            self._restore_variables(with_metrics=True)
            self.states.restore(self._found.state["callbacks"], self._found.arrays)
        random_state.restore(self._random)
        self._random = self._found = None

    def after_batch(self, step: int) -> None:
        """Count, and save when it is due, or when somebody wants the training to stop."""
        place, batches_before = self.place, self.place.batches
        step = min(step, self._steps_of_epoch)  # the last of several steps_per_execution may hold fewer
        place.batches += step - place.step
        place.step = step
        place.pass_batches = self._at_begin.pass_batches + step - self._at_begin.step
        self.stage.data._pass.delivered = place.pass_batches
        self._is_saved = False
        if step == self._steps_of_epoch or self.model.stop_training or self.checkpoints is None:
            return  # the epoch's end follows, or nothing is saved
        if self.stop.received or self.times.due_within_epoch(batches_before, place.batches):
            self.callbacks.wait()
            self._save()
        self._stop_if_asked()

    def after_epoch(self, epoch: int) -> None:
        """Count, and save likewise, after validation and what the callbacks made of it."""
        place = self.place
        place.end_epoch(len(self.stage.data), self.steps_per_epoch)
        place.stopped = bool(self.model.stop_training)
        if self.stage.note is not None:
            name, value = self.stage.note
            self.callbacks.history.history.setdefault(name, []).append(value)
        if "validation_freq" not in self.fit_options:  # with it, Keras's columns are shorter
            _fill(self.callbacks.history.history, place.epoch, self._lengths)
        if place.epoch == self._call.end_epoch:
            self._averaged, self._random = model_state.AveragedWeights(self.model), random_state.captured()
        last = place.stopped or place.epoch == self.end_epoch
        self._is_saved = False
        if self.checkpoints is None:
            return
        if last or self.stop.received or self.times.due_after_epoch():
            self._save()
        if not last:
            self._stop_if_asked()

    # Saving

    def _save(self, must: bool = False) -> None:
        """Write a checkpoint; when that fails later on, the training, which is still in memory, goes on."""
        started_seconds = time.monotonic()
        try:
            self.checkpoints.save(*self._state())
            self._is_saved = True
        except DestinationError as error:
            if must:
                raise
            warnings.warn(f"The training goes on, but could not be saved: {error}", stacklevel=2)
        self.times.saved(time.monotonic() - started_seconds)

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """All that there is to save, as plain JSON and arrays."""
        place, stage = self.place, self.stage
        self._places[id(stage.data)] = (place.pass_number, place.pass_batches)
        paths, arrays = model_state.captured(self.model, with_metrics=place.step > 0)
        state = {
            "kind": self.kind,
            "versions": versions(),
            "epochs": self.end_epoch,
            "place": dataclasses.asdict(place),
            "steps_per_epoch": self.steps_per_epoch,
            "data": {number: state_at(data, *self._places[id(data)]) for number, data in self._data().items()},
            "validations": {number: next_call(data) for number, data in self._validations().items()},
            "ends": [stage.end_epoch for stage in self.stages[: place.stage]],
            "seeds": [stage.data.seed for stage in self.stages],
            "trainable": self._trainable,
            "variables": paths,
            "history": to_plain(self._plain_history(), arrays, "history"),
            "callbacks": self.states.captured(arrays),
            "random": to_plain(random_state.captured(), arrays, "random"),
        }
        return state, arrays

    def _plain_history(self) -> dict[str, list]:
        """The history, without what a callback added to the logs and cannot be saved; it is named once."""
        plain = {}
        for name, values in self.callbacks.history.history.items():
            try:
                to_plain(values, {}, name)
                plain[name] = values
            except NotPlainError as error:
                if name not in self._left_out:
                    self._left_out.add(name)
                    warnings.warn(f"{name!r} of the history cannot be saved: {error}", stacklevel=2)
        return plain

    def _stop_if_asked(self) -> None:
        if self.stop.received:
            done = "saved" if self._is_saved else "not saved since the last checkpoint"
            directory = display_path(self.checkpoints.directory)
            print(
                f"{self.stop.name}: the training is {done}, in {directory!r}. Run the same again to go on.", flush=True
            )
            self.stop.raise_again()
