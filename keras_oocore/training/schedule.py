"""Integers only: which calls of `fit` one training takes, from the place that it has come to."""

import math
from dataclasses import dataclass


@dataclass
class Place:
    """How far a training has come.

    Attributes:
        stage: number of the stage: the part of the training that has data, layers and learning rate of its own.
        epoch: of the whole training; the first that is not done.
        step: batches of that epoch that the model was given.
        pass_number: of the stage's data.
        pass_batches: batches of that pass that the model was given; with `steps_per_epoch` other than `step`.
        batches: of the whole training, that the model was given.
        stopped: whether a callback stopped the training.
    """

    stage: int = 0
    epoch: int = 0
    step: int = 0
    pass_number: int = 0
    pass_batches: int = 0
    batches: int = 0
    stopped: bool = False

    def end_epoch(self, num_batches: int, steps_per_epoch: int | None) -> None:
        """An epoch has ended, and its pass too, unless `steps_per_epoch` lets that go on."""
        if steps_per_epoch is None or self.pass_batches >= num_batches:
            self.pass_number, self.pass_batches = self.pass_number + 1, 0
        self.epoch, self.step = self.epoch + 1, 0


@dataclass(frozen=True)
class FitCall:
    """One call of `fit`.

    Attributes:
        first_epoch: as `initial_epoch`.
        end_epoch: as `epochs`.
        num_batches: of a pass that are left and to be used up; `None` for whole passes.
        steps_per_epoch: as `fit` has it.
    """

    first_epoch: int
    end_epoch: int
    num_batches: int | None
    steps_per_epoch: int | None


def next_fit(place: Place, end_epoch: int, num_batches: int, steps_per_epoch: int | None) -> FitCall | None:
    """The call of `fit` that goes on from `place`, or `None` at the end.

    Keras takes the length of the data once a call, so what is left of an epoch, or of a pass, has a call of its own.

    Args:
        place: where the training is.
        end_epoch: of the stage.
        num_batches: of a whole pass.
        steps_per_epoch: as `fit` has it.

    >>> next_fit(Place(epoch=2), end_epoch=5, num_batches=10, steps_per_epoch=None)
    FitCall(first_epoch=2, end_epoch=5, num_batches=None, steps_per_epoch=None)
    >>> next_fit(Place(epoch=2, step=7, pass_batches=7), end_epoch=5, num_batches=10, steps_per_epoch=None)
    FitCall(first_epoch=2, end_epoch=3, num_batches=3, steps_per_epoch=None)
    >>> next_fit(Place(epoch=2, step=1, pass_batches=5), end_epoch=9, num_batches=10, steps_per_epoch=4)
    FitCall(first_epoch=2, end_epoch=3, num_batches=5, steps_per_epoch=3)
    >>> next_fit(Place(epoch=3, pass_batches=4), end_epoch=9, num_batches=10, steps_per_epoch=4)
    FitCall(first_epoch=3, end_epoch=5, num_batches=6, steps_per_epoch=4)
    """
    if place.epoch >= end_epoch or place.stopped:
        return None
    left = num_batches - place.pass_batches
    if place.step or (place.pass_batches and steps_per_epoch is None):
        steps = None if steps_per_epoch is None else steps_per_epoch - place.step
        return FitCall(place.epoch, place.epoch + 1, left, steps)
    if place.pass_batches:
        return FitCall(
            place.epoch, min(end_epoch, place.epoch + math.ceil(left / steps_per_epoch)), left, steps_per_epoch
        )
    return FitCall(place.epoch, end_epoch, None, steps_per_epoch)
