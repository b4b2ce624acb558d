"""The number of loading threads and of batches made ahead, within a memory limit."""

from dataclasses import dataclass

import numpy as np

from keras_oocore.batches.options import BatchFormat
from keras_oocore.core.checks import positive
from keras_oocore.core.cpu import num_cpus
from keras_oocore.core.errors import OptionError
from keras_oocore.core.sizes import default_limit_bytes, format_bytes, parse_bytes

BATCHES_IN_USE = 2  # the batch that the model uses, and the next one
FEWEST_AHEAD, MOST_AHEAD, AHEAD_BYTES = 10, 256, 4 * 2**20  # of batches ahead: as in Keras, and more if they are small


@dataclass(frozen=True)
class Budget:
    """The number of threads and of batches of a Sequence.

    Attributes:
        num_workers: Number of loading threads. With `0`, the thread that asks for a batch loads it.
        max_ahead: Number of batches that may be made before they are asked for.
    """

    num_workers: int
    max_ahead: int

    @classmethod
    def of(
        cls, format: BatchFormat, memory_limit: int | str | None, workers: int | None, max_queue_size: int
    ) -> "Budget":
        """Return the budget for batches of a format.

        Args:
            format: Format of the batches.
            memory_limit: Limit of all batches in flight, in bytes or as a string such as `"128MB"`, or `None` for the
                default.
            workers: Number of threads, or `None` for one per available core.
            max_queue_size: The largest number of batches ahead.

        Raises:
            OptionError: If an argument is not valid, or the limit is too small for two batches.
        """
        num_workers = num_threads(workers)
        limit_bytes = default_limit_bytes() if memory_limit is None else parse_bytes(memory_limit)
        scratch_bytes = max(1, num_workers) * format.scratch_bytes
        max_ahead = (limit_bytes - scratch_bytes) // format.batch_bytes - BATCHES_IN_USE
        max_queue_size = positive(max_queue_size, "max_queue_size")
        if max_ahead < 0:
            raise OptionError(
                f"`memory_limit` of {format_bytes(limit_bytes)} is too small for two batches of "
                f"{format_bytes(format.batch_bytes)}. Use a smaller batch_size, or "
                f"memory_limit={BATCHES_IN_USE * format.batch_bytes + scratch_bytes} or more."
            )
        return cls(num_workers, min(max_queue_size, max_ahead))

    @property
    def batches_in_flight(self) -> int:
        """The largest number of batches that exist at the same time."""
        return self.max_ahead + BATCHES_IN_USE


def queue_size(batch_bytes: int) -> int:
    """Return how many batches of a size are made ahead by default.

    >>> queue_size(10_000_000), queue_size(100_000), queue_size(1)
    (10, 41, 256)
    """
    return min(max(FEWEST_AHEAD, AHEAD_BYTES // max(1, batch_bytes)), MOST_AHEAD)


def num_threads(workers: int | None) -> int:
    """Return `workers`, or the number of cores that this process may use.

    Raises:
        OptionError: If `workers` is neither `None` nor an integer of 0 or more.
    """
    if workers is None:
        return num_cpus()
    if isinstance(workers, bool) or not isinstance(workers, int | np.integer) or workers < 0:
        raise OptionError(f"`workers` should be a number of threads, 0 or more, or None. Received: workers={workers!r}")
    return int(workers)
