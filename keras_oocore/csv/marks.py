"""What each byte of a stretch of a CSV file is: a row start, a line end, a quote, a comment or a misplaced quote.

A newline ends a record where the number of quotes before it is even. This is exact if every quote that opens a field
follows a delimiter or a newline, and every quote that closes a field precedes one. Each quote is checked for that.
The module knows nothing about files, chunks and messages.
"""

from typing import NamedTuple

import numpy as np

from keras_oocore.csv.bits import has, packed, parities, positions, shifted, shifted_back
from keras_oocore.csv.dialect import Dialect

QUOTE, LF, CR = b'"\n\r'
OUTSIDE, INSIDE, COMMENT = "outside quotes", "inside quotes", "in a comment"


class Look(NamedTuple):
    r"""Bit sets of a stretch that do not depend on the number of quotes before it.

    Attributes:
        size_bytes: Length of the stretch.
        after_line: Whether the stretch begins a line.
        line_ends: The last byte of each line end.
        breaks: Every `\n` and `\r`.
        comments: The first byte of each line that begins like a comment, or `None` without comments.
        quotes: Every quote, or `None` if there is none.
        leading: Quotes that do not follow a quote.
        parity: Bytes up to which the number of quotes in the stretch is odd.
        not_opening: Quotes that can neither open a field nor be the second quote of a pair.
        not_closing: Quotes that can neither close a field nor be the first quote of a pair.
    """

    size_bytes: int
    after_line: bool
    line_ends: np.ndarray
    breaks: np.ndarray
    comments: np.ndarray | None
    quotes: np.ndarray | None
    leading: np.ndarray | None
    parity: np.ndarray | None
    not_opening: np.ndarray | None
    not_closing: np.ndarray | None


class Marks(NamedTuple):
    """Bit sets of a stretch, given the state in which it begins.

    Attributes:
        row_starts: The first byte of each record that is neither blank nor a comment.
        record_ends: The last byte of each line end outside quotes.
        comments: The first byte of each comment.
        inside: Bytes up to which the number of quotes is odd.
        opened: The first byte of each quoted field.
        faults: Misplaced quotes.
        state: The state in which the stretch ends: outside quotes, inside quotes, or in a comment.
    """

    row_starts: np.ndarray
    record_ends: np.ndarray
    comments: np.ndarray
    inside: np.ndarray
    opened: np.ndarray
    faults: np.ndarray
    state: str


def look(data: np.ndarray, dialect: Dialect, scratch: np.ndarray | None = None) -> Look:
    """Compute everything that does not depend on the preceding bytes. This is most of the work, and runs in any thread.

    Args:
        data: `uint8` of shape `(n + 2,)`. The stretch, with the byte before it and the byte after it.
        dialect: The dialect of the file.
        scratch: Work space, `bool` of shape `(n,)` or longer. Allocating memory costs more than the computation.
    """
    flags = np.empty(len(data) - 2, bool) if scratch is None else scratch[: len(data) - 2]
    line_ends, breaks = find_lines(data, flags)
    after_line = bool(data[0] == LF or (data[0] == CR and data[1] != LF))
    comments = None
    if dialect.comment is not None:
        comments = _find(ord(dialect.comment), data, flags) & shifted(line_ends, after_line)
    lines = (len(data) - 2, after_line, line_ends, breaks, comments)
    quotes = _find(QUOTE, data, flags)
    if not quotes.any():
        return Look(*lines, None, None, None, None, None)
    delimiter = ord(dialect.delimiter)
    edges = breaks | quotes | _find(delimiter, data, flags)
    before, after = (int(data[i]) in (LF, CR, QUOTE, delimiter) for i in (0, -1))
    not_opening, not_closing = quotes & ~shifted(edges, before), quotes & ~shifted_back(edges, after, len(data) - 2)
    leading = quotes & ~shifted(quotes, bool(data[0] == QUOTE))
    return Look(*lines, quotes, leading, parities(quotes), not_opening, not_closing)


def _find(byte: int, data: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """Return where a byte occurs in a stretch. `flags` is work space."""
    return packed(np.equal(data[1:-1], byte, out=flags))


def find_lines(data: np.ndarray, flags: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the last bytes of line ends, and every `\n` and `\r`. `flags` is work space."""
    flags = np.empty(len(data) - 2, bool) if flags is None else flags
    feeds = _find(LF, data, flags)
    if not np.equal(data[1:-1], CR, out=flags).any():
        return feeds, feeds
    returns = packed(flags)
    return feeds | (returns & ~shifted_back(feeds, bool(data[-1] == LF), len(data) - 2)), feeds | returns


def mark(seen: Look, state: str = OUTSIDE) -> Marks:
    r"""Mark the bytes of a stretch that begins in `state`: outside quotes, inside quotes, or in a comment.

    >>> marks = mark(look(np.frombuffer(b'\na,"\n"\n3,4\n5', np.uint8), Dialect()))
    >>> positions(marks.row_starts), positions(marks.record_ends), marks.state
    (array([0, 6]), array([5, 9]), 'outside quotes')
    """
    none = np.zeros_like(seen.line_ends)
    quotes, parity, ends_in_comment = seen.quotes, seen.parity, False
    if seen.comments is not None:
        quotes, parity, ends_in_comment = _without_comments(seen, state)
    inside = none if parity is None else parity
    if state == INSIDE:
        inside = ~inside
    opened = faults = none
    if quotes is not None:
        faults = quotes & ((seen.not_opening & inside) | (seen.not_closing & ~inside))
        opened = quotes & inside & seen.leading
    record_ends = seen.line_ends & ~inside
    row_starts = shifted(record_ends, seen.after_line and state == OUTSIDE) & ~seen.breaks
    comments = none
    if seen.comments is not None:
        comments = seen.comments & ~inside
        row_starts &= ~comments
    if seen.size_bytes % 64:  # a record that begins after the last byte belongs to the next stretch
        row_starts[-1] &= np.uint64((1 << seen.size_bytes % 64) - 1)
    if ends_in_comment:
        state = COMMENT
    else:
        state = INSIDE if has(inside, seen.size_bytes - 1) else OUTSIDE
    return Marks(row_starts, record_ends, comments, inside, opened, faults, state)


def _without_comments(seen: Look, state: str) -> tuple[np.ndarray | None, np.ndarray | None, bool]:
    """Return the quotes outside comments, their parity, and whether the stretch ends in a comment.

    A line is a comment if the number of quotes before it, outside comments, is even. Only candidates that contain
    quotes are examined one by one.
    """
    starts = positions(seen.comments)
    if state == COMMENT:
        starts = np.append(0, starts)
    if not len(starts):
        return seen.quotes, seen.parity, False
    ends = positions(seen.line_ends)
    stops = np.append(ends, seen.size_bytes)[np.searchsorted(ends, starts)]
    quotes = positions(seen.quotes) if seen.quotes is not None else np.zeros(0, np.int64)
    num_before, num_through = np.searchsorted(quotes, starts), np.searchsorted(quotes, stops)
    kept, num_odd = np.ones(len(quotes), bool), int(state == INSIDE)
    num_erased = 0
    for i in np.flatnonzero(num_through > num_before).tolist():
        if (num_odd + num_before[i] - num_erased) % 2 == 0:
            kept[num_before[i] : num_through[i]] = False
            num_erased += num_through[i] - num_before[i]
    at_end = stops[-1] == seen.size_bytes and (num_odd + np.count_nonzero(kept[: num_before[-1]])) % 2 == 0
    if not num_erased:
        return seen.quotes, seen.parity, at_end
    flags = np.zeros(seen.size_bytes, bool)
    flags[quotes[kept]] = True
    words = packed(flags)
    return words, parities(words), at_end
