"""The rows of the chunks that were parsed last, in one array, so that a batch is one copy; shared by many threads."""

import itertools
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future

import numpy as np

NONE = -1  # no slot, no chunk
CELLS_PER_CHUNK = 16  # of the table that tells which chunk a row is of; most cells lie within one chunk


class _Holder:
    """Who reads; the slots it reads from are not given away. That ends with it, however it ends."""

    def __init__(self):
        self.slots = []
        self.awaited = []


class _Making:
    """A chunk that somebody is parsing, and where its rows will lie."""

    def __init__(self, slot: int):
        self.slot = slot
        self.done = Future()


class ChunkMemory:
    """Keeps the rows of as many chunks as there are slots; what was not used for the longest time goes first.

    A chunk that finds no free slot, because others are at work in all of them, is parsed for this once. So nobody waits
    for a slot, only for a chunk that another thread is parsing: threads cannot block each other.

    Args:
        parse: chunk → its rows, `(n, ...)`; called in the threads that want them.
        sizes: how many rows each chunk has.
        num_slots: chunks that are kept.
        shape: of a row.
        dtype: of the rows.

    Attributes:
        memory: the slots, each with room for the rows of the largest chunk.

    >>> memory = ChunkMemory(lambda chunk: np.full((2, 1), chunk), [2] * 9, num_slots=3, shape=(1,), dtype=int)
    >>> out = np.empty((3, 1), int)
    >>> memory.read(np.array([14, 11, 15]), out)
    >>> out.ravel().tolist()
    [7, 5, 7]
    """

    def __init__(
        self, parse: Callable[[int], np.ndarray], sizes: Sequence[int], num_slots: int, shape: tuple[int, ...], dtype
    ):
        self.parse = parse
        self.slot_rows = max(sizes)
        self.memory = np.empty((num_slots * self.slot_rows, *shape), dtype)  # unwritten pages take no room
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._shift = max(0, int(self._starts[-1]).bit_length() - (CELLS_PER_CHUNK * len(sizes)).bit_length())
        cells = np.arange(0, self._starts[-1], 1 << self._shift)
        self._chunk_of_cell = np.searchsorted(self._starts, cells, side="right") - 1  # of the first row of a cell
        self._slot_of = np.full(len(sizes), NONE)  # of a chunk whose rows are there
        self._chunk_in = np.full(num_slots, NONE)
        self._last_use = np.zeros(num_slots, np.int64)
        self._clock = itertools.count(1)
        self._making = {}  # chunk -> _Making
        self._holders = weakref.WeakSet()
        self._lock = threading.Lock()

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Fill `out[i]` with row `rows[i]` of all chunks. Threads that want the same chunks share the parsing.

        Raises what `parse` raises, also for a chunk that another thread was parsing; the next call tries again.
        """
        chunks = self._chunks_of(rows)
        wanted = np.flatnonzero(np.bincount(chunks, minlength=len(self._slot_of)))
        holder = _Holder()
        try:
            for chunk in self._hold_those_there(wanted, holder):
                self._hold(chunk, holder)
            for making in holder.awaited:
                making.done.result()
            rows_in_chunks = rows - self._starts[chunks]
            if len(holder.slots) == len(wanted):
                places = self._slot_of[chunks] * self.slot_rows + rows_in_chunks
                np.take(self.memory, places, axis=0, out=out, mode="clip")  # other modes copy twice
                return
            for chunk in wanted.tolist():
                of_chunk = chunks == chunk
                slot = self._slot_of[chunk]
                there = slot in holder.slots
                parsed = self.memory[slot * self.slot_rows :] if there else self.parse(chunk)  # no slot is free
                out[of_chunk] = parsed[rows_in_chunks[of_chunk]]
        finally:
            holder.slots.clear()  # an error's traceback may keep the holder

    def prepare(self, chunks: Iterable[int]) -> None:
        """Have the rows of chunks that will be wanted soon; those that another thread is parsing are left to it."""
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
        """The chunk that each row is of; a table of cells is quicker than a binary search."""
        chunks = self._chunk_of_cell[rows >> self._shift]
        while (behind := rows >= self._starts[chunks + 1]).any():
            chunks += behind
        return chunks

    def _hold_those_there(self, chunks: np.ndarray, holder: _Holder) -> list[int]:
        """Let `holder` hold the slots of chunks; returns the chunks that have none.

        All that are there first: taking slots for others could give them away.
        """
        with self._lock:
            self._holders.add(holder)
            slots = self._slot_of[chunks]
            there = slots[slots != NONE]
            self._last_use[there] = next(self._clock)
            holder.slots += there.tolist()
        return chunks[slots == NONE].tolist()

    def _hold(self, chunk: int, holder: _Holder) -> None:
        """Let `holder` hold the chunk's slot, and parse its rows if nobody does; nothing when no slot is free.

        Ctrl-C may come between any two lines: nobody may wait for what nobody makes, and a chunk has a slot only while
        its rows are there.
        """
        own = None
        try:
            with self._lock:
                self._holders.add(holder)
                slot, making = int(self._slot_of[chunk]), self._making.get(chunk)
                if slot == NONE and making is None:
                    slot = self._free_slot()
                    if slot == NONE:
                        return
                    own = _Making(slot)
                    self._making[chunk] = own
                elif making is not None:
                    slot = making.slot
                    holder.awaited.append(making)
                holder.slots.append(slot)
                self._last_use[slot] = next(self._clock)
            if own is not None:
                self._parse_into(own, chunk)
        except BaseException as error:
            if own is not None:
                self._making.pop(chunk, None)  # who comes next tries again
                if not own.done.done():
                    own.done.set_exception(error)
            raise

    def _parse_into(self, making: _Making, chunk: int) -> None:
        rows = self.parse(chunk)
        self.memory[making.slot * self.slot_rows :][: len(rows)] = rows
        with self._lock:
            self._chunk_in[making.slot] = chunk  # first: what has a slot must be found when that is given away
            self._slot_of[chunk] = making.slot
            del self._making[chunk]
        making.done.set_result(None)

    def _free_slot(self) -> int:
        """Of the slots that nobody holds the one used longest ago, empty; `NONE` without any."""
        idle = np.ones(len(self._chunk_in), bool)
        for holder in self._holders:
            idle[holder.slots] = False
        idle = np.flatnonzero(idle)
        if not len(idle):
            return NONE
        slot = int(idle[self._last_use[idle].argmin()])
        chunk = self._chunk_in[slot]
        if chunk != NONE and self._slot_of[chunk] == slot:  # after an interrupt it may lie elsewhere
            self._slot_of[chunk] = NONE
        self._chunk_in[slot] = NONE
        return slot
