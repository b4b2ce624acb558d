"""The rows of the chunks that were parsed last, in one array, so that a batch is one copy; shared by many threads."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future

import numpy as np


class _Slot:
    """Where a chunk's rows lie; it is not given away while somebody is at it."""

    def __init__(self, number: int):
        self.number = number
        self.num_users = 0
        self.parsing = Future()
        self.is_parsed = False  # a Future takes a lock to say it, which a batch of rows of many chunks would feel


class ChunkMemory:
    """Keeps the rows of as many chunks as there are slots; what was not used for the longest time goes first.

    A chunk that finds no free slot, because others are at work in all of them, is parsed for this once. So nobody waits
    for a slot, only for a chunk that another thread is parsing: threads cannot block each other.

    Args:
        parse: chunk → its rows, `(n, ...)`, at most `slot_rows` of them; called in the threads that want them.
        num_chunks: that there are.
        num_slots: chunks that are kept.
        slot_rows: most rows of a chunk.
        shape: of a row.
        dtype: of the rows.

    >>> memory = ChunkMemory(lambda chunk: np.full((2, 1), chunk), 9, num_slots=3, slot_rows=2, shape=(1,), dtype=int)
    >>> out = np.empty((3, 1), int)
    >>> memory.read(chunks=np.array([7, 5, 7]), rows=np.array([0, 1, 1]), out=out)
    >>> out.ravel().tolist()
    [7, 5, 7]
    """

    def __init__(
        self, parse: Callable[[int], np.ndarray], num_chunks: int, num_slots: int, slot_rows: int, shape: tuple, dtype
    ):
        self.parse = parse
        self.slot_rows = slot_rows
        self.memory = np.empty((num_slots * slot_rows, *shape), dtype)  # pages that are not written take no room
        self._starts = np.zeros(num_chunks, np.int64)  # row of `memory` at which a chunk's slot begins
        self._free = list(range(num_slots))
        self._slots = OrderedDict()  # chunk -> its slot, the one used last at the end
        self._lock = threading.Lock()

    def read(self, chunks: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
        """Fill `out[i]` with row `rows[i]` of chunk `chunks[i]`. Threads that want the same chunks share the parsing.

        Raises what `parse` raises, also for a chunk that another thread was parsing; the next call tries again.
        """
        wanted = np.flatnonzero(np.bincount(chunks, minlength=len(self._starts))).tolist()
        held = {}
        try:
            for chunk in self._hold_those_there(wanted, held):
                self._hold(chunk, held)
            for slot in held.values():
                if not slot.is_parsed:
                    slot.parsing.result()
            starts = self._starts[chunks]
            if len(held) == len(wanted):
                np.take(self.memory, starts + rows, axis=0, out=out, mode="clip")  # other modes copy twice
                return
            for chunk in wanted:
                of_chunk = chunks == chunk
                if chunk in held:
                    out[of_chunk] = self.memory[starts[of_chunk] + rows[of_chunk]]
                else:  # no slot is free
                    out[of_chunk] = self.parse(chunk)[rows[of_chunk]]
        finally:
            self._let_go(held.values())

    def _hold_those_there(self, chunks: list[int], held: dict[int, _Slot]) -> list[int]:
        """Add the slots of chunks to `held`; returns the chunks that have none.

        All that are there first: taking slots for others could give them away.
        """
        with self._lock:
            for chunk in chunks:
                slot = self._slots.get(chunk)
                if slot is not None:
                    slot.num_users += 1
                    self._slots.move_to_end(chunk)
                    held[chunk] = slot
        return [chunk for chunk in chunks if chunk not in held]

    def _hold(self, chunk: int, held: dict[int, _Slot]) -> None:
        """Add the chunk's slot to `held`, and parse its rows if nobody does; nothing when no slot is free."""
        with self._lock:
            slot = self._slots.get(chunk)
            is_mine = slot is None
            if is_mine:
                slot = self._new_slot()
                if slot is None:
                    return
                self._slots[chunk] = slot
                self._starts[chunk] = slot.number * self.slot_rows
            slot.num_users += 1
            held[chunk] = slot
        if is_mine:
            self._parse_into(slot, chunk)

    def _parse_into(self, slot: _Slot, chunk: int) -> None:
        try:
            rows = self.parse(chunk)
            self.memory[slot.number * self.slot_rows :][: len(rows)] = rows
        except BaseException as error:
            with self._lock:
                del self._slots[chunk]  # who comes next tries again
            slot.parsing.set_exception(error)
            raise
        slot.is_parsed = True
        slot.parsing.set_result(None)

    def _let_go(self, slots: Iterable[_Slot]) -> None:
        with self._lock:
            for slot in slots:
                slot.num_users -= 1
                if slot.num_users == 0 and not slot.is_parsed:  # the parsing failed, and the chunk has no slot any more
                    self._free.append(slot.number)

    def _new_slot(self) -> _Slot | None:
        if self._free:
            return _Slot(self._free.pop())
        for chunk, slot in self._slots.items():
            if slot.num_users == 0:
                del self._slots[chunk]
                return _Slot(slot.number)
        return None
