"""`TableRows`: the rows of a table as samples, parsed chunk by chunk when a batch needs them."""

import json
import weakref
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_oocore.core.data_words import LEFT_OUT
from keras_oocore.core.errors import DataError, SampleError
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.core.stopwatch import stage
from keras_oocore.csv.cells import Cells
from keras_oocore.ordering.window_order import WindowOrder
from keras_oocore.sources.base import RowSpec, Source
from keras_oocore.sources.chunk_cache import ChunkCache
from keras_oocore.tables.encoding import encode
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.format import TableFormat
from keras_oocore.tables.passes import over_chunks
from keras_oocore.tables.row_statistics import RowStatistics
from keras_oocore.tables.sizes import sizes_of, sizes_of_parts
from keras_oocore.tables.splits.base import RowSubset, Split
from keras_oocore.tables.statistics import ColumnStatistics
from keras_oocore.tables.used_rows import UsedRows

MOST_WINDOW_CHUNKS = 64  # parsed before the first batch of an epoch, which takes about half a second
ORDER_BYTES = 8  # per row of a window, for its number
# Parts of the fingerprint of a table that identify its samples.
OF_SAMPLES = ("files", "on_bad_row", "num_rows", LEFT_OUT)


class TableRows(Source):
    """The rows of a table, or of a subset of it, as samples.

    Args:
        table: The table.
        features: The layout of a row.
        subset: The rows that are used, or `None` for all.
        num_threads: Number of threads for a pass over all rows.
        limit_bytes: Memory for parsed rows. At least two chunks are kept.
        statistics_from: The rows whose means and codes are used, or `None` for these rows.
        sizes: Number of used rows per chunk, if it is known.

    Attributes:
        used: The cells of the used rows of each chunk.
        counted: Their statistics.
        spec: Shape and dtype of a row: `(words,)`, `float32`. Some words hold the bits of an `int32`.
        sizes: Number of used rows per chunk.
        starts: `int64` of shape `(num_chunks + 1,)`. Number of used rows before each chunk, and in total.
        max_chunks: Number of chunks that fit into `limit_bytes`.

    Raises:
        DataError: If no row is used; or if the rows must be read to count them, and one of them cannot be read.
    """

    groups_batches: bool = True
    can_shuffle_blocks: bool = False

    def __init__(
        self,
        table: TableFormat,
        features: FeatureSpec,
        subset: RowSubset | None,
        num_threads: int,
        limit_bytes: int,
        statistics_from: "TableRows | None" = None,
        sizes: Sequence[int] | None = None,
    ):
        self.table: TableFormat = table
        self.features: FeatureSpec = features
        self.subset: RowSubset | None = subset
        self.num_threads: int = max(1, num_threads)
        self.limit_bytes: int = limit_bytes
        self.used: UsedRows = UsedRows(table, features, subset)
        self._statistics_from = statistics_from
        self.counted: RowStatistics = RowStatistics(self.used, self.num_threads, fits=statistics_from is None)
        self.spec: RowSpec = RowSpec((len(features.words),), np.dtype(np.float32))
        self.sizes: list[int] = sizes_of(self.used, self.num_threads) if sizes is None else list(sizes)
        self.starts: np.ndarray = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        if not len(self):
            raise DataError(self._why_empty())
        row_bytes = 4 * len(features.words) + ORDER_BYTES
        self.max_chunks: int = max(2, int(limit_bytes // (row_bytes * max(self.sizes))))
        self.reset_after_fork()
        register_fork_aware(self)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def name(self, sample: int) -> str:
        """Return file, row and line of a sample."""
        chunk = int(np.searchsorted(self.starts, sample, side="right")) - 1
        return self.table.where(chunk, int(self.used.numbers(chunk)[sample - self.starts[chunk]]))

    def fingerprint(self) -> dict[str, Any]:
        """Return what identifies the samples, as plain JSON. Copies of the files have the same fingerprint."""
        return {
            **self.table.portable_fingerprint(),
            "part": None if self.subset is None else self.subset.describe(),
            "missing": self.features.missing,
        }

    def options(self) -> dict[str, Any]:
        """Return the options that determine the rows, by their names, as plain JSON."""
        cells = {name: value for name, value in self.table.fingerprint().items() if name not in OF_SAMPLES}
        return {**cells.pop("dialect", {}), **cells, **self.features.options()}

    def row_fingerprint(self) -> dict[str, Any]:
        """Return everything that determines the bytes of the rows, as plain JSON."""
        return {
            **self.table.fingerprint(),
            **self.features.fingerprint(),
            "part": None if self.subset is None else self.subset.describe(),
            **({"classes": "of all rows"} if self.subset is not None and self.features.class_columns else {}),
        }

    def version(self, samples: np.ndarray) -> int:
        """Return a checksum of what `row_fingerprint` says of the files."""
        return zlib.crc32(json.dumps(self.table.fingerprint(), default=str).encode())

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Fill `out[i]` with the row of `samples[i]`."""
        self._chunk_cache.read(samples, out)
        return {}

    def unpack(self, rows: np.ndarray, samples: np.ndarray) -> tuple[Any, ...]:
        """Return `(x, y, sample_weight)` as views of rows. See `FeatureSpec.unpack`."""
        return self.features.unpack(rows, self.weighs_classes)

    @property
    def weighs_classes(self) -> bool:
        """Whether rows have the weights of their classes: only rows that the features are fitted to."""
        classes = self.features.classes
        return classes is not None and classes.class_weight is not None and self._statistics_from is None

    def order(self, shuffle: bool, seed: int, batch_size: int) -> WindowOrder:
        """Return the order of the samples: a new one every epoch, or the order of the files.

        Half of the chunks that fit into memory are mixed. The other half is for the next chunks.
        """
        return WindowOrder(tuple(self.sizes), self._window_chunks(shuffle), seed, shuffle)

    def rows_per_window(self, shuffle: bool) -> float:
        """Return how many rows a window of chunks has on average. It is parsed as a whole for its first batch."""
        return len(self) * self._window_chunks(shuffle) / max(1, len(self.sizes))

    def _window_chunks(self, shuffle: bool) -> int:
        most = MOST_WINDOW_CHUNKS if shuffle else self.num_threads
        return max(1, min(most, self.max_chunks // 2))

    def prefetch(self, chunks: Sequence[int]) -> None:
        """Parse chunks whose rows are due soon."""
        self._chunk_cache.prefetch(chunks)

    def close(self) -> None:
        """Release the memory of parsed rows. Reading parses them again."""
        num_slots = min(self.max_chunks, 2 * MOST_WINDOW_CHUNKS, max(1, len(self.sizes)))
        parse = _parser(weakref.ref(self))  # without a reference cycle, dropped rows release their memory at once
        self._chunk_cache = ChunkCache(parse, self.sizes, num_slots, *self.spec, parse_into=parse)

    def divide(self, split: Split) -> "list[TableRows]":
        """Return the parts of a split. All have the means and codes of the training part, which is the first.

        Raises:
            DataError: If a part has no rows; or if rows must be read to find their part, and one cannot be read.
        """
        parts = []
        for part, sizes in enumerate(sizes_of_parts(self.used, split, self.num_threads)):
            training = parts[0] if parts else None
            features = self.features.unfitted() if training is None else training.features
            subset = RowSubset(split, part)
            parts.append(TableRows(self.table, features, subset, self.num_threads, self.limit_bytes, training, sizes))
        return parts

    def row_numbers(self) -> np.ndarray:
        """Return the numbers of the samples' rows within the table, `int64` of shape `(len(self),)`.

        If rows may be skipped, or their cells decide which rows are used, this reads the whole table.
        """
        chunks = list(range(self.table.num_chunks))
        must_read = self.used.may_skip_rows or self.used.keys
        numbers = self.map_chunks(self.used.numbers, "counting rows") if must_read else map(self.used.numbers, chunks)
        return np.concatenate([self.table.rows[chunk] + part for chunk, part in zip(chunks, numbers)]).astype(np.int64)

    def chunks_of(self, samples: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Iterate over the chunks that contain samples: `(chunk, positions in samples, rows among the used ones)`."""
        chunks = np.searchsorted(self.starts, samples, side="right") - 1
        for chunk in np.unique(chunks).tolist():
            places = np.flatnonzero(chunks == chunk)
            yield chunk, places, samples[places] - self.starts[chunk]

    def ids(self) -> dict[str, np.ndarray]:
        """Return the cells of the columns of `ids`, arrays of strings of shape `(len(self),)`, by reading the files."""
        names = [column.name for column in self.features.ids]
        chunks = list(self.map_chunks(self.used.ids, "reading ids"))
        return {name: np.concatenate([chunk[i] for chunk in chunks]) for i, name in enumerate(names)}

    @property
    def statistics_from(self) -> "TableRows":
        """The rows whose means and codes are used: other rows, or these."""
        return self._statistics_from or self

    def statistics(self) -> dict[str, ColumnStatistics]:
        """Return the statistics of all columns that are read, over the used rows. They are computed once."""
        return self.counted.of_columns()

    @property
    def memory_bytes(self) -> int:
        """Size of the memory for parsed rows."""
        return self._chunk_cache.memory.nbytes

    @property
    def num_skipped(self) -> int:
        """Number of rows of the files that are skipped, as unreadable or incomplete; `0` for a subset."""
        return self.table.num_rows + self.table.num_bad_rows - len(self) if self.subset is None else 0

    def cells(self, chunk: int) -> Cells:
        """Return the cells of the used rows of a chunk."""
        return self.used.cells(chunk, self.features.columns)

    def first_cells(self, num_rows: int) -> list[Cells]:
        """Return the cells of the first chunks, as many as have `num_rows` used rows together."""
        parts, found = [], 0
        for chunk, size in enumerate(self.sizes):
            if found >= num_rows:
                break
            if size:
                parts.append(self.cells(chunk))
                found += size
        return parts

    def encode_chunk(self, chunk: int, out: np.ndarray | None = None) -> np.ndarray:
        """Return the used rows of a chunk, `float32` of shape `(n, words)`, in `out` if it is an array."""
        with stage("parsing"):
            return encode(
                self.features,
                self.cells(chunk),
                lambda row: self.table.where(chunk, row),
                lambda column: self.table.position(chunk, column),
                out,
            )

    def map_chunks(
        self, function: Callable[[int], object], task: str, chunks: list[int] | None = None
    ) -> Iterator[Any]:
        """Iterate over `function(chunk)` for all or some chunks, as `tables/passes` does."""
        return over_chunks(self.table, function, task, self.num_threads, chunks)

    def reset_after_fork(self) -> None:
        """Create an empty chunk cache, for new rows, a copy, or a forked child process."""
        self.close()

    def _why_empty(self) -> str:
        """Return why no row is used."""
        num_rows, paths = self.table.num_rows, self.table.source
        if not num_rows:
            return f"There are no rows in {paths}."
        if self.subset is not None:
            return self.subset.why_empty(num_rows)
        why = [
            *(["without(rows)"] if len(self.table.removed) else []),
            *(["on_bad_row='skip'"] if self.table.options.on_bad_row == "skip" else []),
            *(["missing='drop'"] if self.features.missing == "drop" else []),
        ]
        return f"None of the {num_rows:,} rows in {paths} is left with {' and '.join(why)}."

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_chunk_cache"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reset_after_fork()
        register_fork_aware(self)


def _parser(rows: weakref.ref) -> Callable[..., np.ndarray]:
    """Return a function that encodes a chunk, as `encode_chunk` does, without keeping the rows alive."""
    return lambda *arguments: rows().encode_chunk(*arguments)
