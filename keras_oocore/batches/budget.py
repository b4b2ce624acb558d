"""How many threads load, and how many batches ahead: what `workers`, `max_queue_size` and `memory_limit` come to."""

import os

import numpy as np

from keras_oocore.batches.maker import BatchMaker
from keras_oocore.core.errors import OptionError
from keras_oocore.core.sizes import default_limit_bytes, format_bytes, parse_bytes

HELD_BATCHES = 2  # one that is being made for the model, one that the model still has


def batches_ahead(maker: BatchMaker, memory_limit: int | str | None, num_workers: int) -> int:
    """How many batches may be made ahead of time within `memory_limit`.

    Raises:
        OptionError: when it does not even hold the batches that are in use at once.
    """
    limit_bytes = default_limit_bytes() if memory_limit is None else parse_bytes(memory_limit)
    scratch_bytes = max(1, num_workers) * maker.scratch_bytes
    max_ahead = (limit_bytes - scratch_bytes) // maker.batch_bytes - HELD_BATCHES
    if max_ahead < 0:
        raise OptionError(
            f"`memory_limit` of {format_bytes(limit_bytes)} holds less than two batches of "
            f"{format_bytes(maker.batch_bytes)}. Use a smaller batch_size, or "
            f"memory_limit={HELD_BATCHES * maker.batch_bytes + scratch_bytes} or more."
        )
    return max_ahead


def num_threads(workers: int | None) -> int:
    """`workers`, or the cores that this process may use."""
    if workers is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(workers, bool) or not isinstance(workers, int | np.integer) or workers < 0:
        raise OptionError(f"`workers` should be a number of threads, 0 or more, or None. Received: workers={workers!r}")
    return int(workers)
