"""Makes batches as fast as possible and times them, for a `Profile`."""

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from keras_oocore.batches.job import BatchJob, Failure
from keras_oocore.batches.loader import BatchLoader, Job
from keras_oocore.batches.maker import BatchMaker
from keras_oocore.batches.pipeline import Pipeline
from keras_oocore.batches.profile import STAGES, Profile, Settings
from keras_oocore.core.cpu import num_cpus
from keras_oocore.core.errors import DataError
from keras_oocore.core.stopwatch import Stopwatch

WARM_UP_BATCHES = 2  # they start threads, allocate memory, and import modules that readers import late


def measure(pipeline: Pipeline, max_queue_size: int, epoch: int, num_batches: int, warm_up: int) -> Profile:
    """Make batches as fast as possible with the settings of a pipeline, and time them. The pipeline stays unchanged.

    Args:
        pipeline: The pipeline whose settings are used.
        max_queue_size: Argument of the Sequence.
        epoch: Epoch of the first batch.
        num_batches: Number of batches to time. If one job makes several batches, a few more are timed.
        warm_up: Number of batches to make before them, without timing.

    Raises:
        DataError: If none of the batches can be made.
    """
    maker, loader = pipeline.maker, pipeline.loader
    settings = Settings(
        batch_size=maker.options.batch_size,
        num_workers=loader.num_workers,
        num_cores=num_cpus(),
        batches_ahead=pipeline.budget.max_ahead if loader.num_workers else 0,
        max_queue_size=max_queue_size,
        batch_bytes=maker.format.batch_bytes,
        memory_bytes=maker.pool.keep * maker.pool.buffer_bytes
        + max(1, loader.num_workers) * maker.format.scratch_bytes,
        shuffle=maker.options.shuffle,
        converts=maker.format.converts,
        cached=maker.source.cached,
        can_shuffle_blocks=maker.source.can_shuffle_blocks,
        has_opencv=find_spec("cv2") is not None,
        cacheable=maker.source.cacheable,
    )
    stopwatch = Stopwatch()
    first = epoch * maker.num_jobs
    per_job = min(maker.batches_per_job, maker.num_batches)
    warm_up, num_jobs = (-(-number // per_job) for number in (warm_up, num_batches))
    counted = range(first + warm_up, first + warm_up + num_jobs)

    def make_job(number: int) -> Job:
        return TimedJob(maker, number, stopwatch) if number in counted else maker.job(number)

    num_rows, errors = [], []  # of each batch that was made, and of the others
    with BatchLoader(make_job, loader.num_workers, loader.max_ahead) as apart:
        for number in range(first, counted.start):
            with contextlib.suppress(DataError):
                apart.load(number)  # unlike `get`, it starts no other batches, so none is made before the clock starts
        started = perf_counter()
        for number in counted:
            for size, error in _outcomes(apart, maker, number):
                if error is None:
                    num_rows.append(size)
                else:
                    errors.append(error)
        seconds = perf_counter() - started
    if not num_rows:
        raise errors[0]
    stages = [*STAGES, *sorted(set(stopwatch.seconds) - set(STAGES))]
    per_batch, cpu_per_batch = (
        {stage: watched[stage] / len(num_rows) for stage in stages}
        for watched in (stopwatch.seconds, stopwatch.cpu_seconds)
    )
    per_batch["waiting"] = seconds / len(num_rows)
    messages = tuple(map(str, errors))
    return Profile(len(num_rows), sum(num_rows), seconds, per_batch, settings, cpu_per_batch, messages)


def _outcomes(loader: BatchLoader, maker: BatchMaker, number: int) -> Iterator[tuple[int, DataError | None]]:
    """Make the batches of a job, and yield the number of samples of each, and an error if it cannot be made."""
    job = maker.job(number)
    try:
        batches = loader.get(number)
    except DataError as error:
        batches = [Failure(error)] * job.num_batches
    for index, batch in enumerate(batches):
        size = min(maker.options.batch_size, job.num_rows - index * maker.options.batch_size)
        if not isinstance(batch, Failure):
            yield size, None
        elif isinstance(batch.error, DataError):
            yield size, batch.error
        else:
            raise batch.error


class TimedJob:
    """A job that is timed with a stopwatch."""

    def __init__(self, maker: BatchMaker, number: int, stopwatch: Stopwatch):
        self.stopwatch = stopwatch
        with stopwatch.running("assembling"):
            self.job: BatchJob = maker.job(number)
        self.num_rows: int = self.job.num_rows
        self.rows_per_task: int = self.job.rows_per_task

    def fill(self, start: int, stop: int) -> None:
        with self.stopwatch.running("assembling"):
            self.job.fill(start, stop)

    def prefetch_next(self) -> None:
        with self.stopwatch.running("assembling"):
            self.job.prefetch_next()

    def finish(self) -> Any:
        with self.stopwatch.running("assembling"):
            return self.job.finish()
