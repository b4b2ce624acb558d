"""Hands out the batches one by one; small ones are made several at a time, or passing them on would cost more."""

import threading
from typing import Any

from keras_oocore.batches.budget import HELD_BATCHES
from keras_oocore.batches.loader import BatchLoader
from keras_oocore.batches.maker import BatchMaker, Failure
from keras_oocore.core.forks import register_fork_aware

MOST_TOGETHER_BYTES = 2**20


class Batches:
    """The batches of every epoch, made ahead in threads.

    Args:
        maker: of the batches; how many it makes at a time is set here.
        num_workers: threads.
        max_ahead: batches made before they are asked for.
    """

    def __init__(self, maker: BatchMaker, num_workers: int, max_ahead: int):
        in_flight = max_ahead + HELD_BATCHES
        if maker.recipe is not None and num_workers:  # rows of a table
            together = min(in_flight // (num_workers + HELD_BATCHES + 1), MOST_TOGETHER_BYTES // maker.batch_bytes)
            maker.make_together(max(1, together))
        jobs_in_flight = in_flight // maker.batches_per_job
        maker.pool.keep = jobs_in_flight
        self.maker, self.max_ahead = maker, max_ahead
        self.loader = BatchLoader(maker.job, num_workers, jobs_in_flight - HELD_BATCHES)
        self.reset_after_fork()
        register_fork_aware(self)

    def reset_after_fork(self) -> None:
        """A lock that nobody holds: in a copy, or a forked child."""
        self._lock = threading.Lock()
        self._made = (None, [])  # number of the job made last, and its batches that nobody asked for yet

    def get(self, epoch: int, position: int) -> Any:
        """The batch at a position of an epoch's plan; the ones after it are started, those before it forgotten."""
        job_of_epoch, place = divmod(position, self.maker.batches_per_job)
        number = epoch * self.maker.num_jobs + job_of_epoch
        if self.maker.batches_per_job == 1:
            return self.loader.get(number)[0]
        with self._lock:
            made_number, batches = self._made
            if made_number != number:
                self._made = (None, [])
                batches = self.loader.get(number)
                self._made = (number, batches)
            batch, batches[place] = batches[place], None
        if batch is None:  # asked for a second time
            return self.load(epoch, position)
        if isinstance(batch, Failure):
            raise batch.error
        return batch

    def load(self, epoch: int, position: int) -> Any:
        """The batch at a position of an epoch's plan, made now and before all others."""
        return self.loader.run(self.maker.single, epoch, position)[0]

    def close(self) -> None:
        """End the threads and forget what was made. The next `get` starts anew."""
        self.loader.close()
        self._made = (None, [])
        self.maker.pool.clear()

    def __reduce__(self):
        return Batches, (self.maker, self.loader.num_workers, self.max_ahead)
