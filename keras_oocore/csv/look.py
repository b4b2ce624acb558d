"""Bit sets of a stretch of a CSV file that do not depend on whether it begins inside quotes.

Computing them is most of the work of a scan, and runs in any thread.
"""

from typing import NamedTuple

import numpy as np

from keras_oocore.csv.bits import every_other, filled, has, packed, parities, shifted, shifted_back
from keras_oocore.csv.dialect import SPACES, Dialect

LF, CR, BLANK = b"\n\r "
# What precedes a stretch, as far as it matters to its first bytes.
LINE = "the end of a line"
CELL = "a delimiter, or initial spaces that are skipped"
SPACE = "initial spaces that belong to a cell"
QUOTE = "a quote that opens or closes a cell, or half of a pair"
ESCAPE = "an escape character, which makes the next byte text"
TEXT = "another byte"


class Look(NamedTuple):
    r"""Bit sets of a stretch.

    Attributes:
        data: The stretch, with the byte before it and the byte after it.
        dialect: The dialect of the file.
        before: What precedes the stretch: `LINE`, `CELL`, `SPACE`, `QUOTE`, `ESCAPE` or `TEXT`.
        line_ends: The last byte of each line end.
        breaks: Every `\n` and `\r`.
        escaped: Bytes that follow an escape character, or `None` without escape characters.
        escapes_next: Whether the last byte of the stretch is an escape character that holds for the next byte.
        separators: Delimiters, or `None` if they do not matter.
        comments: The first byte of each line that begins like a comment, or `None` without comments.
        quotes: Every quote, or `None` if there is none.
        leading: Quotes that do not follow a quote.
        parity: Bytes up to which the number of quotes in the stretch is odd.
        cell_starts: The first byte of each cell, and the initial spaces that are skipped before it.
        not_opening: Quotes that can neither open a cell nor be the second quote of a pair.
        not_closing: Quotes that can neither close a cell nor be the first quote of a pair.
    """

    data: np.ndarray
    dialect: Dialect
    before: str
    line_ends: np.ndarray
    breaks: np.ndarray
    escaped: np.ndarray | None
    escapes_next: bool
    separators: np.ndarray | None
    comments: np.ndarray | None
    quotes: np.ndarray | None = None
    leading: np.ndarray | None = None
    parity: np.ndarray | None = None
    cell_starts: np.ndarray | None = None
    not_opening: np.ndarray | None = None
    not_closing: np.ndarray | None = None

    @property
    def size_bytes(self) -> int:
        """Length of the stretch."""
        return len(self.data) - 2

    @property
    def is_plain(self) -> bool:
        """Whether every line end ends a record, unless the stretch begins inside quotes or in a comment."""
        return self.quotes is None and self.comments is None and self.escaped is None and self.separators is None

    def unescaped(self, found: np.ndarray) -> np.ndarray:
        """Return the bits of `found` that do not follow an escape character."""
        return found if self.escaped is None else found & ~self.escaped

    def after_lines(self, line_ends: np.ndarray, after_line: bool) -> np.ndarray:
        """Return the first byte after each line end and, with `delimiter=r"\\s+"`, the spaces that follow it."""
        starts = shifted(line_ends, after_line)
        return after_spaces(starts, self.separators) if self.dialect.delimiter == SPACES else starts

    def find(self, byte: int) -> np.ndarray:
        """Return where a byte occurs, except after an escape character."""
        return self.unescaped(_find(byte, self.data))


def look(
    data: np.ndarray,
    dialect: Dialect,
    scratch: np.ndarray | None = None,
    before: str | None = None,
    comment_ends: np.ndarray | None = None,
    absent: bytes = b"",
) -> Look:
    """Compute everything that does not depend on the state in which a stretch begins.

    Args:
        data: `uint8` of shape `(n + 2,)`. The stretch, with the byte before it and the byte after it.
        dialect: The dialect of the file.
        scratch: Work space, `bool` of shape `(n,)` or longer. Allocating memory costs more than the computation.
        before: What precedes the stretch, or `None` to derive it from the byte before it.
        comment_ends: Line ends that end a comment, where an escape character has no effect.
        absent: Bytes that do not occur in the stretch, among `\\r` and quotes.
    """
    flags = np.empty(len(data) - 2, bool) if scratch is None else scratch[: len(data) - 2]
    if before is None:
        before = kind_before(data, dialect)
    line_ends, breaks = find_lines(data, flags, absent)
    escaped, escapes_next = None, False
    if dialect.escapechar is not None:
        escaped, escapes_next = _escapes(_find(ord(dialect.escapechar), data, flags), before, len(data) - 2)
        if comment_ends is not None:
            escaped &= ~comment_ends
    separators = _find_any(dialect.delimiters, data, flags) if dialect.delimiter == SPACES else None
    seen = Look(data, dialect, before, line_ends, breaks, escaped, escapes_next, separators, None)
    if separators is not None:
        seen = seen._replace(separators=seen.unescaped(separators))
    if dialect.comment is not None:
        begins = seen.after_lines(seen.unescaped(line_ends), before == LINE)
        seen = seen._replace(comments=begins & seen.unescaped(_find(ord(dialect.comment), data, flags)))
    if dialect.quotechar is None or not _occurs(ord(dialect.quotechar), data, flags, absent):
        return seen
    quotes = seen.unescaped(packed(flags))
    return _with_quotes(seen, quotes, flags) if quotes.any() else seen


def framed(rows: bytes | memoryview, dialect: Dialect) -> np.ndarray:
    """Return whole rows with the byte before and the byte after that `look` expects."""
    return np.frombuffer(b"".join((b"\n", rows, dialect.delimiters[:1])), np.uint8)


def _with_quotes(seen: Look, quotes: np.ndarray, flags: np.ndarray) -> Look:
    """Return a `Look` with what depends on quotes. `flags` is work space."""
    data, dialect, before = seen.data, seen.dialect, seen.before
    separators = seen.separators
    if separators is None:
        separators = seen.unescaped(_find(dialect.delimiters[0], data, flags))
    edges = seen.unescaped(seen.breaks) | separators
    starts = shifted(edges, before in (LINE, CELL))
    if dialect.skip_initial_space:
        starts = after_spaces(starts, _find(BLANK, data, flags))
    after_quote = shifted(quotes, before == QUOTE)
    closes = int(data[-1]) in (LF, CR, ord(dialect.quotechar), *dialect.delimiters)
    return seen._replace(
        separators=separators,
        quotes=quotes,
        leading=quotes & ~after_quote,
        parity=parities(quotes),
        cell_starts=starts,
        not_opening=quotes & ~(starts | after_quote),
        not_closing=quotes & ~shifted_back(edges | quotes, closes, len(data) - 2),
    )


def kind_before(data: np.ndarray, dialect: Dialect) -> str:
    """Return what precedes a stretch, given the byte before it and its first byte. It may not be what it seems."""
    byte = int(data[0])
    if byte == LF or (byte == CR and data[1] != LF):
        return LINE
    if byte in dialect.delimiters:
        return CELL
    if dialect.quotechar is not None and byte == ord(dialect.quotechar):
        return QUOTE
    return ESCAPE if dialect.escapechar is not None and byte == ord(dialect.escapechar) else TEXT


def find_lines(data: np.ndarray, flags: np.ndarray | None = None, absent: bytes = b"") -> tuple[np.ndarray, np.ndarray]:
    r"""Return the last bytes of line ends, and every `\n` and `\r`. The optional arguments are those of `look`."""
    flags = np.empty(len(data) - 2, bool) if flags is None else flags
    feeds = _find(LF, data, flags)
    if not _occurs(CR, data, flags, absent):
        return feeds, feeds
    returns = packed(flags)
    return feeds | (returns & ~shifted_back(feeds, bool(data[-1] == LF), len(data) - 2)), feeds | returns


def _occurs(byte: int, data: np.ndarray, flags: np.ndarray, absent: bytes) -> bool:
    """Return whether a byte occurs in a stretch, and if so, set `flags` where it does."""
    return byte not in absent and bool(np.equal(data[1:-1], byte, out=flags).any())


def _find(byte: int, data: np.ndarray, flags: np.ndarray | None = None) -> np.ndarray:
    """Return where a byte occurs in a stretch. `flags` is work space."""
    return packed(np.equal(data[1:-1], byte, out=flags))


def _find_any(wanted: bytes, data: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """Return where any of several bytes occurs in a stretch. `flags` is work space."""
    found = _find(wanted[0], data, flags)
    for byte in wanted[1:]:
        found |= _find(byte, data, flags)
    return found


def _escapes(escapes: np.ndarray, before: str, size: int) -> tuple[np.ndarray, bool]:
    """Return the bytes that follow an effective escape character, and whether the byte after the stretch does.

    In a run of escape characters, every other one is effective.
    """
    escapes[0] &= ~np.uint64(before == ESCAPE)
    effective = every_other(escapes)
    return shifted(effective, before == ESCAPE), has(effective, size - 1)


def after_spaces(starts: np.ndarray, spaces: np.ndarray) -> np.ndarray:
    """Return `starts`, the spaces that follow, and the first byte after those."""
    return starts | shifted(filled(starts, spaces), False)
