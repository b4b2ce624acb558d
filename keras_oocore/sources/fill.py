"""Fill a packed store before training, with a progress bar."""

import numpy as np

from keras_oocore.core.errors import BusyError, DataError, SampleError
from keras_oocore.core.locks import who_locked
from keras_oocore.core.progress import tqdm
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.threads import ThreadPool
from keras_oocore.sources.cached import Cached

TASK_BYTES, TASK_ROWS = 2**22, 64  # a thread reads at most this much between two updates of the progress bar
MOST_NAMED = 5  # files in a message


def fill_store(samples: Cached, num_workers: int, bad_samples: dict[int, SampleError] | None = None) -> None:
    """Read all missing samples in their order on disk, store them, and finish the store.

    Args:
        samples: The samples whose store is filled.
        num_workers: Number of threads, at least 1.
        bad_samples: Dictionary from sample to error. Samples that cannot be read are added, also if this raises.

    Raises:
        DataError: If files changed while they were read.
        SampleError: If a sample cannot be read, unless its bytes prove it and the store remembers such samples.
        ResourceError: If this process has too many open files.
        BusyError: If another process fills the store.
        DestinationError: If the store cannot be written.
    """
    if not samples.has_store:
        raise BusyError(
            f"{who_locked(samples.directory)} is filling the cache {str(samples.directory)!r}. "
            "Wait for it to finish, or choose another directory."
        )
    missing, failed = samples.missing(), {}
    shape, dtype = samples.spec
    row_bytes = np.prod(shape, dtype=int) * dtype.itemsize
    step = int(max(1, min(TASK_ROWS, TASK_BYTES // row_bytes)))
    starts = iter(range(0, len(missing), step))  # shared by all threads, because `next` is atomic
    bar = tqdm(
        total=len(samples),
        initial=len(samples) - len(missing),
        unit=" samples",
        desc=f"packing {format_bytes(len(samples) * row_bytes)}",
    )

    def work() -> None:
        try:
            read_parts()
        finally:
            for _ in starts:  # after an error, no work is left for the other threads
                pass

    def read_parts() -> None:
        out = np.empty((step, *shape), dtype)
        for start in starts:
            part = missing[start : start + step]
            errors = samples.read(part, out[: len(part)])
            failed.update({int(part[row]): error for row, error in errors.items()})
            bar.update(len(part))
            if (failed and not samples.keep_errors) or samples.failure is not None:
                break

    with bar, ThreadPool(num_workers, "keras_oocore-store") as threads:
        working = [threads.submit(work) for _ in range(num_workers)]
        try:
            for call in working:
                call.result()
        finally:
            for _ in starts:  # after Ctrl-C
                pass
    if failed and not samples.keep_errors:
        error = failed[min(failed)]
        raise error.raised() from error.__cause__
    samples.finish()
    if bad_samples is not None:
        bad_samples.update({**failed, **samples.unreadable()})
    missing = samples.missing()
    if len(missing):
        raise _not_stored(samples, missing.tolist(), failed)


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
