"""One training that takes several calls of `fit`, saves itself on the way, and goes on where it was saved."""

import contextlib
import dataclasses
import os
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_oocore import __version__
from keras_oocore.checkpoints import Checkpoint, Checkpoints, held
from keras_oocore.errors import DataError, DestinationError, OptionError
from keras_oocore.plain_values import from_plain, to_plain
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.sequences.loading import positive
from keras_oocore.training import model_state, random_state
from keras_oocore.training.callback_state import CallbackStates
from keras_oocore.training.model_state import AveragedWeights
from keras_oocore.training.rest import Rest
from keras_oocore.training.signals import StopSignal, noted
from keras_oocore.training.spanning import SpanningCallbacks
from keras_oocore.training.stages import Place, next_fit

COST = 20  # a checkpoint is written once training took so many times as long as writing one: 5 %
SECONDS_BETWEEN = 60  # two checkpoints within an epoch, at least
OURS = ("x", "y", "initial_epoch", "batch_size", "validation_split", "sample_weight", "shuffle")


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of a training: epochs with data, trained layers and a learning rate of their own.

    Attributes:
        data: the Sequence.
        end_epoch: of the whole training, at which the next stage begins.
        validation_data: as `fit` has it.
        enter: called with the model when the stage begins; returns what to print, if anything.
        note: name of a column of the history, and what stands there for each epoch of this stage.
    """

    data: OutOfCoreSequence
    end_epoch: int
    validation_data: Any = None
    enter: Callable[[keras.Model], str | None] = lambda model: None
    note: tuple[str, Any] | None = None


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
    """Train through all stages and return the history of the whole; arguments are those of `fit_resumable`."""
    _require_ours(fit_options)
    for stage in stages:
        require_data(stage.data, stage.validation_data)
    if save_every_batches is not None:
        save_every_batches = positive(save_every_batches, "save_every_batches")
    with contextlib.ExitStack() as stack:
        checkpoints = None if checkpoint is None else stack.enter_context(held(checkpoint, keep))
        if not isinstance(model, keras.Model) and callable(model):
            model = model()
        model_state.require_compiled(model)
        training = OneTraining(kind, model, stages, checkpoints, save_every_batches, callbacks, verbose, fit_options)
        training.prepare(None if checkpoints is None else checkpoints.latest())
        if checkpoints is not None:
            training.stop = stack.enter_context(noted())
        return training.run()


class OneTraining:
    """See `train`; a `Listener` of its callbacks."""

    def __init__(self, kind, model, stages, checkpoints, save_every_batches, callbacks, verbose, fit_options):
        self.kind, self.model, self.stages, self.verbose = kind, model, stages, verbose
        self.checkpoints: Checkpoints | None = checkpoints
        self.save_every_batches = save_every_batches
        self.fit_options = dict(fit_options)
        self.steps_per_epoch = self.fit_options.pop("steps_per_epoch", None)
        self.callbacks = SpanningCallbacks(_listed(callbacks), model, self, verbose, stages[-1].end_epoch)
        self.states = CallbackStates(self.callbacks.callbacks)
        self.stop = StopSignal()
        self.place = Place()
        self._places = {id(stage.data): stage.data._pass.place() for stage in stages}  # of data that stages share
        self._found: Checkpoint | None = None
        self._random = None  # states to go back to at the next epoch's begin, or batch's within an epoch
        self._fit_begins = False  # so that the data are to be brought to their place
        self._steps_of_epoch = 0
        self._saved_seconds, self._cost_seconds = 0.0, 0.0

    # To the place where it begins

    @property
    def stage(self) -> Stage:
        """The one that the training is in."""
        return self.stages[self.place.stage]

    def prepare(self, found: Checkpoint | None) -> None:
        """Bring model, data and history to where a checkpoint has them, or to the beginning."""
        if found is None:
            self._go_to_data()
            model_state.ensure_built(self.model, self._batch)
            self._enter(quietly=False)
            return
        state = found.state
        self._require_same_kind(found)
        self._warn_of_other_versions(found)
        reached = Place(**state["place"])
        for number in range(reached.stage + 1):
            self.place.stage = number
            model_state.ensure_built(self.model, self._batch)
            self._enter(quietly=True)
        self.place, self._found = reached, found
        if self.place.step:
            model_state.ensure_metrics(self.model, len(state["variables"]["metrics"]), self._batch)
        self._restore_variables()
        for stage, seed, place in zip(self.stages, state["seeds"], state["places"]):
            stage.data._take_seed(seed)  # partitions to come are to be those of then
            self._places[id(stage.data)] = tuple(place)
        self.stage.data.load_state_dict(state["x"])
        if state["validation"] is not None and isinstance(self.stage.validation_data, OutOfCoreSequence):
            self.stage.validation_data.load_state_dict(state["validation"])
        self._random = from_plain(state["random"], found.arrays)
        history = self.callbacks.history
        history.history = from_plain(state["history"], found.arrays)
        if self.place.stopped and self.stages[-1].end_epoch > state["epochs"]:
            self.place.stopped = False  # who asks for more epochs wants to go on
        self._say_where(found)

    def _batch(self) -> Any:
        return self.stage.data._batches.load(self.place.pass_number, 0)

    def _enter(self, quietly: bool) -> None:
        said = self.stage.enter(self.model)
        if said and not quietly and self.verbose != 0:
            print(said)

    def _restore_variables(self) -> None:
        whose = f"The checkpoint {str(self._found.path)!r}"
        for group in ("model", "optimizer"):
            model_state.restore(self.model, group, self._found.state["variables"][group], self._found.arrays, whose)

    def _require_same_kind(self, found: Checkpoint) -> None:
        """Raise when the checkpoint is of a training that is cut into stages in another way, or has come further."""
        state, directory = found.state, str(self.checkpoints.directory)
        if state["kind"] != self.kind:
            raise DataError(
                f"{directory!r} holds a training by `{state['kind']}`, and this is one by `{self.kind}`. "
                "Choose another directory."
            )
        place, end = Place(**state["place"]), self.stages[-1].end_epoch
        if place.epoch > end:
            raise OptionError(
                f"{place.epoch} epochs of the training in {directory!r} are done already. Ask for {place.epoch} or "
                f"more, or choose another directory. Received: {end} epochs"
            )
        first = 0 if place.stage == 0 else self.stages[min(place.stage, len(self.stages)) - 1].end_epoch
        if place.stage >= len(self.stages) or not first <= place.epoch <= self.stages[place.stage].end_epoch:
            raise OptionError(
                f"The training in {directory!r} is in its part {place.stage + 1} at epoch {place.epoch + 1}, which is "
                "not where that part lies now. Leave the parts that are done as they were, or choose another directory."
            )

    def _warn_of_other_versions(self, found: Checkpoint) -> None:
        there = {"keras_oocore": found.written_by, **found.state["versions"]}
        others = [f"{name} {there.get(name)}, now {now}" for name, now in _versions().items() if there.get(name) != now]
        if others:
            warnings.warn(
                f"The checkpoint {str(found.path)!r} was written with {'; '.join(others)}. Weights, optimizer, history "
                "and the place in the data go on from it; what follows is not the same to the last bit, and dropout's "
                "draws are others.",
                stacklevel=5,
            )

    def _say_where(self, found: Checkpoint) -> None:
        if self.verbose == 0:
            return
        place, end = self.place, self.stages[-1].end_epoch
        where = f"epoch {place.epoch + 1} of {end}" + (f", batch {place.step + 1}" if place.step else "")
        if place.stopped:
            where = f"a callback stopped it after epoch {place.epoch} of {end}; to go on, ask for more epochs"
        elif place.epoch == end:
            where = f"all {end} epochs are done"
        print(f"Going on from {str(found.path)!r}: {where}.")

    # The training itself

    def run(self) -> keras.callbacks.History:
        """Call `fit` as often as it takes."""
        for number in range(self.place.stage, len(self.stages)):
            if number > self.place.stage:
                if self.place.stopped:
                    break
                self.place.stage = number
                self._go_to_data()
                self._enter(quietly=False)
            self._run_stage()
            self._places[id(self.stage.data)] = (self.place.pass_number, self.place.pass_batches)
        if not self.callbacks.begun:  # nothing was left to do
            self.callbacks.on_train_begin()
            optimizer = self.model.optimizer
            optimizer.finalize_variable_values(self.model.trainable_variables)
        self.callbacks.finish()
        return self.callbacks.history

    def _go_to_data(self) -> None:
        """The stage begins where its data are: at the beginning, or where an earlier stage has left them."""
        self.place.pass_number, self.place.pass_batches = self._places[id(self.stage.data)]

    def _run_stage(self) -> None:
        stage = self.stage
        while call := next_fit(self.place, stage.end_epoch, len(stage.data), self.steps_per_epoch):
            self._fit_begins, self._fit_ends_at = True, call.end_epoch
            self.callbacks.set_params({**self.callbacks.params, "steps": self.steps_per_epoch or len(stage.data)})
            try:
                self.model.fit(
                    stage.data if call.num_batches is None else Rest(stage.data, call.num_batches),
                    initial_epoch=call.first_epoch,
                    epochs=call.end_epoch,
                    steps_per_epoch=call.steps_per_epoch,
                    validation_data=stage.validation_data,
                    callbacks=self.callbacks,
                    verbose=self.verbose,
                    shuffle=False,  # of batch numbers, by Python's `random` in a thread of TensorFlow's
                    **self.fit_options,
                )
            finally:
                stage.data._pass.delivered = None
                stage.data._batches.close()  # or what it made ahead would stay while other data are used
            if self.place.epoch < self.stages[-1].end_epoch and not self.place.stopped:
                self._averaged.put_back()

    # What the callbacks tell

    @contextlib.contextmanager
    def beginning(self) -> Iterator[None]:
        """Around the callbacks' `on_train_begin`, after which they get back what they remembered."""
        with self.states.logs_cut_back({} if self._found is None else self._found.state["callbacks"]):
            yield
        self.states.begun()
        self._saved_seconds = time.monotonic()
        if self._found is not None:
            self.states.restore(self._found.state["callbacks"], self._found.arrays)
            self.callbacks.history.epoch = list(range(self.place.epoch))
        elif self.checkpoints is not None:
            self._save()  # a kill from here on loses nothing, and a disk that is full or read-only shows now

    def before_epoch(self, epoch: int) -> int:
        """Bring the data to their place at the first epoch of a `fit`: whatever Keras drew before does not count."""
        place, data = self.place, self.stage.data
        if self._fit_begins:
            data._seek(place.pass_number, place.pass_batches)
            self._fit_begins = False
        self._steps_before, self._batches_before = place.step, place.pass_batches
        left = len(data) - place.pass_batches
        self._steps_of_epoch = place.step + min(left, (self.steps_per_epoch or left + place.step) - place.step)
        if not place.step and self._random is not None:
            random_state.restore(self._random)
        data._pass.delivered = place.pass_batches
        return place.step

    def epoch_begun(self) -> None:
        """Note the random states: an iterator of torch's draws from them, and Keras may have made it long before."""
        if not self.place.step:
            self._random = random_state.captured()

    def before_batch(self) -> None:
        """At an epoch's first batch, undo what Keras drew; within one that goes on, all that beginning it changed."""
        if self._random is None:
            return
        if self.place.step:
            self._restore_variables()
            state, arrays = self._found.state, self._found.arrays
            whose = f"The checkpoint {str(self._found.path)!r}"
            model_state.restore(self.model, "metrics", state["variables"]["metrics"], arrays, whose)
            self.states.restore(state["callbacks"], arrays)
        random_state.restore(self._random)
        self._random = None

    def after_batch(self, step: int) -> None:
        """Count, and save when it is due, or when somebody wants the training to stop."""
        place = self.place
        step = min(step, self._steps_of_epoch)  # the last of several steps_per_execution may hold fewer
        batches = place.batches + step - place.step
        due = self._due_within(place.batches, batches)
        place.batches, place.step = batches, step
        place.pass_batches = self._batches_before + step - self._steps_before
        self.stage.data._pass.delivered = place.pass_batches
        if step == self._steps_of_epoch or self.model.stop_training:
            return  # the epoch's end follows
        if due or self.stop.received:
            self.callbacks.wait()
            self._save()
        self._stop_if_asked()

    def after_epoch(self, epoch: int) -> None:
        """The callbacks' `on_epoch_end` was called, after validation."""
        self.place.end_epoch(len(self.stage.data), self.steps_per_epoch)
        self.place.stopped = bool(self.model.stop_training)
        if self.stage.note is not None:
            name, value = self.stage.note
            self.callbacks.history.history.setdefault(name, []).append(value)
        last = self.place.stopped or self.place.epoch == self.stages[-1].end_epoch
        if self.place.epoch == self._fit_ends_at:
            self._averaged = AveragedWeights(self.model)
            self._random = random_state.captured()
        if self.checkpoints is not None and (last or self.stop.received or self._due_after_epoch()):
            self._save()
        if not last:
            self._stop_if_asked()

    # Saving

    def _due_within(self, batches_before: int, batches: int) -> bool:
        if self.checkpoints is None:
            return False
        if self.save_every_batches is not None:
            return batches // self.save_every_batches > batches_before // self.save_every_batches
        return time.monotonic() - self._saved_seconds > max(SECONDS_BETWEEN, COST * self._cost_seconds)

    def _due_after_epoch(self) -> bool:
        if self.save_every_batches is not None:
            return True
        return time.monotonic() - self._saved_seconds > COST * self._cost_seconds

    def _save(self) -> None:
        started = time.monotonic()
        state, arrays = self._state()
        try:
            self.checkpoints.save(state, arrays)
        except DestinationError as error:
            if self._found is None and self.place == Place():
                raise
            warnings.warn(f"The training goes on, but is not saved: {error}", stacklevel=2)
        self._saved_seconds = time.monotonic()
        self._cost_seconds = self._saved_seconds - started

    def _state(self) -> tuple[dict[str, Any], dict]:
        place, stage = self.place, self.stage
        paths, arrays = model_state.captured(self.model, with_metrics=place.step > 0)
        x = {**stage.data.state_dict(), "epoch": place.pass_number, "batches": place.pass_batches}
        state = {
            "kind": self.kind,
            "epochs": self.stages[-1].end_epoch,
            "place": dataclasses.asdict(place),
            "x": x,
            "places": [self._places[id(stage.data)] for stage in self.stages],
            "seeds": [stage.data.seed for stage in self.stages],
            "validation": _next_call(stage.validation_data),
            "history": to_plain(self.callbacks.history.history, arrays, "history"),
            "callbacks": self.states.captured(arrays),
            "random": to_plain(random_state.captured(), arrays, "random"),
            "variables": paths,
            "versions": {name: version for name, version in _versions().items() if name != "keras_oocore"},
        }
        return state, arrays

    def _stop_if_asked(self) -> None:
        if self.stop.received:
            print(f"{self.stop.name}: saved in {str(self.checkpoints.directory)!r}. Run the same again to go on.")
            self.stop.raise_again()


def _next_call(data: Any) -> dict[str, Any] | None:
    """The place at which the next call of `evaluate` will begin."""
    if not isinstance(data, OutOfCoreSequence):
        return None
    state = data.state_dict()
    return {**state, "epoch": state["epoch"] + (state["batches"] > 0), "batches": 0}


def _versions() -> dict[str, str]:
    return {"keras_oocore": __version__, "keras": keras.__version__, "backend": keras.backend.backend()}


def _listed(callbacks) -> list:
    if callbacks is None:
        return []
    callbacks = list(keras.tree.flatten(getattr(callbacks, "callbacks", callbacks)))
    if any(isinstance(callback, keras.callbacks.BackupAndRestore) for callback in callbacks):
        raise OptionError(
            "Leave `BackupAndRestore` out: the training is saved by `checkpoint`, and the two would disagree."
        )
    return callbacks


def _require_ours(fit_options: dict[str, Any]) -> None:
    for name in OURS:
        if name in fit_options:
            raise OptionError(f"`{name}` is decided by the Sequence and the checkpoint. Received: {name}=...")


def require_data(x: Any, validation_data: Any) -> None:
    """Raise when these are not data whose place can be saved.

    Raises:
        OptionError: which says what to pass.
    """
    if not isinstance(x, OutOfCoreSequence):
        raise OptionError(
            "`x` should be a Sequence of keras_oocore, whose place can be saved. For arrays, "
            f"ko.NpyManifestSequence(x, y). Received: {type(x).__name__}"
        )
    if x is validation_data:
        raise OptionError("Use one Sequence for training and another for validation. Received: the same for both")
