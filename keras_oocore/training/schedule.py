"""Integers only: the position of a training, and the calls of `fit` that lead from it to the end."""

import math
from dataclasses import dataclass


@dataclass
class TrainingPosition:
    """How far a training has come.

    Attributes:
        stage: Number of the current stage. Each stage has its own data, trained layers and learning rate.
        epoch: First epoch of the whole training that is not complete.
        step: Batches of that epoch that the model was given.
        pass_number: Number of the current pass over the stage's data.
        pass_batches: Batches of that pass that the model was given. Differs from `step` if `steps_per_epoch` is set.
        batches: Batches of the whole training that the model was given.
        stopped: Whether a callback stopped the training.
    """

    stage: int = 0
    epoch: int = 0
    step: int = 0
    pass_number: int = 0
    pass_batches: int = 0
    batches: int = 0
    stopped: bool = False

    def end_epoch(self, num_batches: int, steps_per_epoch: int | None) -> None:
        """Move to the next epoch, and to the next pass unless `steps_per_epoch` leaves this pass incomplete."""
        if steps_per_epoch is None or self.pass_batches >= num_batches:
            self.pass_number, self.pass_batches = self.pass_number + 1, 0
        self.epoch, self.step = self.epoch + 1, 0


@dataclass(frozen=True)
class FitCall:
    """One call of `fit`.

    Attributes:
        first_epoch: The `initial_epoch` of the call.
        end_epoch: The `epochs` of the call.
        num_batches: Batches that remain of the current pass, if the call trains on those. `None` for whole passes.
        steps_per_epoch: The `steps_per_epoch` of the call.
    """

    first_epoch: int
    end_epoch: int
    num_batches: int | None
    steps_per_epoch: int | None


def next_fit(
    position: TrainingPosition, end_epoch: int, num_batches: int, steps_per_epoch: int | None
) -> FitCall | None:
    """Return the call of `fit` that continues from `position`, or `None` at the end.

    Keras reads the length of the data once per call, so the rest of an epoch, or of a pass, needs its own call.

    Args:
        position: Where the training is.
        end_epoch: Epoch at which the stage ends.
        num_batches: Batches in a whole pass.
        steps_per_epoch: The argument of `fit`.

    >>> next_fit(TrainingPosition(epoch=2), end_epoch=5, num_batches=10, steps_per_epoch=None)
    FitCall(first_epoch=2, end_epoch=5, num_batches=None, steps_per_epoch=None)
    >>> next_fit(TrainingPosition(epoch=2, step=7, pass_batches=7), end_epoch=5, num_batches=10, steps_per_epoch=None)
    FitCall(first_epoch=2, end_epoch=3, num_batches=3, steps_per_epoch=None)
    >>> next_fit(TrainingPosition(epoch=2, step=1, pass_batches=5), end_epoch=9, num_batches=10, steps_per_epoch=4)
    FitCall(first_epoch=2, end_epoch=3, num_batches=5, steps_per_epoch=3)
    >>> next_fit(TrainingPosition(epoch=3, pass_batches=4), end_epoch=9, num_batches=10, steps_per_epoch=4)
    FitCall(first_epoch=3, end_epoch=5, num_batches=6, steps_per_epoch=4)
    """
    if position.epoch >= end_epoch or position.stopped:
        return None
    remaining = num_batches - position.pass_batches
    if position.step or (position.pass_batches and steps_per_epoch is None):
        steps = None if steps_per_epoch is None else steps_per_epoch - position.step
        return FitCall(position.epoch, position.epoch + 1, remaining, steps)
    if position.pass_batches:
        last = min(end_epoch, position.epoch + math.ceil(remaining / steps_per_epoch))
        return FitCall(position.epoch, last, remaining, steps_per_epoch)
    return FitCall(position.epoch, end_epoch, None, steps_per_epoch)
