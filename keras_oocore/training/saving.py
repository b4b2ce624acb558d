"""When a training is saved: as often as it was asked to, or so that saving costs a twentieth of the time at most."""

import time

COST = 20  # training takes so many times as long as writing a checkpoint, before the next one: under 5 %
SECONDS_BETWEEN = 60  # two checkpoints within an epoch, at least


class SavingTimes:
    """Says when a checkpoint is due.

    Args:
        every_batches: save after so many, and at the end of each epoch; `None` goes by time.
    """

    def __init__(self, every_batches: int | None):
        self.every_batches = every_batches
        self._cost_seconds = 0.0
        self._ended_seconds = time.monotonic()  # of the checkpoint before

    def due_within_epoch(self, batches_before: int, batches: int) -> bool:
        """Whether one is due between two batches, of which the training had so many before and has so many now."""
        if self.every_batches is not None:
            return batches // self.every_batches > batches_before // self.every_batches
        return self._trained_seconds > max(SECONDS_BETWEEN, COST * self._cost_seconds)

    def due_after_epoch(self) -> bool:
        """Whether one is due when an epoch has ended; of epochs shorter than it is worth, not after each."""
        return self.every_batches is not None or self._trained_seconds > COST * self._cost_seconds

    @property
    def _trained_seconds(self) -> float:
        return time.monotonic() - self._ended_seconds

    def saved(self, seconds: float) -> None:
        """A checkpoint was written, which took so long."""
        self._cost_seconds, self._ended_seconds = seconds, time.monotonic()
