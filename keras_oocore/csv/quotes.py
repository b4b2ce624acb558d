"""The quoted cells of a stretch of a CSV file.

A byte is inside quotes where the number of quotes before it is odd. This is exact if every quote that opens a cell
follows a delimiter or a newline, and every quote that closes a cell precedes one. Each quote is checked for that. Where
one fails, the runs of quotes are told apart: outside quotes, a run that cannot open a cell is text.
"""

from typing import NamedTuple

import numpy as np

from keras_oocore.csv.bits import (
    at,
    every_other,
    filled,
    first,
    has,
    packed,
    parities,
    positions,
    shifted,
    shifted_back,
)
from keras_oocore.csv.look import BLANK, QUOTE, SPACE, Look, after_spaces


class QuotedCells(NamedTuple):
    """The quoted cells of a stretch.

    Attributes:
        inside: The bytes of quoted cells. Whether quotes are among them does not matter.
        opened: The first byte of each.
        fault: Position of the first misplaced quote, or -1. The bits after it are not reliable.
        closed: Whether a quote at the end of the stretch, outside quotes, closes a cell. Otherwise it is text.
    """

    inside: np.ndarray
    opened: np.ndarray
    fault: int = -1
    closed: bool = True


def find_quoted(seen: Look, inside: bool, starts: np.ndarray, stops: np.ndarray, in_comment: bool) -> QuotedCells:
    """Return the quoted cells of a stretch.

    Args:
        seen: The stretch.
        inside: Whether it begins inside quotes.
        starts: The first byte of each line that begins like a comment.
        stops: The line ends of these lines.
        in_comment: Whether the stretch begins in a comment, the first of these lines.
    """
    if seen.quotes is None:
        none = np.zeros_like(seen.line_ends)
        return QuotedCells(~none if inside else none, none)
    in_lines = _quotes_in(seen.quotes, starts, stops)
    if not in_lines.any():
        odd = ~seen.parity if inside else seen.parity
        if not ((seen.not_opening & odd) | (seen.not_closing & ~odd)).any():
            return QuotedCells(odd, seen.quotes & odd & seen.leading)
    spaced = _after_initial_spaces(seen)
    openings = seen.cell_starts | spaced
    openings[0] |= np.uint64(seen.before == QUOTE)  # a pair of quotes that is cut in two
    quotes = seen.quotes
    if in_lines.any():
        quotes = _outside_comments(quotes, openings, inside, starts[in_lines], stops[in_lines], in_comment)
    return _by_runs(seen, quotes, openings, spaced, inside)


def _by_runs(seen: Look, quotes: np.ndarray, openings: np.ndarray, spaced: np.ndarray, inside: bool) -> QuotedCells:
    """Return the quoted cells of a stretch, wherever its quotes are.

    After the quote that opens a cell, two quotes are one that is text, and an odd one closes the cell. So an odd run of
    quotes that can open a cell flips the state, another odd run always ends outside, and an even run changes nothing.

    Args:
        seen: The stretch.
        quotes: Its quotes, without those in comments.
        openings: Where a run of quotes, outside quotes, opens a cell.
        spaced: Where it is a mistake.
        inside: Whether the stretch begins inside quotes.
    """
    heads, tails = _heads(quotes), quotes & ~shifted_back(quotes, False, seen.size_bytes)
    odd = tails & every_other(quotes)
    opening = filled(heads & openings, quotes)  # all quotes of these runs
    flipped = parities(odd & opening)
    if inside:
        flipped = ~flipped
    resets = odd & ~opening
    now_inside = flipped ^ filled(resets & flipped, ~(resets & ~flipped))  # flips back, until the next reset
    was_inside = shifted(now_inside, inside)
    opens = heads & openings & ~was_inside
    closes = (odd & was_inside) | (tails & ~odd & opening & ~was_inside)
    fault = first((closes & seen.not_closing) | (opens & spaced))
    return QuotedCells(now_inside, opens & seen.leading, fault, has(closes, seen.size_bytes - 1))


def _after_initial_spaces(seen: Look) -> np.ndarray:
    """Return the initial spaces of cells, and the bytes after them, where a quote is a mistake."""
    if seen.dialect.skip_initial_space or BLANK in seen.dialect.delimiters:
        return np.zeros_like(seen.line_ends)
    starts = seen.cell_starts.copy()
    starts[0] |= np.uint64(seen.before == SPACE)
    return after_spaces(starts, seen.find(BLANK)) & ~seen.cell_starts


def _quotes_in(quotes: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Return whether there is a quote between each start and stop."""
    if not len(starts):
        return np.zeros(0, bool)
    found = positions(quotes)
    return np.searchsorted(found, starts) < np.searchsorted(found, stops)


def _outside_comments(
    quotes: np.ndarray, openings: np.ndarray, inside: bool, starts: np.ndarray, stops: np.ndarray, in_comment: bool
) -> np.ndarray:
    """Return the quotes outside comments.

    Whether a line is a comment depends on the quotes before it outside comments, so that the lines are examined one
    after the other.

    Args:
        quotes: The quotes of a stretch.
        openings: Where a run of quotes, outside quotes, opens a cell.
        inside: Whether the stretch begins inside quotes.
        starts: The first byte of each line that begins like a comment and has quotes.
        stops: The line ends of these lines.
        in_comment: Whether the first byte of the stretch is in a comment.
    """
    found, heads = positions(quotes), positions(_heads(quotes))
    odd = np.diff(np.searchsorted(found, heads), append=len(found)) % 2 == 1
    can_open = at(openings, heads)
    flips, ends = odd & can_open, odd & ~can_open
    kept, begin = np.ones(len(found), bool), 0  # `inside` is the state before the run `begin`
    for start, stop in zip(starts.tolist(), stops.tolist()):
        run, next_run = np.searchsorted(heads, [start, stop]).tolist()
        resets = np.flatnonzero(ends[begin:run])
        if len(resets):
            begin, inside = begin + int(resets[-1]) + 1, False
        inside ^= bool(np.count_nonzero(flips[begin:run]) % 2)
        begin = run
        if not inside or (in_comment and start == 0):
            kept[slice(*np.searchsorted(found, [start, stop]))] = False
            begin, inside = next_run, False
    flags = np.zeros(64 * len(quotes), bool)
    flags[found[kept]] = True
    return packed(flags)


def _heads(quotes: np.ndarray) -> np.ndarray:
    """Return the first quote of each run."""
    return quotes & ~shifted(quotes, False)
