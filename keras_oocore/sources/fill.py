"""Fill a packed store before training, with a progress bar."""

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

import numpy as np

from keras_oocore.core.errors import BusyError, DataError, SampleError
from keras_oocore.core.progress import tqdm
from keras_oocore.core.sizes import format_bytes
from keras_oocore.sources.cached import Cached

TASK_BYTES, TASK_ROWS = 2**22, 64  # a thread reads at most this much between two updates of the progress bar


def fill_store(samples: Cached, num_workers: int) -> dict[int, SampleError]:
    """Read all missing samples in their order on disk, store them, and finish the store.

    Args:
        samples: The samples whose store is filled.
        num_workers: Number of threads, at least 1.

    Returns:
        A dictionary from sample to error, for the samples that the store remembers as unreadable.

    Raises:
        DataError: If files changed while they were read.
        SampleError: If a sample cannot be read and the store does not remember such samples.
        BusyError: If another process fills the store.
        DestinationError: If the store cannot be written.
    """
    if not samples.has_store:
        raise BusyError(
            f"Another process is filling {str(samples.directory)!r}. "
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
        out = np.empty((step, *shape), dtype)
        for start in starts:
            part = missing[start : start + step]
            errors = samples.read(part, out[: len(part)])
            failed.update({int(part[row]): error for row, error in errors.items()})
            bar.update(len(part))
            if (failed and not samples.keep_errors) or samples.failure is not None:
                break

    with bar, ThreadPoolExecutor(num_workers) as threads:
        working = [threads.submit(work) for _ in range(num_workers)]
        try:
            wait(working, return_when=FIRST_EXCEPTION)
        finally:
            for _ in starts:  # after Ctrl-C or an error, no work is left for the threads
                pass
    for future in working:
        future.result()
    if failed and not samples.keep_errors:
        error = failed[min(failed)]
        raise SampleError(error.with_fix) from error.__cause__
    samples.finish()
    changed = samples.missing()
    if len(changed):
        raise DataError(
            f"{len(changed):,} files changed while they were read, or their disk failed, such as "
            f"{samples.name(int(changed[0]))!r}. Call `pack` again: the other files are stored."
        )
    return samples.unreadable()
