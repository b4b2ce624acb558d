"""Calls a function for many items in threads, in order, with a progress bar on stderr."""

import collections
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.core.threads import ThreadPool

AHEAD = 2  # items per thread


def in_threads(function: Callable[[Any], Any], items: Sequence, num_threads: int, unit: str, task: str) -> Iterator:
    """Iterate over `function(item)` for all items, in order.

    >>> list(in_threads(abs, [-1, 2, -3], 2, "number", "counting"))
    [1, 2, 3]
    """
    with (
        ThreadPool(num_threads, "keras_oocore-command") as threads,
        tqdm(total=len(items), unit=f" {unit}", desc=task, delay=QUIET_SECONDS) as bar,
    ):
        ahead = collections.deque()
        for item in items:
            ahead.append(threads.submit(function, item))
            if len(ahead) > AHEAD * num_threads:
                yield ahead.popleft().result()
                bar.update()
        while ahead:
            yield ahead.popleft().result()
            bar.update()
