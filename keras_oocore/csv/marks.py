"""What each byte of a stretch of a CSV file is: a row start, a line end, quoted, a comment or a misplaced quote.

The module knows nothing about files, chunks and messages.
"""

from typing import NamedTuple

import numpy as np

from keras_oocore.csv.bits import at, has, last, positions, shifted
from keras_oocore.csv.dialect import SPACES
from keras_oocore.csv.look import BLANK, CELL, ESCAPE, LINE, QUOTE, SPACE, TEXT, Look, kind_before, look
from keras_oocore.csv.quotes import find_quoted

OUTSIDE, INSIDE, COMMENT = "outside quotes", "inside quotes", "in a comment"


class State(NamedTuple):
    """The state in which a stretch begins: `OUTSIDE`, `INSIDE` or `COMMENT`, and what precedes it, as in `csv/look`."""

    place: str
    before: str


START = State(OUTSIDE, LINE)  # of a file, and of a row


class Marks(NamedTuple):
    """Bit sets of a stretch, given the state in which it begins.

    Attributes:
        row_starts: The first byte of each record that is neither blank nor a comment.
        record_ends: The last byte of each line end outside quotes.
        comments: The first byte of each comment.
        inside: The bytes of quoted cells, up to the closing quote and without it.
        opened: The first byte of each quoted cell.
        fault: Position of the first misplaced quote, or -1. The bits after it are not reliable.
        state: The state in which the stretch ends.
    """

    row_starts: np.ndarray
    record_ends: np.ndarray
    comments: np.ndarray
    inside: np.ndarray
    opened: np.ndarray
    fault: int
    state: State


def mark(seen: Look, state: State = START) -> Marks:
    r"""Mark the bytes of a stretch that begins in `state`.

    >>> from keras_oocore.csv.dialect import Dialect
    >>> marks = mark(look(np.frombuffer(b'\na,"\n"\n3,4\n5', np.uint8), Dialect()))
    >>> positions(marks.row_starts), positions(marks.record_ends), marks.state.place
    (array([0, 6]), array([5, 9]), 'outside quotes')
    """
    if seen.is_plain and state.place == OUTSIDE:
        return _mark_lines(seen, state)
    comment_ends = np.zeros_like(seen.line_ends)
    while True:
        starts, stops = _comment_lines(seen, state)
        cells = find_quoted(seen, state.place == INSIDE, starts, stops, state.place == COMMENT)
        are_comments = ~at(cells.inside, starts)
        escaped = _first_escaped(seen, stops[are_comments])
        if escaped < 0:
            break
        comment_ends[escaped // 64] |= np.uint64(1 << escaped % 64)  # an escape character in a comment has no effect
        seen = look(seen.data, seen.dialect, None, seen.before, comment_ends)
    record_ends = seen.unescaped(seen.line_ends) & ~cells.inside
    row_starts = seen.after_lines(record_ends, state == START)
    in_comment = bool((stops[are_comments] == seen.size_bytes).any())
    place = COMMENT if in_comment else INSIDE if has(cells.inside, seen.size_bytes - 1) else OUTSIDE
    before = kind_after(seen, place, cells.closed, has(row_starts, seen.size_bytes - 1))
    row_starts &= ~seen.breaks
    if seen.dialect.delimiter == SPACES:
        row_starts &= ~seen.separators
    comments = np.zeros_like(record_ends)
    if seen.comments is not None:
        comments = seen.comments & ~cells.inside
        row_starts &= ~comments
    _clear_after_end(row_starts, seen.size_bytes)
    return Marks(row_starts, record_ends, comments, cells.inside, cells.opened, cells.fault, State(place, before))


def _mark_lines(seen: Look, state: State) -> Marks:
    """Mark the bytes of a plain stretch that begins outside quotes and comments: every line is a record."""
    row_starts = shifted(seen.line_ends, state == START)
    before = kind_after(seen, OUTSIDE, True, has(row_starts, seen.size_bytes - 1))
    row_starts &= ~seen.breaks
    _clear_after_end(row_starts, seen.size_bytes)
    none = np.zeros_like(row_starts)
    return Marks(row_starts, seen.line_ends, none, none, none, -1, State(OUTSIDE, before))


def _clear_after_end(row_starts: np.ndarray, size_bytes: int) -> None:
    """A record that begins after the last byte belongs to the next stretch."""
    if size_bytes % 64:
        row_starts[-1] &= np.uint64((1 << size_bytes % 64) - 1)


def _comment_lines(seen: Look, state: State) -> tuple[np.ndarray, np.ndarray]:
    """Return the first bytes of lines that begin like a comment, and their line ends.

    If the stretch begins in a comment, the rest of it is the first line. The line end may be the end of the stretch.
    """
    starts = np.zeros(0, np.int64) if seen.comments is None else positions(seen.comments)
    if state.place == COMMENT:
        starts = np.append(0, starts)
    if not len(starts):
        return starts, starts
    ends = positions(seen.line_ends)
    return starts, np.append(ends, seen.size_bytes)[np.searchsorted(ends, starts)]


def _first_escaped(seen: Look, ends: np.ndarray) -> int:
    """Return the first of some line ends that follows an escape character, or -1."""
    if seen.escaped is None:
        return -1
    ends = ends[ends < seen.size_bytes]
    escaped = ends[at(seen.escaped, ends)]
    return int(escaped[0]) if len(escaped) else -1


def kind_after(seen: Look, place: str, closed: bool, in_line_start: bool) -> str:
    """Return what precedes the byte after a stretch.

    Args:
        seen: The stretch.
        place: Where it ends.
        closed: Whether a quote at its end, outside quotes, closes a cell.
        in_line_start: Whether it ends at the beginning of a line, in spaces that are ignored.
    """
    kind, dialect, size_bytes = kind_before(seen.data[-2:], seen.dialect), seen.dialect, seen.size_bytes
    if place == COMMENT:
        return TEXT if kind == ESCAPE else kind
    if seen.escapes_next:
        return ESCAPE
    if kind == ESCAPE or (seen.escaped is not None and has(seen.escaped, size_bytes - 1)):
        return TEXT
    if place == INSIDE:
        return kind
    if kind == QUOTE and not closed:
        return TEXT
    if kind == CELL and dialect.delimiter == SPACES and in_line_start:
        return LINE
    if kind == TEXT and seen.data[-2] == BLANK and dialect.quotechar is not None and _ends_in_initial_spaces(seen):
        return CELL if dialect.skip_initial_space else SPACE
    return kind


def _ends_in_initial_spaces(seen: Look) -> bool:
    """Return whether nothing but spaces follows the last delimiter or line end of a stretch."""
    position = last(~seen.find(BLANK), seen.size_bytes)
    if position < 0:
        return seen.before in (LINE, CELL, SPACE)
    is_escaped = seen.escaped is not None and has(seen.escaped, position)
    return not is_escaped and kind_before(seen.data[position + 1 :], seen.dialect) in (LINE, CELL)
