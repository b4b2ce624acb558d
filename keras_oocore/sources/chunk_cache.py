"""`ChunkCache`: the rows of recently parsed chunks in one array, shared by threads, from which a batch is one copy."""

import itertools
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from keras_oocore.core.threads import end_if_unwanted

NONE = -1  # no slot, or no chunk
CELLS_PER_CHUNK = 16  # of the table that maps rows to chunks; most of its cells lie within one chunk


class _Holder:
    """A reader, and the slots that it uses. These are not reassigned until it is gone, however it ends."""

    def __init__(self):
        self.slots = []
        self.awaited = []


class _Parsing:
    """A chunk that a thread is parsing, and the slot for its rows."""

    def __init__(self):
        self.slot = NONE
        self.running = threading.Lock()  # the thread that parses holds it
        self.error = None
        self.complete = False

    def wait(self) -> bool:
        """Wait until the thread has ended, and return whether the rows are in their slot. Raise its error."""
        with self.running:  # this waits in C: Ctrl-C cannot leave a lock locked
            pass
        if self.error is not None:
            raise self.error
        return self.complete


class ChunkCache:
    """Keeps the rows of as many chunks as there are slots. The least recently used chunk is dropped first.

    If all slots are in use, a chunk is parsed without being kept. So a thread never waits for a slot, only for a chunk
    that another thread is parsing, and threads cannot block each other.

    Args:
        parse: Function from the number of a chunk to its rows, of shape `(n, ...)`. It runs in the reading threads.
        sizes: Number of rows of each chunk.
        num_slots: Number of chunks to keep.
        shape: Shape of a row.
        dtype: Dtype of the rows.
        parse_into: The same as `parse`, but writes the rows into the array that is its second argument. This saves a
            copy. `None` if there is no such function.

    Attributes:
        memory: The slots, each with room for the rows of the largest chunk.

    >>> cache = ChunkCache(lambda chunk: np.full((2, 1), chunk), [2] * 9, num_slots=3, shape=(1,), dtype=int)
    >>> out = np.empty((3, 1), int)
    >>> cache.read(np.array([14, 11, 15]), out)
    >>> out.ravel().tolist()
    [7, 5, 7]
    """

    def __init__(
        self,
        parse: Callable[[int], np.ndarray],
        sizes: Sequence[int],
        num_slots: int,
        shape: tuple[int, ...],
        dtype: Any,
        parse_into: Callable[[int, np.ndarray], object] | None = None,
    ):
        self.parse = parse
        self.parse_into = parse_into
        self.slot_rows: int = max(sizes)
        # Its pages use no memory until they are written.
        self.memory: np.ndarray = np.empty((num_slots * self.slot_rows, *shape), dtype)
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._sizes = list(sizes)
        self._shift = max(0, int(self._starts[-1]).bit_length() - (CELLS_PER_CHUNK * len(sizes)).bit_length())
        cells = np.arange(0, self._starts[-1], 1 << self._shift)
        self._chunk_of_cell = np.searchsorted(self._starts, cells, side="right") - 1  # of the first row of a cell
        lasts = np.append(cells[1:], self._starts[-1]) - 1
        of_lasts = np.searchsorted(self._starts, lasts, side="right") - 1
        self._most_steps = int((of_lasts - self._chunk_of_cell).max(initial=0))  # between the chunks of a cell
        self._slot_of = np.full(len(sizes), NONE)  # of each chunk whose rows are kept
        self._chunk_in = np.full(num_slots, NONE)
        self._last_use = np.zeros(num_slots, np.int64)
        self._clock = itertools.count(1)
        self._parsing = {}  # chunk -> _Parsing
        self._holders = weakref.WeakSet()
        self._lock = threading.Lock()

    @property
    def num_kept(self) -> int:
        """Number of chunks whose rows are kept."""
        return int(np.count_nonzero(self._slot_of != NONE))

    @property
    def is_idle(self) -> bool:
        """Whether no slot is in use and no chunk is being parsed."""
        return not self._parsing and not any(holder.slots for holder in self._holders)

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Fill `out[i]` with row `rows[i]`, counted over all chunks. Threads share the parsing of the same chunks.

        An error of `parse` is raised in every thread that waits for the chunk. The next call parses it again.
        """
        chunks = self._chunks_of(rows)
        needed = np.flatnonzero(np.bincount(chunks, minlength=len(self._slot_of)))
        holder = _Holder()
        try:
            for chunk in self._hold_kept(needed, holder):
                self._hold(chunk, holder)
            complete = all([parsing.wait() for parsing in holder.awaited])
            if complete and len(holder.slots) == len(needed):
                before = self._slot_of * self.slot_rows - self._starts[:-1]  # from a row to its place in the memory
                places = before[chunks]
                places += rows
                np.take(self.memory, places, axis=0, out=out, mode="clip")  # other modes copy twice
                return
            rows_in_chunks = rows - self._starts[chunks]
            for chunk in needed.tolist():
                end_if_unwanted()
                of_chunk = chunks == chunk
                slot = self._slot_of[chunk]
                is_held = slot in holder.slots
                parsed = self.memory[slot * self.slot_rows :] if is_held else self.parse(chunk)  # no slot, or Ctrl-C
                out[of_chunk] = parsed[rows_in_chunks[of_chunk]]
        finally:
            holder.slots.clear()  # the traceback of an error may keep the holder alive

    def prefetch(self, chunks: Iterable[int]) -> None:
        """Parse chunks whose rows are due soon, except those that another thread is parsing. Errors are deferred."""
        for chunk in chunks:
            holder = _Holder()
            try:
                if self._slot_of[chunk] == NONE:
                    self._hold(chunk, holder)
            except Exception:
                pass
            finally:
                holder.slots.clear()

    def _chunks_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the chunk of each row. A table of cells is faster than a binary search."""
        chunks = self._chunk_of_cell[rows >> self._shift]
        for _ in range(self._most_steps):
            behind = rows >= self._starts[1:][chunks]
            chunks += behind
            if self._most_steps > 1 and not behind.any():
                break
        return chunks

    def _hold_kept(self, chunks: np.ndarray, holder: _Holder) -> list[int]:
        """Let `holder` hold the slots of all chunks that are kept, and return the other chunks.

        This comes first, because finding slots for the others could reassign them.
        """
        with self._lock:
            self._holders.add(holder)
            slots = self._slot_of[chunks]
            kept = slots[slots != NONE]
            self._last_use[kept] = next(self._clock)
            holder.slots += kept.tolist()
        return chunks[slots == NONE].tolist()

    def _hold(self, chunk: int, holder: _Holder) -> None:
        """Let `holder` hold the slot of a chunk, and parse its rows unless another thread does; or nothing if no slot
        is free.

        Ctrl-C may come between any two lines: no thread may wait for a chunk that no thread parses, and a chunk has a
        slot only while its rows are kept.
        """
        end_if_unwanted()
        own = _Parsing()
        with own.running:
            try:
                with self._lock:
                    self._holders.add(holder)
                    slot, parsing = int(self._slot_of[chunk]), self._parsing.get(chunk)
                    if slot == NONE and parsing is None:
                        slot = self._free_slot()
                        if slot == NONE:
                            return
                        own.slot = slot
                        self._parsing[chunk] = own
                    elif parsing is not None:
                        slot = parsing.slot
                        holder.awaited.append(parsing)
                    holder.slots.append(slot)
                    self._last_use[slot] = next(self._clock)
                if own.slot != NONE:
                    self._parse_into(own, chunk)
            except BaseException as error:
                if self._parsing.get(chunk) is own:
                    del self._parsing[chunk]  # the next reader tries again
                if isinstance(error, Exception):  # after Ctrl-C, those who wait parse the chunk themselves
                    own.error = error
                raise

    def _parse_into(self, parsing: _Parsing, chunk: int) -> None:
        """Parse a chunk into its slot."""
        out = self.memory[parsing.slot * self.slot_rows :][: self._sizes[chunk]]
        if self.parse_into is None:
            out[...] = self.parse(chunk)
        else:
            self.parse_into(chunk, out)
        with self._lock:
            self._chunk_in[parsing.slot] = chunk  # first: a chunk with a slot must be found when the slot is reassigned
            self._slot_of[chunk] = parsing.slot
            del self._parsing[chunk]
        parsing.complete = True

    def _free_slot(self) -> int:
        """Return the least recently used slot that no reader holds, emptied; `NONE` if there is none."""
        idle = np.ones(len(self._chunk_in), bool)
        for holder in self._holders:
            idle[holder.slots] = False
        idle = np.flatnonzero(idle)
        if not len(idle):
            return NONE
        slot = int(idle[self._last_use[idle].argmin()])
        chunk = self._chunk_in[slot]
        if chunk != NONE and self._slot_of[chunk] == slot:  # after an interrupt the chunk may be in another slot
            self._slot_of[chunk] = NONE
        self._chunk_in[slot] = NONE
        return slot
