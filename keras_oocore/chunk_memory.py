"""The rows of the chunks that were parsed last, in one array, so that a batch is one copy; shared by many threads."""

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future

import numpy as np

NONE = -1  # no slot, no chunk
CELLS_PER_CHUNK = 16  # of the table that tells which chunk a row is of; most cells lie within one chunk


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
        self._slot_of = np.full(len(sizes), NONE)
        self._chunk_in = np.full(num_slots, NONE)
        self._num_users = np.zeros(num_slots, np.int64)  # a slot with users is not given away
        self._last_use = np.zeros(num_slots, np.int64)
        self._clock = itertools.count(1)
        self._parsing = {}  # slot -> Future, until its rows are there; of one that failed, until nobody waits for it
        self._lock = threading.Lock()

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Fill `out[i]` with row `rows[i]` of all chunks. Threads that want the same chunks share the parsing.

        Raises what `parse` raises, also for a chunk that another thread was parsing; the next call tries again.
        """
        chunks = self._chunks_of(rows)
        wanted = np.flatnonzero(np.bincount(chunks, minlength=len(self._slot_of)))
        held = []
        try:
            for chunk in self._hold_those_there(wanted, held):
                self._hold(chunk, held)
            for slot in held if self._parsing else ():
                self._wait_for(slot)
            rows_in_chunks = rows - self._starts[chunks]
            if len(held) == len(wanted):
                places = self._slot_of[chunks] * self.slot_rows + rows_in_chunks
                np.take(self.memory, places, axis=0, out=out, mode="clip")  # other modes copy twice
                return
            for chunk in wanted.tolist():
                of_chunk = chunks == chunk
                slot = self._slot_of[chunk]
                there = slot in held
                parsed = self.memory[slot * self.slot_rows :] if there else self.parse(chunk)  # no slot is free
                out[of_chunk] = parsed[rows_in_chunks[of_chunk]]
        finally:
            self._let_go(held)

    def prepare(self, chunks: Iterable[int]) -> None:
        """Have the rows of chunks that will be wanted soon; those that another thread is parsing are left to it."""
        for chunk in chunks:
            held = []
            try:
                if self._slot_of[chunk] == NONE:
                    self._hold(chunk, held)
            except Exception:
                pass
            finally:
                self._let_go(held)

    def _chunks_of(self, rows: np.ndarray) -> np.ndarray:
        """The chunk that each row is of; five times as quick as a binary search."""
        chunks = self._chunk_of_cell[rows >> self._shift]
        while (behind := rows >= self._starts[chunks + 1]).any():
            chunks += behind
        return chunks

    def _hold_those_there(self, chunks: np.ndarray, held: list[int]) -> list[int]:
        """Add the slots of chunks to `held`; returns the chunks that have none.

        All that are there first: taking slots for others could give them away.
        """
        with self._lock:
            slots = self._slot_of[chunks]
            there = slots[slots != NONE]
            self._num_users[there] += 1
            self._last_use[there] = next(self._clock)
            held += there.tolist()
        return chunks[slots == NONE].tolist()

    def _hold(self, chunk: int, held: list[int]) -> None:
        """Add the chunk's slot to `held`, and parse its rows if nobody does; nothing when no slot is free."""
        with self._lock:
            slot = int(self._slot_of[chunk])
            is_mine = slot == NONE
            if is_mine:
                slot = self._new_slot(chunk)
                if slot == NONE:
                    return
            self._num_users[slot] += 1
            self._last_use[slot] = next(self._clock)
            held.append(slot)
        if is_mine:
            self._parse_into(slot, chunk)

    def _new_slot(self, chunk: int) -> int:
        """A slot for the chunk, of those that nobody uses the one used longest ago; `NONE` without any."""
        idle = np.flatnonzero(self._num_users == 0)
        if not len(idle):
            return NONE
        slot = int(idle[self._last_use[idle].argmin()])
        if self._chunk_in[slot] != NONE:
            self._slot_of[self._chunk_in[slot]] = NONE
        self._slot_of[chunk], self._chunk_in[slot] = slot, chunk
        self._parsing[slot] = Future()
        return slot

    def _parse_into(self, slot: int, chunk: int) -> None:
        parsing = self._parsing[slot]
        try:
            rows = self.parse(chunk)
            self.memory[slot * self.slot_rows :][: len(rows)] = rows
        except BaseException as error:
            with self._lock:
                self._slot_of[chunk] = self._chunk_in[slot] = NONE  # who comes next tries again
            parsing.set_exception(error)
            raise
        with self._lock:
            del self._parsing[slot]
        parsing.set_result(None)

    def _wait_for(self, slot: int) -> None:
        parsing = self._parsing.get(slot)
        if parsing is not None:
            parsing.result()

    def _let_go(self, held: list[int]) -> None:
        with self._lock:
            self._num_users[held] -= 1
            for slot in [slot for slot in self._parsing if self._num_users[slot] == 0]:  # its parsing failed
                del self._parsing[slot]
