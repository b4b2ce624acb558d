"""Calls a function for many items in threads, in order, with a progress bar on stderr."""

import collections
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from keras_oocore.core.cpu import num_cpus
from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.core.threads import ThreadPool

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 2  # items per thread


def in_threads(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    unit: str,
    task: str,
    total: int | None = None,
    per_item: int = 1,
) -> Iterator[Result]:
    """Iterate over `function(item)` for all items, in order. There is one thread per core.

    Args:
        function: Function of an item.
        items: The items.
        unit: What the progress bar counts, such as `"files"`.
        task: Text of the progress bar.
        total: Number of units. Defaults to the number of items.
        per_item: Number of units per item.

    >>> list(in_threads(abs, [-1, 2, -3], "numbers", "counting"))
    [1, 2, 3]
    """
    num_threads, total = num_cpus(), len(items) if total is None else total
    with (
        ThreadPool(num_threads, "keras_oocore-command") as threads,
        tqdm(total=total, unit=f" {unit}", desc=task, delay=QUIET_SECONDS) as bar,
    ):
        ahead = collections.deque()
        for item in items:
            ahead.append(threads.submit(function, item))
            if len(ahead) > AHEAD * num_threads:
                yield ahead.popleft().result()
                bar.update(per_item)
        while ahead:
            yield ahead.popleft().result()
            bar.update(min(per_item, total - bar.n))
