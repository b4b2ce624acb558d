"""What all jobs of a pipeline share: which samples each batch has, and the memory that batches are made in."""

import numpy as np

from keras_oocore.batches.options import BatchFormat, BatchOptions
from keras_oocore.batches.padding import Padding
from keras_oocore.batches.pool import BufferPool
from keras_oocore.core.errors import SampleError
from keras_oocore.ordering.order import Order
from keras_oocore.sources.base import Source

SKIPPED = -1  # stands for a sample that was left out


class BatchPlan:
    """The batches of every epoch, as they are planned. A plan never changes.

    Args:
        source: The samples.
        order: The order of the samples.
        options: How samples become batches.
        batches_per_job: Number of batches per job.
        keep_buffers: The largest number of idle buffers to keep.
        bad_samples: Dictionary from sample to error. Jobs add the samples that cannot be read.

    Attributes:
        format: `BatchFormat`, shape, dtype and size of the batches.
        padding: The `Padding` of every batch, or `None`.
        num_samples, num_batches, num_jobs: Number of samples, batches and jobs per epoch.
    """

    def __init__(
        self,
        source: Source,
        order: Order,
        options: BatchOptions,
        batches_per_job: int = 1,
        keep_buffers: int = 0,
        bad_samples: dict[int, SampleError] | None = None,
    ):
        self.source: Source = source
        self.order: Order = order
        self.options: BatchOptions = options
        self.format: BatchFormat = BatchFormat(source.spec, options)
        self.padding: Padding | None = Padding(options, order.size_of_all_shards) if options.pads else None
        self.num_samples: int = order.size
        self.num_batches: int = options.num_batches(order.size)
        self.batches_per_job = batches_per_job
        self.num_jobs: int = -(-self.num_batches // batches_per_job)
        self.pool: BufferPool = BufferPool(batches_per_job * self.format.batch_bytes, keep_buffers)
        self.bad_samples: dict[int, SampleError] = {} if bad_samples is None else bad_samples
        # Epoch -> first position of a batch -> row -> sample served there, or SKIPPED.
        self.served_instead: dict[int, dict[int, dict[int, int]]] = {}

    def served(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """Return the samples of the rows of batches that were made, in this order.

        There are no skipped samples, and replacements and repeated samples are included.

        Args:
            epoch: Number of the epoch.
            positions: Positions of the batches in the epoch, an `int64` array.
        """
        if not len(positions):
            return np.empty(0, np.int64)
        first, size = int(positions.min()), self.options.batch_size
        samples = np.array(self.planned(epoch, first, int(positions.max()) + 1 - first))
        for start, rows in self.served_instead.get(epoch, {}).copy().items():
            for row, sample in rows.items():
                if 0 <= start + row - first * size < len(samples):
                    samples[start + row - first * size] = sample
        if self.padding is not None:
            batches = (samples[start : start + size] for start in ((positions - first) * size).tolist())
            return np.concatenate([self.padding.repeated(batch[batch != SKIPPED]) for batch in batches])
        rows = ((positions - first)[:, np.newaxis] * size + np.arange(size)).ravel()
        samples = samples[rows[rows < len(samples)]]  # the last batch may be shorter
        return samples[samples != SKIPPED]

    def record(self, epoch: int, start: int, planned: np.ndarray, served: np.ndarray) -> None:
        """Record which samples a batch has. It begins at position `start` of the epoch."""
        instead = {}
        if served is not planned:
            left_out = len(served) < len(planned)
            rows = np.flatnonzero(~np.isin(planned, served) if left_out else planned != served)
            instead = {int(row): SKIPPED if left_out else int(served[row]) for row in rows}
        if instead:
            self.served_instead.setdefault(epoch, {})[start] = instead
        elif self.served_instead:
            self.served_instead.get(epoch, {}).pop(start, None)  # of the same batch, made before

    def forget_before(self, epoch: int) -> None:
        """Forget what was served in the epochs before `epoch`."""
        for other in list(self.served_instead):
            if other < epoch:
                self.served_instead.pop(other, None)

    def planned(self, epoch: int, position: int, num_batches: int = 1) -> np.ndarray:
        """Return the samples of `num_batches` batches of an epoch, starting at `position`."""
        return self.order.samples(epoch, *self.bounds(position, num_batches))

    def rows(self, epoch: int, position: int) -> np.ndarray:
        """Return the sample of each row of a batch, with those that fill it."""
        samples = self.planned(epoch, position)
        return samples if self.padding is None else self.padding.repeated(samples)

    def bounds(self, position: int, num_batches: int = 1) -> tuple[int, int]:
        """Return the positions in the order of the samples where these batches begin and end."""
        start = position * self.options.batch_size
        return start, min(start + num_batches * self.options.batch_size, self.num_samples)

    def lease(self, num_rows: int) -> dict[str, np.ndarray]:
        """Return the arrays for rows of batches, by name.

        Their memory returns to the pool when the last view of any of them is deleted.
        """
        return self.format.arrays(self.pool.lease(), num_rows)
