"""A pass over the chunks of a table, in threads and with a progress bar."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.core.tasks import in_order
from keras_oocore.tables.format import TableFormat

T = TypeVar("T")


def over_chunks(
    table: TableFormat,
    function: Callable[[int], T],
    task: str,
    num_threads: int,
    chunks: Sequence[int] | None = None,
) -> Iterator[T]:
    """Iterate over `function(chunk)`, in the order of the chunks. Threads compute it.

    Args:
        table: The table.
        function: Function of the number of a chunk.
        task: Text of the progress bar.
        num_threads: Number of threads.
        chunks: The chunks, or `None` for all.
    """
    chunks = range(table.num_chunks) if chunks is None else chunks
    with tqdm(total=len(chunks), unit=" parts", desc=task, delay=QUIET_SECONDS) as bar:
        for found in in_order(function, chunks, num_threads, "keras_oocore-table"):
            yield found
            bar.update()
