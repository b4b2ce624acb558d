"""Whether a checkpoint belongs to the training that is to go on from it, and what it says of it to a person."""

import warnings
from typing import Any

import keras

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import display_path
from keras_oocore.core.version import __version__
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.training.schedule import Place
from keras_oocore.training.state.checkpoints import Checkpoint


def versions() -> dict[str, str]:
    """What a training must share with its checkpoint to be the same to the last bit."""
    return {"keras_oocore": __version__, "keras": keras.__version__, "backend": keras.backend.backend()}


def require_same_training(found: Checkpoint, kind: str, end_epochs: list[int], steps_per_epoch: int | None) -> None:
    """Raise when the checkpoint is of a training that is cut into stages in another way, or has come further.

    Args:
        found: the checkpoint.
        kind: the function that trains.
        end_epochs: of each stage.
        steps_per_epoch: as `fit` has it.

    Raises:
        DataError: when another function wrote it.
        OptionError: when it stands where this training does not come by.
    """
    state, directory = found.state, display_path(found.path.parent)
    if state["kind"] != kind:
        raise DataError(
            f"{directory!r} holds a training by `{state['kind']}`, and this is one by `{kind}`. "
            "Choose another directory."
        )
    place = Place(**state["place"])
    if place.epoch > end_epochs[-1]:
        raise OptionError(
            f"{place.epoch} epochs of the training in {directory!r} are done already. Ask for {place.epoch} or more, "
            f"or choose another directory. Received: {end_epochs[-1]} epochs"
        )
    begins = [0, *end_epochs]
    done_as_then = state["ends"] == end_epochs[: place.stage]
    within = place.stage < len(end_epochs) and begins[place.stage] <= place.epoch <= end_epochs[place.stage]
    if not (done_as_then and within):
        raise OptionError(
            f"The training in {directory!r} is in its part {place.stage + 1}, and {place.epoch} epochs are done; that "
            "part lies elsewhere now. Leave the parts that are done as they were, or choose another directory."
        )
    was = state["steps_per_epoch"]
    if was != steps_per_epoch and (place.step or place.pass_batches):
        raise OptionError(
            f"The training in {directory!r} stands within a pass over its data, with steps_per_epoch={was}. Pass the "
            f"same. Received: steps_per_epoch={steps_per_epoch}"
        )


def warn_of_other_versions(found: Checkpoint) -> None:
    """Warn when the training cannot go on to the last bit, because other versions or another backend wrote this."""
    there = found.state["versions"]
    others = [f"{name} {there.get(name)}, now {now}" for name, now in versions().items() if there.get(name) != now]
    if others:
        warnings.warn(
            f"The checkpoint {display_path(found.path)!r} was written with {'; '.join(others)}. Weights, optimizer, "
            "history and the place in the data go on from it, but not bit-identically: dropout draws differently, for "
            "one.",
            stacklevel=5,  # the line that called a function of ours
        )


def where(place: Place, end_epoch: int) -> str:
    """How far a training has come, in words; epochs and batches count from 1, as Keras prints them.

    >>> where(Place(epoch=2, step=7), end_epoch=5)
    'epoch 3 of 5, batch 8'
    """
    if place.stopped:
        return f"a callback stopped it after epoch {place.epoch} of {end_epoch}; to go on anyway, make it longer"
    if place.epoch >= end_epoch:
        return f"all {end_epoch} epochs are done"
    return f"epoch {place.epoch + 1} of {end_epoch}" + (f", batch {place.step + 1}" if place.step else "")


def state_at(data: OutOfCoreSequence, epoch: int, batches: int) -> dict[str, Any]:
    """The state of a Sequence at a place that the training knows better, because Keras asks for batches ahead."""
    return {**data.state_dict(), "epoch": epoch, "batches": batches}


def load_states(data: dict[str, OutOfCoreSequence], states: dict[str, dict], whose: str) -> None:
    """Bring Sequences to their places.

    Args:
        data: by number of the stage.
        states: likewise.
        whose: what a user calls the data.

    Raises:
        DataError, OptionError: when one is not that of then.
    """
    for number, sequence in data.items():
        if number in states:
            try:
                sequence.load_state_dict(states[number])
            except (DataError, OptionError) as error:
                part = f" of part {int(number) + 1}" if len(data) > 1 else ""
                raise type(error)(f"{whose}{part} and the checkpoint do not go together. {error}") from error


def next_call(data: OutOfCoreSequence) -> dict[str, Any]:
    """The state of a Sequence at the place where the next call of `evaluate` begins."""
    state = data.state_dict()
    return {**state, "epoch": state["epoch"] + (state["batches"] > 0), "batches": 0}
