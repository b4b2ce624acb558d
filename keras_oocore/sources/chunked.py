"""Rows that are read in blocks of neighbors: chunks of an HDF5 dataset, or slices of an object like an array."""

import sys
import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from keras_oocore.core.errors import OptionError, OutOfCoreError, SampleError
from keras_oocore.core.faults import fault_of, retried, stopped_by
from keras_oocore.core.fingerprint import of_array
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.stopwatch import stage
from keras_oocore.core.text import counted
from keras_oocore.ordering.window_order import WindowOrder
from keras_oocore.sources.base import RowSpec, StampedSource
from keras_oocore.sources.chunk_cache import ChunkCache

BLOCK_BYTES = 2**20  # rows that are read at a time, at least one chunk
MOST_WINDOW_BLOCKS = 128  # they are read before the first batch of an epoch
DEFAULT_LIMIT_BYTES = 512 * 10**6  # the same on every machine, because the order depends on it


class RowReader(Protocol):
    """Reads neighboring rows. It is called from several threads, and must pickle.

    `path` and `name` are those of a dataset in a file, or `None`. `str` is both together, or empty.
    """

    path: Path | None
    name: str | None
    shape: tuple[int, ...]
    dtype: np.dtype
    chunk_rows: int

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return rows `start` to `stop`, with at least one row."""

    def stamp(self) -> tuple[int, int]:
        """Return two integers that change when the rows change."""

    def close(self) -> None:
        """Close files. Reading opens them again."""


class ChunkedRows(StampedSource):
    """Rows that are read in blocks, each with one call. Blocks are kept while their rows are due.

    Args:
        reader: Reads the rows.
        limit_bytes: Memory for blocks. At least two blocks are kept.
        chosen: Numbers of the rows to use, or `None` for all rows.

    Raises:
        OptionError: If a chunk does not fit into `limit_bytes`.
    """

    groups_batches: bool = True
    reads_blocks: bool = True

    def __init__(self, reader: RowReader, limit_bytes: int, chosen: np.ndarray | None = None):
        self.reader: RowReader = reader
        self.limit_bytes: int = limit_bytes
        self.chosen: np.ndarray | None = chosen
        self.path: Path | None = reader.path
        self.dataset: RowReader | None = reader if reader.path else None
        num_rows, *shape = reader.shape
        self.spec: RowSpec = RowSpec(tuple(shape), reader.dtype)
        self._rows = self._place = None  # the chosen rows in ascending order, and the place of each sample among them
        if chosen is not None:
            in_order = np.argsort(chosen, kind="stable")
            self._rows = chosen[in_order]
            if (np.diff(chosen) < 0).any():
                self._place = np.empty_like(in_order)
                self._place[in_order] = np.arange(len(chosen))
        self.block_rows: int = self._rows_per_block()
        firsts = np.append(np.arange(0, num_rows, self.block_rows), num_rows)
        self._starts = firsts if self._rows is None else np.searchsorted(self._rows, firsts)  # of the blocks
        self.reset_after_fork()
        register_fork_aware(self)

    def _rows_per_block(self) -> int:
        """Return how many rows a block has: whole chunks."""
        row_bytes = max(1, self.spec.dtype.itemsize * int(np.prod(self.spec.shape)))
        chunk_rows = max(1, min(self.reader.chunk_rows, self.reader.shape[0]))
        chunk_bytes = row_bytes * chunk_rows
        if chunk_rows > 1 and chunk_bytes > self.limit_bytes:
            raise OptionError(
                f"A chunk of {str(self.reader) or 'the data'!r} has {chunk_rows:,} rows of "
                f"{format_bytes(row_bytes)}, together {format_bytes(chunk_bytes)}, which do not fit into "
                f"{format_bytes(self.limit_bytes)}. Pass memory_limit={2 * chunk_bytes}, or write the data in smaller "
                "chunks."
            )
        return chunk_rows * max(1, min(BLOCK_BYTES, self.limit_bytes // 4) // chunk_bytes)

    @property
    def _sizes(self) -> list[int]:
        return np.diff(self._starts).tolist()

    @property
    def _max_blocks(self) -> int:
        """Number of blocks that fit into the memory."""
        block_bytes = self.spec.dtype.itemsize * int(np.prod(self.spec.shape)) * max([*self._sizes, 1])
        return max(2, self.limit_bytes // max(1, block_bytes))

    @property
    def window_blocks(self) -> int:
        """Number of blocks whose rows are shuffled together. Half of the memory is for the next blocks."""
        num_blocks, fitting = len(self._starts) - 1, self._max_blocks
        return max(1, min(MOST_WINDOW_BLOCKS, num_blocks if num_blocks <= fitting else fitting // 2))

    def describe(self) -> str:
        """Return how many blocks there are, and the memory for them."""
        num_blocks, rows = len(self._starts) - 1, min(self.block_rows, self.reader.shape[0])
        blocks = f"{counted(num_blocks, 'block')} of {counted(rows, 'row')}"
        return f"read in {blocks}, at most {format_bytes(self._blocks.memory.nbytes)} in memory"

    def __len__(self) -> int:
        return int(self._starts[-1])

    def name(self, sample: int) -> str:
        row = sample if self.chosen is None else self.chosen[sample]
        return f"row {row}" + (f" of {self.reader}" if self.path else "")

    @cached_property
    def _ends(self) -> str:
        """A checksum of the first and last row."""
        num_rows = self.reader.shape[0]
        try:
            rows = [self._read_rows(row, row + 1) for row in (0, num_rows - 1)] if num_rows else []
        except SampleError:
            return "unreadable"
        return of_array(np.concatenate([*rows, np.empty((0, *self.spec.shape), self.spec.dtype)]))

    def fingerprint(self) -> dict[str, Any]:
        """Return what identifies the rows, as for an array: number, shape, dtype, and the first and last row."""
        return {
            "rows": f"{self.reader.shape[0]:,} of shape {self.spec.shape} and dtype {self.spec.dtype}",
            "first and last row": self._ends,
            "rows taken": "all" if self.chosen is None else of_array(self.chosen),
        }

    def row_fingerprint(self) -> dict[str, Any]:
        size_bytes, changed_ns = self.reader.stamp()
        file = None if self.path is None else f"{size_bytes} bytes, modified at {changed_ns} ns"
        return {**self.fingerprint(), "file": file}

    def stamps(self, samples: np.ndarray) -> np.ndarray:
        return np.tile(np.array(self.reader.stamp(), np.int64), (len(samples), 1))

    def order(self, shuffle: bool | str, seed: int, batch_size: int) -> WindowOrder:
        """Return an order in which each block is read once per epoch.

        With `shuffle=True`, blocks come in random order, and the rows of a window of blocks are shuffled. With
        `"block"`, a window is one block.
        """
        shuffle = shuffle if shuffle == "block" else bool(shuffle)
        return WindowOrder(tuple(self._sizes), self.window_blocks if shuffle is True else 1, seed, shuffle)

    def prefetch(self, chunks: Sequence[int]) -> None:
        self._blocks.prefetch(chunks)

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        rows = samples if self._place is None else self._place[samples]
        try:
            self._blocks.read(rows, out)
        except SampleError:
            return self._read_by_block(samples, rows, out)
        return {}

    def _read_by_block(self, samples: np.ndarray, rows: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Read the rows of each block by themselves, because one of the blocks cannot be read."""
        failed = {}
        blocks = np.searchsorted(self._starts, rows, side="right") - 1
        for block in np.unique(blocks):
            places = np.flatnonzero(blocks == block)
            found = np.empty((len(places), *self.spec.shape), self.spec.dtype)
            try:
                self._blocks.read(rows[places], found)
                out[places] = found
            except SampleError:
                failed |= self._read_by_chunk(samples, rows, places, out)
        return failed

    def _read_by_chunk(
        self, samples: np.ndarray, rows: np.ndarray, places: np.ndarray, out: np.ndarray
    ) -> dict[int, SampleError]:
        """Read the rows in these places of a batch chunk by chunk, because their block cannot be read."""
        failed, size = {}, self.reader.chunk_rows
        numbers = rows if self._rows is None else self._rows[rows]
        for chunk in np.unique(numbers[places] // size).tolist():
            of_chunk = places[numbers[places] // size == chunk]
            try:
                found = self._read_rows(chunk * size, min((chunk + 1) * size, self.reader.shape[0]))
                out[of_chunk] = found[numbers[of_chunk] - chunk * size]
            except SampleError as error:
                failed |= {int(place): self._error_of(int(samples[place]), error) for place in of_chunk}
        return failed

    def _error_of(self, sample: int, error: SampleError) -> SampleError:
        of_sample = SampleError.of(sample, self.name(sample), str(error), error.proven)
        if error.proven:
            of_sample.fix = "Write these rows again"
        of_sample.__cause__ = error.__cause__
        return of_sample

    def _read_block(self, block: int) -> np.ndarray:
        first, stop = self._starts[block : block + 2].tolist()
        if self._rows is None:
            return self._read_rows(first, stop)
        rows = self._rows[first:stop]
        return self._read_rows(int(rows[0]), int(rows[-1]) + 1)[rows - rows[0]]

    def _read_rows(self, start: int, stop: int) -> np.ndarray:
        """Return rows `start` to `stop`.

        Raises:
            SampleError: If they cannot be read.
        """
        outer = sys.exception()
        try:
            with stage("reading"):
                return retried(self.reader.read, start, stop)
        except (OutOfCoreError, Warning):
            raise
        except Exception as error:
            fault, where = (
                fault_of(error, outer),
                f"rows {start} to {stop - 1}" + f" of {self.reader}" * bool(self.path),
            )
            if fault.exhausted is not None:
                raise stopped_by(error, fault.exhausted, where) from error
            reason = f"{type(error).__name__}: {error}".rstrip(".")
            raise (SampleError(reason) if fault.proven else SampleError.unproven(reason)) from error

    def select(self, samples: np.ndarray) -> "ChunkedRows":
        chosen = samples if self.chosen is None else self.chosen[samples]
        return ChunkedRows(self.reader, self.limit_bytes, np.asarray(chosen))

    def close(self) -> None:
        """Free the memory of blocks and close the file. Reading opens it again."""
        self.reset_after_fork()
        self.reader.close()

    def reset_after_fork(self) -> None:
        """Keep no blocks, in a new object, a copy, or a forked child."""
        num_slots = min(self._max_blocks, 2 * MOST_WINDOW_BLOCKS, max(1, len(self._starts) - 1))
        # Without a reference cycle, dropped rows release their memory at once.
        self._blocks = ChunkCache(_parser(weakref.ref(self)), self._sizes or [0], num_slots, *self.spec)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_blocks"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reset_after_fork()
        register_fork_aware(self)


def _parser(rows: weakref.ref) -> Callable[[int], np.ndarray]:
    """Return a function that reads a block without keeping the rows alive."""
    return lambda block: rows()._read_block(block)
