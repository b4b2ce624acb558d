"""When all processes of a training stop: after the same batch, whichever of them is asked to.

The others would wait forever for the gradients of a process that stops alone. So the processes meet every few batches,
tell each other, and stop together. A training in one process meets after every batch.
"""

import math
import time
from typing import Any

from keras_oocore.training.processes import Processes

SECONDS = 2  # about, between two meetings within an epoch


class Agreement:
    """What the processes of a training agree on.

    Args:
        processes: The processes.

    Attributes:
        signal: The signal that one of the processes received, or `None`.
        stops: Whether a callback of one of the processes stopped the training.
        saves: Whether process 0 saves the training now.

    >>> agreement = Agreement(Processes(None))
    >>> agreement.within_epoch(1, None, stops=True, saves=False)
    >>> agreement.signal, agreement.stops, agreement.saves
    (None, True, False)
    """

    def __init__(self, processes: Processes):
        self._processes: Processes = processes
        self.signal: int | None = None
        self.stops: bool = False
        self.saves: bool = False
        self._wants_to_stop = False  # asked since the last meeting
        self._next_batches = 0  # batches of the training at the next meeting
        self._last: tuple[int, float] | None = None  # batches and time of the last one

    def within_epoch(
        self, batches: int, signal: int | None, stops: bool, saves: bool = False, required: bool = False
    ) -> None:
        """Meet, if enough batches were trained since the last meeting.

        Args:
            batches: Batches of the whole training that the model was given.
            signal: The signal that this process received.
            stops: Whether a callback of this process stopped the training.
            saves: Whether this process would save now. That of process 0 counts.
            required: Whether to meet in any case, as all processes know.
        """
        self._wants_to_stop |= stops
        self.saves = False
        if required or self._processes.count == 1 or batches >= self._next_batches:
            self.meet(batches, signal, stops, saves)

    def meet(self, batches: int, signal: int | None, stops: bool, saves: bool = False) -> None:
        """Meet now."""
        now_seconds, ahead = time.monotonic(), 1
        if self._last is not None:
            batches_before, seconds_before = self._last
            per_batch_seconds = (now_seconds - seconds_before) / max(batches - batches_before, 1)
            ahead = max(int(SECONDS / max(per_batch_seconds, 1e-6)), 1)
        told = self._processes.gathered([signal or 0, stops or self._wants_to_stop, ahead, saves])
        self.signal = int(max(row[0] for row in told)) or None
        self.stops = any(row[1] for row in told)
        self.saves = bool(told[0][3])
        self._wants_to_stop = False
        self._next_batches, self._last = batches + int(told[0][2]), (batches, now_seconds)

    def averaged(self, logs: dict[str, Any] | None) -> dict[str, Any]:
        """Return the logs of an epoch with the mean of every number over all processes.

        So callbacks decide the same in all of them. The shards of a batch have equal sizes, so this is the loss of all
        samples. If Keras computes one number for all processes, as on JAX, it does not change.
        """
        logs = dict(logs or {})
        if self._processes.count == 1:
            return logs
        numbers = {name: number for name, value in logs.items() if (number := _number(value)) is not None}
        told = self._processes.gathered(list(numbers.values()))
        for name, *values in zip(numbers, *told):
            logs[name] = values[0] if len({*values}) == 1 else math.fsum(values) / len(values)
        return logs


def _number(value: Any) -> float | None:
    """Return a number, or a tensor of one number, as a float."""
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return None
