"""Fill a packed store before training, with a progress bar: in threads, or on an executor."""

from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

import numpy as np

from keras_oocore.core.errors import BusyError, DataError, SampleError
from keras_oocore.core.locks import who_locked
from keras_oocore.core.progress import tqdm
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.tasks import in_threads, on_executor, rows_per_task
from keras_oocore.core.warn import warn_user
from keras_oocore.sources.cached import Cached
from keras_oocore.sources.store_task import WrittenRows, write_rows
from keras_oocore.store.row_checksums import stored_checksums

TASK_BYTES, TASK_ROWS = 2**22, 64  # a thread reads at most this much between two updates of the progress bar
EXECUTOR_TASK_BYTES, EXECUTOR_TASK_ROWS = 2**26, 512  # some seconds of work, against the price of a task on a cluster
MOST_NAMED = 5  # files in a message
AGAIN = "The rows that are stored stay: call `pack` again with a new executor, and it continues."


def fill_store(
    samples: Cached,
    num_workers: int,
    bad_samples: dict[int, SampleError] | None = None,
    executor: Executor | None = None,
) -> None:
    """Read all missing samples in their order on disk, store them, and finish the store.

    Args:
        samples: The samples whose store is filled.
        num_workers: Number of threads, at least 1, without an executor.
        bad_samples: Dictionary from sample to error. Samples that cannot be read are added, also if this raises.
        executor: What reads and writes the samples, instead of threads.

    Raises:
        DataError: If files changed while they were read.
        SampleError: If a sample cannot be read, unless its bytes prove it and the store remembers such samples.
        ResourceError: If this process has too many open files, or the executor lost a worker.
        OptionError: If the executor cannot run the tasks.
        BusyError: If another process fills the store.
        DestinationError: If the store cannot be written.
    """
    if not samples.has_store:
        raise BusyError(
            f"{who_locked(samples.directory)} is filling the cache {str(samples.directory)!r}. "
            "Wait for it to finish, or choose another directory."
        )
    missing, failed = samples.missing(), {}
    row_bytes = _row_bytes(samples)
    bar = tqdm(
        total=len(samples),
        initial=len(samples) - len(missing),
        unit=" samples",
        desc=f"packing {format_bytes(len(samples) * row_bytes)}",
    )
    with bar:
        if executor is None:
            _fill_in_threads(samples, missing, failed, num_workers, bar)
        elif len(missing):
            _fill_on_executor(samples, missing, failed, executor, bar)
    if failed and not samples.keep_errors:
        error = failed[min(failed)]
        raise error.raised() from error.__cause__
    samples.finish()
    if bad_samples is not None:
        bad_samples.update({**failed, **samples.unreadable()})
    missing = samples.missing()
    if len(missing):
        raise _not_stored(samples, missing.tolist(), failed)


def _row_bytes(samples: Cached) -> int:
    shape, dtype = samples.spec
    return int(np.prod(shape, dtype=int)) * dtype.itemsize


def _fill_in_threads(
    samples: Cached, missing: np.ndarray, failed: dict[int, SampleError], num_workers: int, bar: Any
) -> None:
    step = max(1, min(TASK_ROWS, TASK_BYTES // _row_bytes(samples)))

    def read(starts: Iterator[int]) -> None:
        out = np.empty((step, *samples.spec.shape), samples.spec.dtype)
        for start in starts:
            part = missing[start : start + step]
            errors = samples.read(part, out[: len(part)])
            failed.update({int(part[row]): error for row, error in errors.items()})
            bar.update(len(part))
            if (failed and not samples.keep_errors) or samples.failure is not None:
                break

    in_threads(read, range(0, len(missing), step), num_workers, "keras_oocore-store")


class _Stop(Exception):
    """A file cannot be read, and the store does not remember such files."""


def _fill_on_executor(
    samples: Cached, missing: np.ndarray, failed: dict[int, SampleError], executor: Executor, bar: Any
) -> None:
    """Let tasks write the rows, and mark them. Rows that are not as their task wrote them become missing again.

    Another task of the same rows, which an executor took for dead, may write late, and its file may have changed. On a
    shared file system, a machine may see old bytes.
    """
    step = rows_per_task(len(missing), max(1, min(EXECUTOR_TASK_ROWS, EXECUTOR_TASK_BYTES // _row_bytes(samples))))
    parts = (missing[start : start + step] for start in range(0, len(missing), step))
    record, warned = samples.record(), set()
    checksums, is_written = np.zeros(len(samples), np.uint32), np.zeros(len(samples), bool)

    def accept(written: WrittenRows) -> None:
        samples.add_written(written)
        checksums[written.rows], is_written[written.rows] = written.checksums, True
        failed.update(written.failed)
        for kind, message in written.warnings.items():
            if kind not in warned:
                warned.add(kind)
                warn_user(message)
        bar.update(written.num_rows)
        if failed and not samples.keep_errors:
            raise _Stop

    tasks = ((samples.source.part(part), part, samples.directory, record) for part in parts)
    try:
        on_executor(executor, write_rows, tasks, accept, AGAIN)
    except _Stop:
        return
    rows = np.flatnonzero(is_written)
    samples.forget(rows[stored_checksums(samples.directory, record, rows) != checksums[rows]])


def _not_stored(samples: Cached, missing: list[int], failed: dict[int, SampleError]) -> DataError:
    """Return the error for samples that are missing from the store after all of them were read."""
    unread = [sample for sample in missing if sample in failed]
    named = [repr(samples.name(sample)) for sample in (unread or missing)[:MOST_NAMED]]
    others = len(unread or missing) - len(named)
    more = f" and {others:,} more" if others else ""
    if not unread:
        return DataError(
            f"{len(missing):,} files changed while they were read: {', '.join(named)}{more}. Call `pack` again: the "
            "other files are stored."
        )
    named = [f"{name} ({failed[sample].reason})" for name, sample in zip(named, unread)]
    return SampleError.unproven(
        f"{len(missing):,} of {len(samples):,} samples are not stored, because their files could not be read: "
        f"{', '.join(named)}{more}. The files may be intact: check their paths, their permissions and the disk or "
        "network, and call `pack` again, which reads only the samples that are not stored. To pack without these "
        "files, use a manifest without them (`Manifest.take`)."
    )
