"""The rows of a table that a Sequence serves: which of them, in which order, parsed when they are needed."""

import collections
import dataclasses
import itertools
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_oocore.core.errors import DataError, SampleError
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.core.stopwatch import stage
from keras_oocore.core.text import listed
from keras_oocore.ordering.window_order import WindowOrder
from keras_oocore.sources.base import RowSpec, Source
from keras_oocore.tables.chunk_cache import ChunkMemory
from keras_oocore.tables.csv.reader import Cells
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.statistics import ColumnStatistics

MOST_WINDOW_CHUNKS = 64  # parsed before the first batch of an epoch: half a second's work
ORDER_BYTES = 8  # a row in a window, which keeps its number


@dataclasses.dataclass(frozen=True)
class Part:
    """Which rows of each chunk count: a share of them, drawn by a seed, or all but that share.

    Args:
        validation_split: the share.
        seed: of the draw.
        validation: whether the share counts, or the others.

    >>> Part(0.5, seed=1, validation=True).mask(chunk=0, first=0, end=4)
    array([False, False,  True,  True])
    """

    validation_split: float
    seed: int
    validation: bool

    def num_rows(self, first: int, end: int) -> int:
        """How many rows count of a chunk that holds the table's rows `first` to `end`."""
        num_validation = int(end * self.validation_split) - int(first * self.validation_split)  # adds up to the whole's
        return num_validation if self.validation else end - first - num_validation

    def mask(self, chunk: int, first: int, end: int) -> np.ndarray:
        """Whether each row of a chunk counts, `bool` of shape `(end - first,)`."""
        generator = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(self.seed, spawn_key=(chunk,))))
        drawn = generator.permutation(end - first)  # RandomState's stream never changes (NEP 19)
        counts = np.full(end - first, not self.validation)
        num_validation = dataclasses.replace(self, validation=True).num_rows(first, end)
        counts[drawn[:num_validation]] = self.validation
        return counts


class CSVRows(Source):
    """Rows of a table as samples; see `batch_maker.Samples`.

    Args:
        table: the files.
        recipe: what of them a row is made of.
        part: which rows count; all, for `None`.
        num_threads: that parse when all rows are gone through.
        limit_bytes: of parsed rows that are kept, two chunks at least.
        learns_from: the rows whose means and codes these take over; their own, for `None`.
        sizes: how many rows of each chunk count, where that is known.

    Attributes:
        known_statistics: what `statistics` gives, once somebody knows.
        shape, dtype: of a row: `(words,)` of `float32`, some of which hold the bits of an `int32`.
        sizes: how many rows of each chunk count.
        starts: `int64` of shape `(num_chunks + 1,)`: how many come before each chunk.

    Raises:
        DataError: when no row counts; when rows have to be gone through to count them, and one cannot be read.
    """

    groups_batches = True

    def __init__(
        self,
        table: CSVTable,
        recipe: FeatureSpec,
        part: Part | None,
        num_threads: int,
        limit_bytes: int,
        learns_from: "CSVRows | None" = None,
        sizes: Sequence[int] | None = None,
    ):
        self.table, self.recipe, self.part = table, recipe, part
        self.num_threads, self.limit_bytes = max(1, num_threads), limit_bytes
        self._learns_from = learns_from
        self.known_statistics = None
        self.spec = RowSpec((len(recipe.words),), np.dtype(np.float32))
        self._reader = table.reader(recipe.columns)
        self.sizes = self._counted_sizes() if sizes is None else list(sizes)
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        if not len(self):
            raise DataError(self._why_empty())
        row_bytes = 4 * len(recipe.words) + ORDER_BYTES
        self.kept_chunks = max(2, int(limit_bytes // (row_bytes * max(self.sizes))))
        self.reset_after_fork()
        register_fork_aware(self)

    def _why_empty(self) -> str:
        if not self.table.num_rows:
            return f"There are no rows in {listed(self.table.paths)}."
        if self.part is not None:
            whose = "validation" if self.part.validation else "training"
            share = f"validation_split={self.part.validation_split} of {self.table.num_rows:,} rows"
            return f"{share} leaves none for {whose}."
        why = "missing='drop'" if self.recipe.missing == "drop" else f"on_bad_row={self.table.on_bad_row!r}"
        return f"None of the {self.table.num_rows:,} rows in {listed(self.table.paths)} is left with {why}."

    def taking(self, part: Part, learns_from: "CSVRows | None", sizes: Sequence[int] | None) -> "CSVRows":
        """Some rows of the same table, with means and codes of their own or of other rows."""
        recipe = self.recipe.unsettled() if learns_from is None else learns_from.recipe
        return CSVRows(self.table, recipe, part, self.num_threads, self.limit_bytes, learns_from, sizes)

    def reset_after_fork(self) -> None:
        """Locks that nobody holds, and nothing parsed: new rows, a copy, a forked child."""
        self.settling = threading.RLock()  # held by a thread that does what must precede all reading
        self.forget()

    def forget(self) -> None:
        """Give the memory of what was parsed back."""
        num_slots = min(self.kept_chunks, 2 * MOST_WINDOW_CHUNKS, max(1, len(self.sizes)))
        parse = _parser(weakref.ref(self))  # no cycle: dropped rows leave their memory at once
        self._memory = ChunkMemory(parse, self.sizes, num_slots, *self.spec)

    @property
    def learns_from(self) -> "CSVRows":
        """The rows whose means and codes these have."""
        return self._learns_from or self

    @property
    def most_bytes(self) -> int:
        """What the parsed rows may take."""
        return self._memory.memory.nbytes

    @property
    def num_left_out(self) -> int:
        """Rows of the files that do not count, because they cannot be read or miss a cell; 0 for a part of them."""
        num_bad = sum(len(index.bad) for index in self.table.indexes)
        return self.table.num_rows + num_bad - len(self) if self.part is None else 0

    def __len__(self) -> int:
        return int(self.starts[-1])

    def fingerprint(self) -> dict:
        """Which samples these are, as plain JSON; the files by names and sizes, so that they may be copied."""
        return {
            "files": [f"{os.path.basename(index.path)}, {index.size_bytes:,} bytes" for index in self.table.indexes],
            "part": None if self.part is None else vars(self.part),
            "missing": self.recipe.missing,
            "on_bad_row": self.table.on_bad_row,
        }

    def name(self, sample: int) -> str:
        """File, row and line."""
        chunk = int(np.searchsorted(self.starts, sample, side="right")) - 1
        return self.table.where(chunk, int(self._rows_in(chunk)[sample - self.starts[chunk]]))

    def row_numbers(self) -> np.ndarray:
        """Which of the table's rows these are, `int64` of shape `(len(self),)`; gone through where some may lack."""
        chunks = list(range(self.table.num_chunks))
        parts = self.over_chunks(self._rows_in, "counting rows") if self._may_lack_rows else map(self._rows_in, chunks)
        return np.concatenate([self.table.rows[chunk] + part for chunk, part in zip(chunks, parts)]).astype(np.int64)

    @property
    def _may_lack_rows(self) -> bool:
        return self.table.on_bad_row == "skip" or self.recipe.missing == "drop"

    def _rows_in(self, chunk: int) -> np.ndarray:
        """Which rows of a chunk count."""
        if self._may_lack_rows:
            return self._cells(chunk).rows
        first, end = self.table.rows[chunk : chunk + 2].tolist()
        return np.arange(end - first) if self.part is None else np.flatnonzero(self.part.mask(chunk, first, end))

    def order(self, shuffle: bool, seed: int, batch_size: int) -> WindowOrder:
        """A new order every epoch: as many chunks are mixed as may be kept twice, those in use and those to come."""
        most = MOST_WINDOW_CHUNKS if shuffle else self.num_threads
        return WindowOrder(tuple(self.sizes), max(1, min(most, self.kept_chunks // 2)), seed, shuffle)

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Fill `out[i]` with row `samples[i]`."""
        self._memory.read(samples, out)
        return {}

    def unpack(self, rows: np.ndarray, samples: np.ndarray) -> tuple:
        """`(x, y, sample_weight)` of rows."""
        return self.recipe.parts(rows)

    def prefetch(self, chunks: Sequence[int]) -> None:
        """Parse chunks whose rows will be read soon."""
        self._memory.prepare(chunks)

    def rows(self, chunk: int) -> np.ndarray:
        """The rows of a chunk that count, `float32` of shape `(n, words)`."""
        with stage("parsing"):
            return self.recipe.encode(self._cells(chunk), lambda row: self.table.where(chunk, row))

    def _cells(self, chunk: int) -> Cells:
        cells = self.table.read(self._reader, chunk)
        counts = self.recipe.counts(cells)
        if self.part is not None:
            first, end = self.table.rows[chunk : chunk + 2].tolist()
            chosen = self.part.mask(chunk, first, end)[cells.rows]
            counts = chosen if counts is None else counts & chosen
        return cells if counts is None else cells.take(counts)

    def _counted_sizes(self) -> list[int]:
        """How many rows of each chunk count; known without reading them, unless some may be left out."""
        if self._may_lack_rows:
            return list(self.over_chunks(lambda chunk: len(self._cells(chunk).rows), "counting rows"))
        ends = self.table.rows.tolist()
        if self.part is None:
            return [end - first for first, end in itertools.pairwise(ends)]
        return [self.part.num_rows(first, end) for first, end in itertools.pairwise(ends)]

    def statistics(self) -> dict[str, ColumnStatistics]:
        """Of every column that is used, over the rows that count; found in one pass, and kept."""
        if self.known_statistics is None:
            self.known_statistics = self._counted()
        return self.known_statistics

    def _counted(self) -> dict[str, ColumnStatistics]:
        columns = self.recipe.columns
        joined = {column.name: ColumnStatistics(column) for column in columns}

        def of_chunk(chunk: int) -> list[ColumnStatistics]:
            cells = self._cells(chunk)
            return [ColumnStatistics.of(column, cells.columns[column.name]) for column in columns]

        for found in self.over_chunks(of_chunk, "counting values"):
            for statistics in found:
                joined[statistics.column.name].join(statistics)
        return joined

    def over_chunks(self, function: Callable[[int], object], task: str, chunks: list[int] | None = None) -> Iterator:
        """What `function` makes of each chunk, in order, worked out in threads, with a progress bar."""
        chunks = list(range(self.table.num_chunks)) if chunks is None else chunks
        with (
            ThreadPoolExecutor(self.num_threads) as threads,
            tqdm(total=len(chunks), unit=" parts", desc=task, delay=QUIET_SECONDS) as bar,
        ):
            ahead = collections.deque()
            try:
                for chunk in chunks:
                    ahead.append(threads.submit(function, chunk))
                    if len(ahead) > 2 * self.num_threads:
                        yield ahead.popleft().result()
                        bar.update()
                while ahead:
                    yield ahead.popleft().result()
                    bar.update()
            finally:
                for future in ahead:
                    future.cancel()

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name not in ("_memory", "settling")}

    def __setstate__(self, state):
        vars(self).update(state)
        self.reset_after_fork()
        register_fork_aware(self)


def _parser(rows: weakref.ref) -> Callable[[int], np.ndarray]:
    return lambda chunk: rows().rows(chunk)
