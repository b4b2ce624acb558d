"""What each byte of a stretch of a CSV file is, as one bit a byte; knows nothing of files, chunks and messages.

A newline ends a record where the number of quotes before it is even. That is exact where every quote that opens a
field follows a delimiter or a newline, and every quote that closes one precedes such; each quote is checked. What
stands where is kept in words of 64 bits, as in simdjson (Langdale and Lemire, arXiv 1902.08318): numpy makes and
combines such words at several GB/s, so one thread keeps pace with most disks.
"""

from typing import NamedTuple

import numpy as np

from keras_oocore.tables.csv.index import Dialect

QUOTE, LF, CR = b'"\n\r'
OUTSIDE, INSIDE, COMMENT = "outside quotes", "inside quotes", "in a comment"

# Bits: what stands where, one bit a byte, in words of 64, the first byte in the lowest bit


def packed(flags: np.ndarray) -> np.ndarray:
    """`bool` of shape `(n,)` as words: `uint64` of shape `(ceil(n / 64),)`, zeros after the last.

    >>> packed(np.array([True, False, True]))
    array([5], dtype=uint64)
    """
    octets = np.packbits(flags, bitorder="little")
    if len(octets) % 8:
        octets = np.concatenate([octets, np.zeros(-len(octets) % 8, np.uint8)])
    return octets.view("<u8")


def positions(words: np.ndarray) -> np.ndarray:
    """Where the ones are, in rising order.

    >>> positions(np.array([5, 1], np.uint64))
    array([ 0,  2, 64])
    """
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))


def count(words: np.ndarray) -> int:
    """How many ones there are."""
    if hasattr(np, "bitwise_count"):  # numpy 2; twice as fast
        return int(np.bitwise_count(words).sum(dtype=np.int64))
    return np.count_nonzero(np.unpackbits(words.view(np.uint8)))


def first(words: np.ndarray) -> int:
    """Where the first one is; -1 when there is none."""
    index = int((words != 0).argmax())
    word = int(words[index])
    return index * 64 + (word & -word).bit_length() - 1 if word else -1


def last(words: np.ndarray) -> int:
    """Where the last one is; -1 when there is none."""
    index = len(words) - 1 - int((words != 0)[::-1].argmax())
    word = int(words[index])
    return index * 64 + word.bit_length() - 1 if word else -1


def has(words: np.ndarray, position: int) -> bool:
    """Whether there is a one at this place."""
    return bool(words[position // 64] >> np.uint64(position % 64) & np.uint64(1))


def below(words: np.ndarray, stop: int) -> np.ndarray:
    """The ones before `stop`, the others cleared.

    >>> positions(below(np.array([5, 1], np.uint64), 2))
    array([0])
    """
    kept = words.copy()
    kept[stop // 64 :] = 0
    if stop % 64:
        kept[stop // 64] = words[stop // 64] & np.uint64((1 << stop % 64) - 1)
    return kept


def next_one(words: np.ndarray, start: int) -> int:
    """Where the first one from `start` on is; -1 when there is none.

    >>> next_one(np.array([5, 1], np.uint64), 0), next_one(np.array([5, 1], np.uint64), 3)
    (0, 64)
    """
    rest = words[start // 64 :].copy()
    rest[:1] &= ~np.uint64((1 << start % 64) - 1)
    found = first(rest) if len(rest) else -1
    return found + start // 64 * 64 if found >= 0 else -1


def shifted(words: np.ndarray, carry: bool) -> np.ndarray:
    """Each bit at the place after its own; `carry` is the first.

    >>> positions(shifted(np.array([1 << 63, 0], np.uint64), True))
    array([ 0, 64])
    """
    moved = words << np.uint64(1)
    moved[1:] |= words[:-1] >> np.uint64(63)
    moved[0] |= np.uint64(carry)
    return moved


def _shifted_back(words: np.ndarray, last: bool, size: int) -> np.ndarray:
    """Each of `size` bits at the place before its own; `last` is the last.

    >>> positions(_shifted_back(np.array([1, 1], np.uint64), True, 65))
    array([63, 64])
    """
    moved = words >> np.uint64(1)
    moved[:-1] |= words[1:] << np.uint64(63)
    moved[(size - 1) // 64] |= np.uint64(int(last) << (size - 1) % 64)
    return moved


def parities(words: np.ndarray) -> np.ndarray:
    """Whether the number of ones up to and with each place is odd.

    >>> positions(parities(packed(np.array([0, 1, 0, 0, 1, 0], bool))))
    array([1, 2, 3])
    """
    odd, moved = words.copy(), np.empty_like(words)
    for distance in (1, 2, 4, 8, 16, 32):
        odd ^= np.left_shift(odd, np.uint64(distance), out=moved)
    through = np.bitwise_xor.accumulate(odd >> np.uint64(63))  # whole words up to and with each
    odd[1:] ^= np.negative(through[:-1])  # all ones where odd
    return odd


# Marks: what each byte of a stretch of the file is


class Look(NamedTuple):
    r"""What can be said of the bytes of a stretch before it is known how many quotes come before them, in words.

    Attributes:
        size_bytes: length of the stretch.
        after_line: whether it begins a line.
        line_ends: the last byte of each line end.
        breaks: every `\n` and `\r`.
        comments: where lines begin as comments do.
        quotes: every quote, or `None` without any.
        leading: quotes that follow none.
        parity: whether the quotes of the stretch up to and with a byte are odd in number.
        not_opening: quotes that may open no field, nor be the second of a doubled quote.
        not_closing: quotes that may close no field, nor be the first of a doubled quote.
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
    """What the bytes of a stretch are, in words.

    Attributes:
        row_starts: where a row begins: a record that is neither blank nor a comment.
        record_ends: the last byte of each line end outside quotes.
        comments: where a comment begins.
        inside: whether the quotes up to and with a byte are odd in number.
        opened: where a quoted field begins.
        faults: quotes where none may stand.
        state: where the stretch ends: outside quotes, inside, or in a comment.
    """

    row_starts: np.ndarray
    record_ends: np.ndarray
    comments: np.ndarray
    inside: np.ndarray
    opened: np.ndarray
    faults: np.ndarray
    state: str


def look(data: np.ndarray, dialect: Dialect, scratch: np.ndarray | None = None) -> Look:
    """What can be said of a stretch without knowing what comes before: the greater part of the work, for any thread.

    Args:
        data: `uint8` of shape `(n + 2,)`: the stretch, with the byte before and the byte after.
        dialect: how the file is written.
        scratch: `bool` of shape `(n,)` or longer, to work in; fresh memory costs more than the work.
    """
    flags = np.empty(len(data) - 2, bool) if scratch is None else scratch[: len(data) - 2]
    line_ends, breaks = find_lines(data, flags)
    after_line = bool(data[0] == LF or (data[0] == CR and data[1] != LF))
    comments = None
    if dialect.comment is not None:
        comments = _found(ord(dialect.comment), data, flags) & shifted(line_ends, after_line)
    lines = (len(data) - 2, after_line, line_ends, breaks, comments)
    quotes = _found(QUOTE, data, flags)
    if not quotes.any():
        return Look(*lines, None, None, None, None, None)
    delimiter = ord(dialect.delimiter)
    edges = breaks | quotes | _found(delimiter, data, flags)
    before, after = (int(data[i]) in (LF, CR, QUOTE, delimiter) for i in (0, -1))
    not_opening, not_closing = quotes & ~shifted(edges, before), quotes & ~_shifted_back(edges, after, len(data) - 2)
    leading = quotes & ~shifted(quotes, bool(data[0] == QUOTE))
    return Look(*lines, quotes, leading, parities(quotes), not_opening, not_closing)


def _found(byte: int, data: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """Where a byte stands in a stretch; `flags` is to work in."""
    return packed(np.equal(data[1:-1], byte, out=flags))


def find_lines(data: np.ndarray, flags: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    r"""The last bytes of line ends, and all `\n` and `\r`; `flags` is to work in."""
    flags = np.empty(len(data) - 2, bool) if flags is None else flags
    feeds = _found(LF, data, flags)
    if not np.equal(data[1:-1], CR, out=flags).any():
        return feeds, feeds
    returns = packed(flags)
    return feeds | (returns & ~_shifted_back(feeds, bool(data[-1] == LF), len(data) - 2)), feeds | returns


def mark(seen: Look, state: str = OUTSIDE) -> Marks:
    r"""What the bytes of a stretch are, from where it begins: outside quotes, inside, or in a comment.

    >>> marks = mark(look(np.frombuffer(b'\na,"\n"\n3,4\n5', np.uint8), Dialect()))
    >>> positions(marks.row_starts), positions(marks.record_ends), marks.state
    (array([0, 6]), array([5, 9]), 'outside quotes')
    """
    none = np.zeros_like(seen.line_ends)
    quotes, parity, ends_in_comment = seen.quotes, seen.parity, False
    if seen.comments is not None:
        quotes, parity, ends_in_comment = _without_those_of_comments(seen, state)
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
    if seen.size_bytes % 64:  # what begins after the last byte is not of this stretch
        row_starts[-1] &= np.uint64((1 << seen.size_bytes % 64) - 1)
    if ends_in_comment:
        state = COMMENT
    else:
        state = INSIDE if has(inside, seen.size_bytes - 1) else OUTSIDE
    return Marks(row_starts, record_ends, comments, inside, opened, faults, state)


def _without_those_of_comments(seen: Look, state: str) -> tuple[np.ndarray | None, np.ndarray | None, bool]:
    """The quotes and their parity without those of comments, and whether the stretch ends in a comment.

    A line is a comment when the quotes before it are even in number, less those of comments: those that hold quotes
    are judged one after the other.
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
