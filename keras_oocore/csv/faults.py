"""Error messages for misplaced and unclosed quotes: the reason, and how to fix the file."""

import re

from keras_oocore.csv.bits import below, last
from keras_oocore.csv.blocks import Blocks
from keras_oocore.csv.marks import Marks

SHOWN_BYTES = 20  # on each side of a quote, in messages

DOUBLED = 'Double a quote inside a field, and put the field between quotes: "12"" pipe".'
SPACED = "Remove the space between the delimiter and the quote."
ESCAPED = 'CSV has no backslash escapes: double a quote inside a field, "" instead of \\".'
UNCLOSED = "Add the missing quote at the end of the field."
SKIP = 'Fix the file, or skip such rows: on_bad_row="skip"'


def field_of(marks: Marks, wrong: int, offset: int, opened: int) -> int:
    """Return the offset of the first quote of the field that holds a misplaced quote.

    Args:
        marks: Marks of a window.
        wrong: Position of the misplaced quote in the window.
        offset: Offset of the window.
        opened: Offset of the quote that opened the latest field before the window.
    """
    latest = last(below(marks.opened, wrong + 1))  # a quote after initial spaces opens the field itself
    return offset + latest if latest >= 0 else opened


def explain(blocks: Blocks, wrong: int, field: int, line: int) -> str:
    """Return the reason why a row is bad.

    Args:
        blocks: The bytes of the file.
        wrong: Offset of the misplaced quote, or -1 if the closing quote is missing.
        field: Offset of the first quote of the field.
        line: Physical line of the field.
    """
    if wrong < 0:
        return f"the quoted field that opens in {_excerpt(blocks, field, 0)} is never closed"
    reason = f"misplaced quote in {_excerpt(blocks, wrong)}"
    num_lines = blocks.count_lines(field, wrong)
    if num_lines:
        reason += f" on line {line + num_lines}, in the field that opens in {_excerpt(blocks, field, 0)}"
    return reason


def remedy(blocks: Blocks, wrong: int, field: int) -> str:
    """Return how to fix the field. The arguments are those of `explain`."""
    if wrong < 0:
        return UNCLOSED
    before, after = blocks.text(wrong - SHOWN_BYTES, wrong), blocks.text(wrong + 1, wrong + SHOWN_BYTES)
    if before.endswith(b"\\"):
        return ESCAPED
    edges = re.escape(blocks.dialect.delimiter.encode()) + rb"\r\n"
    spaced = (
        re.search(rb"(^|[" + edges + rb"]) +$", before)
        if wrong == field
        else re.match(rb" +($|[" + edges + rb"])", after)
    )
    return SPACED if spaced else DOUBLED


def _excerpt(blocks: Blocks, offset: int, num_before: int = SHOWN_BYTES) -> str:
    """Return the text around a byte, within its line."""
    before = re.split(rb"[\r\n]", blocks.text(offset - num_before - 1, offset))[-1]
    after = re.split(rb"[\r\n]", blocks.text(offset, offset + SHOWN_BYTES + 2))[0]
    text = before[max(0, len(before) - num_before) :] + after[: SHOWN_BYTES + 1]
    shown = text.decode(blocks.dialect.encoding, "ignore")  # the first or last character may be cut in two
    more_before, more_after = len(before) > num_before > 0, len(after) > SHOWN_BYTES + 1
    return repr(f"{'...' * more_before}{shown}{'...' * more_after}")
