"""A pipeline makes batches ahead of time from a source, an order and options."""

import threading
from dataclasses import replace
from typing import Any

from keras_oocore.batches.budget import BATCHES_IN_USE, Budget
from keras_oocore.batches.job import Failure
from keras_oocore.batches.loader import BatchLoader
from keras_oocore.batches.maker import BatchMaker
from keras_oocore.batches.options import BatchFormat, BatchOptions
from keras_oocore.core.errors import SampleError
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.ordering.order import Order
from keras_oocore.sources.base import Source

GROUP_BYTES = 2**20  # the largest size of the small batches that one job makes
MOST_TRANSFORMED = 8  # batches that one job makes with a `transform`, because the first one waits for the last one


class Pipeline:
    """Makes the batches of every epoch ahead of time, in threads. It never changes.

    If `source.groups_batches`, one job makes several small batches, because handing over a batch takes longer than
    making it.

    Args:
        source: The samples.
        order: The order of the samples.
        options: How samples become batches.
        budget: Number of threads, and of batches to make ahead.
        bad_samples: Dictionary from sample to error. Samples that cannot be read are added.

    >>> import numpy as np
    >>> from keras_oocore.sources.arrays import ArrayRows
    >>> rows = ArrayRows(np.arange(6))
    >>> pipeline = Pipeline(rows, rows.order(False, seed=0, batch_size=4), BatchOptions(4), Budget(1, max_ahead=1))
    >>> pipeline.get(epoch=0, position=0), pipeline.get(epoch=0, position=1)
    (array([0, 1, 2, 3]), array([4, 5]))
    """

    def __init__(
        self,
        source: Source,
        order: Order,
        options: BatchOptions,
        budget: Budget,
        bad_samples: dict[int, SampleError] | None = None,
    ):
        self.source: Source = source
        self.order: Order = order
        self.options: BatchOptions = options
        self.budget: Budget = budget
        batches_per_job = _batches_per_job(source, BatchFormat(source.spec, options), budget)
        jobs_in_flight = budget.batches_in_flight // batches_per_job
        self.maker: BatchMaker = BatchMaker(source, order, options, batches_per_job, jobs_in_flight, bad_samples)
        self.loader: BatchLoader = BatchLoader(self.maker.job, budget.num_workers, jobs_in_flight - BATCHES_IN_USE)
        self.reset_after_fork()
        register_fork_aware(self)

    def reset_after_fork(self) -> None:
        """Create an unlocked lock and forget batches, in a forked child."""
        self._lock = threading.Lock()
        self._made = (None, [])  # number of the last job, and its batches that were not requested yet

    def with_order(self, order: Order) -> "Pipeline":
        """Return a pipeline of the same source in another order."""
        return Pipeline(self.source, order, self.options, self.budget)

    def with_seed(self, seed: int) -> "Pipeline":
        """Return a pipeline of the same source with another seed, for the order and for `transform`.

        Raises:
            OptionError: If `seed` is not valid.
        """
        options = replace(self.options, seed=seed)
        return Pipeline(self.source, self.order.reseeded(seed), options, self.budget, self.bad_samples)

    @property
    def bad_samples(self) -> dict[int, SampleError]:
        """Samples that could not be read so far, with their errors."""
        return self.maker.bad_samples

    def get(self, epoch: int, position: int) -> Any:
        """Return the batch at a position of an epoch, and start the next batches. Earlier batches are dropped.

        If it raises an error, all batches made ahead are dropped.
        """
        maker = self.maker
        if maker.served_instead:
            maker.forget_before(epoch - 1)
        job_of_epoch, index = divmod(position, maker.batches_per_job)
        number = epoch * maker.num_jobs + job_of_epoch
        if maker.batches_per_job == 1:
            return self.loader.get(number)[0]
        with self._lock:
            made_number, batches = self._made
            if made_number != number:
                self._made = (None, [])
                batches = self.loader.get(number)
                self._made = (number, batches)
            batch, batches[index] = batches[index], None
        if batch is None:  # requested a second time, or not made at exit
            return self.load(epoch, position)
        if not isinstance(batch, Failure):
            return batch
        try:
            self._made = (None, [])  # as the loader does if it raises an error
            self.loader.forget()
            raise batch.error
        finally:
            del batch, batches  # the traceback refers to this frame, which must not refer to the error

    def load(self, epoch: int, position: int) -> Any:
        """Return the batch at a position of an epoch. It is made now, before all other batches."""
        return self.loader.run(self.maker.single, epoch, position)[0]

    def close(self) -> None:
        """Stop the threads and drop batches that were made ahead. The next `get` starts threads again."""
        self.loader.close()
        self._made = (None, [])
        self.maker.pool.clear()

    def __reduce__(self) -> tuple[Any, ...]:
        return Pipeline, (self.source, self.order, self.options, self.budget, self.bad_samples)


def _batches_per_job(source: Source, format: BatchFormat, budget: Budget) -> int:
    if not (source.groups_batches and budget.num_workers):
        return 1
    most = GROUP_BYTES // format.batch_bytes
    if format.transform is not None:
        most = min(most, MOST_TRANSFORMED)
    jobs = budget.num_workers + BATCHES_IN_USE + 1
    return max(1, min(budget.batches_in_flight // jobs, most))
