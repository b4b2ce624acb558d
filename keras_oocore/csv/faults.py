"""Error messages for misplaced and unclosed quotes: the reason, and how to fix the file."""

import re
from typing import NamedTuple

from keras_oocore.csv.bits import last
from keras_oocore.csv.blocks import Blocks
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.marks import Marks

SHOWN_BYTES = 20  # on each side of a quote, in messages

UNCLOSED = "Add the missing quote at the end of the field."
SKIP = 'Fix the file, or skip such rows: on_bad_row="skip"'
OR_SKIP = 'Or skip such rows: on_bad_row="skip"'
NO_QUOTES = "If the file does not quote cells: quotechar=None."
ESCAPES = "If a backslash makes the next character text: escapechar='\\\\'."
SPACES_FIRST = "If spaces follow the delimiters: skip_initial_space=True."
MANY_SPACES = "If several spaces separate two cells: delimiter=r'\\s+'."


class Remedy(NamedTuple):
    """How to read a file with a misplaced quote: by a change of its text, or of an option. Both are sentences.

    The option is an empty string if there is none.
    """

    change: str
    option: str


def field_of(marks: Marks, wrong: int, offset: int, opened: int) -> int:
    """Return the offset of the first quote of the field that holds a misplaced quote.

    Args:
        marks: Marks of a window.
        wrong: Position of the misplaced quote in the window.
        offset: Offset of the window.
        opened: Offset of the quote that opened the latest field before the window.
    """
    latest = last(marks.opened, wrong + 1)  # a quote after initial spaces opens the field itself
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


def remedy(blocks: Blocks, wrong: int, field: int) -> Remedy:
    """Return how to read the field. The arguments are those of `explain`."""
    if wrong < 0:
        return Remedy(UNCLOSED, NO_QUOTES)
    quote = blocks.dialect.quotechar
    before, after = blocks.text(wrong - SHOWN_BYTES, wrong), blocks.text(wrong + 1, wrong + SHOWN_BYTES)
    doubled = f"Double a quote inside a quoted field: {quote}12{quote}{quote} pipe{quote}."
    if before.endswith(b"\\") and blocks.dialect.escapechar is None:
        return Remedy(doubled, ESCAPES)
    if wrong == field:
        return Remedy("Remove the space between the delimiter and the quote.", SPACES_FIRST)
    if re.match(rb" +($|[" + re.escape(blocks.dialect.delimiters) + rb"\r\n])", after):
        return Remedy("Remove the space between the quote and the delimiter.", "")
    return Remedy(doubled, NO_QUOTES)


def option_for(record: bytes, dialect: Dialect) -> str:
    r"""Return the option that may give a record another number of cells, as a sentence, or an empty string.

    >>> print(option_for(rb'"say \"hi\", she said",2', Dialect()))
    If a backslash makes the next character text: escapechar='\\'.
    """
    if dialect.delimiter == " " and b"  " in b" %b " % record:
        return MANY_SPACES
    if dialect.escapechar is None and re.search(rb"\\[\"'" + re.escape(dialect.delimiters) + rb"]", record):
        return ESCAPES
    spans_lines = re.search(rb"[\r\n]", record) is not None
    return NO_QUOTES if spans_lines and dialect.quotechar is not None else ""


def _excerpt(blocks: Blocks, offset: int, num_before: int = SHOWN_BYTES) -> str:
    """Return the text around a byte, within its line."""
    before = re.split(rb"[\r\n]", blocks.text(offset - num_before - 1, offset))[-1]
    after = re.split(rb"[\r\n]", blocks.text(offset, offset + SHOWN_BYTES + 2))[0]
    text = before[max(0, len(before) - num_before) :] + after[: SHOWN_BYTES + 1]
    shown = text.decode(blocks.dialect.encoding, "ignore")  # the first or last character may be cut in two
    more_before, more_after = len(before) > num_before > 0, len(after) > SHOWN_BYTES + 1
    return repr(f"{'...' * more_before}{shown}{'...' * more_after}")
