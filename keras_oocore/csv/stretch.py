"""A stretch of a CSV file: how many rows and lines it has, and what each of its bytes is."""

from functools import cached_property
from typing import NamedTuple

from keras_oocore.csv.bits import count, has, last, next_one, shifted
from keras_oocore.csv.look import LINE, Look
from keras_oocore.csv.marks import OUTSIDE, Marks, State, kind_after, mark


class Tally(NamedTuple):
    """The rows and lines of some bytes.

    Attributes:
        num_rows: Number of rows that begin in them.
        num_lines: Number of lines that end in them.
        last_row: Position of the last row that begins in them, or -1.
        lines_before_last_row: Number of lines that end before that row.
    """

    num_rows: int
    num_lines: int
    last_row: int
    lines_before_last_row: int


class Stretch:
    r"""A stretch that begins in a given state. Where every line is a row, its line ends are enough to count rows.

    Args:
        seen: The bit sets of the stretch.
        state: The state in which it begins.

    Attributes:
        tally: Its rows and lines, if it has no fault.
        fault: Position of the first misplaced quote, or -1.
        last_opened: Position of the last quoted cell, or -1.
        end: The state in which it ends.

    >>> import numpy as np
    >>> from keras_oocore.csv.dialect import Dialect
    >>> from keras_oocore.csv.look import look
    >>> from keras_oocore.csv.marks import START
    >>> stretch = Stretch(look(np.frombuffer(b"\na,b\n1,2\n\n3,4\n5", np.uint8), Dialect()), START)
    >>> stretch.tally
    Tally(num_rows=3, num_lines=4, last_row=9, lines_before_last_row=3)
    >>> stretch.last_row_before(9), stretch.rows_before(9), stretch.next_row(5)
    (4, 2, 9)
    """

    def __init__(self, seen: Look, state: State):
        self.seen: Look = seen
        self._state = state
        self._begins_row = state.before == LINE
        self._lines_are_rows = (
            seen.is_plain
            and state.place == OUTSIDE
            and not (shifted(seen.line_ends, self._begins_row) & seen.breaks).any()  # no line is blank
        )
        self.fault: int = -1
        self.last_opened: int = -1
        if self._lines_are_rows:
            self.end: State = State(OUTSIDE, kind_after(seen, OUTSIDE, True, has(seen.line_ends, seen.size_bytes - 1)))
        else:
            self.fault, self.last_opened, self.end = self.marks.fault, last(self.marks.opened), self.marks.state
        self.tally: Tally = self.tally_before(seen.size_bytes)

    @cached_property
    def marks(self) -> Marks:
        """What each byte is."""
        return mark(self.seen, self._state)

    def tally_before(self, stop: int) -> Tally:
        """Return the rows and lines of the bytes before `stop`."""
        last_row = self.last_row_before(stop)
        before_last_row = self.lines_before(max(last_row, 0))
        return Tally(self.rows_before(stop), self.lines_before(stop), last_row, before_last_row)

    def lines_before(self, stop: int) -> int:
        """Return the number of lines that end before `stop`."""
        return count(self.seen.line_ends, stop)

    def rows_before(self, stop: int) -> int:
        """Return the number of rows that begin before `stop`."""
        if not self._lines_are_rows:
            return count(self.marks.row_starts, stop)
        return count(self.seen.line_ends, stop - 1) + self._begins_row if stop > 0 else 0

    def last_row_before(self, stop: int) -> int:
        """Return the position of the last row that begins before `stop`, or -1."""
        if not self._lines_are_rows:
            return last(self.marks.row_starts, stop)
        ended = last(self.seen.line_ends, stop - 1) if stop > 0 else -1
        return ended + 1 if ended >= 0 or (self._begins_row and stop > 0) else -1

    def next_row(self, start: int) -> int:
        """Return the position of the first row that begins at or after `start`, or -1."""
        if not self._lines_are_rows:
            return next_one(self.marks.row_starts, start)
        if start == 0 and self._begins_row:
            return 0
        ended = next_one(self.seen.line_ends, max(0, start - 1))
        return ended + 1 if 0 <= ended < self.seen.size_bytes - 1 else -1
