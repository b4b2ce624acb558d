"""What the text of cells stands for: numbers, truth values, dates; and of what kind a column looks."""

import datetime
import re
from collections.abc import Sequence

import numpy as np

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

NULL_VALUES = ("", "NA", "N/A", "n/a", "<NA>", "#N/A", "null", "NULL", "nan", "NaN", "-nan", "-NaN", "None")
TRUE_VALUES = ("1", "True", "TRUE", "true", "yes", "Yes", "YES")
FALSE_VALUES = ("0", "False", "FALSE", "false", "no", "No", "NO")
LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
LARGEST_EXACT = 2**24  # integer that float32 and all before it hold
PLAIN_DATE, PLAIN_TIME = {"%Y", "%m", "%d"}, {"%H", "%M", "%S"}  # what pyarrow reads as Python does
SHOWN_CHARACTERS = 40
DATE = r"^(\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4}|\d{8}T\d{6}$)"  # as many write them
MOST_OTHERS = 0.75  # cells of text beside which numbers are still worth a word


def looks_like(texts: Sequence, decimal: str, null_values: Sequence[str] = NULL_VALUES) -> tuple[str, list[str]]:
    """The kind of a column, from some of its cells as text; and what is odd about it, in words.

    Of numbers, that is what they would lose as `float32`; of text, why it may be meant as numbers.

    A column whose cells are all missing is one of numbers, and so is one of which nine in ten are: the others are named
    when they are read, where a target of text would silently become classes.

    >>> looks_like([pa.array(["1.5", " 2 ", None])], "."), looks_like([pa.array(["yes", "0"])], ".")
    (('float32', []), ('bool', []))
    >>> looks_like([pa.array(["007", "1"])], ".")
    ('float32', ["numbers with leading zeros, which are lost, such as '007'"])
    """
    texts = pc.utf8_trim_whitespace(pa.chunked_array(texts, pa.string()).combine_chunks().drop_null())
    texts = texts.filter(pc.invert(is_one_of(texts, null_values)))
    if not len(texts):
        return "float32", []
    values, losses = as_numbers(texts, decimal), []
    if values.null_count:
        if pc.all(is_one_of(texts, TRUE_VALUES + FALSE_VALUES)).as_py():
            return "bool", []
        if 10 * values.null_count > len(values):
            return "string", _may_be_numbers(texts, values, decimal)
    with_zeros = texts.filter(pc.match_substring_regex(texts, r"^[+-]?0\d"))
    if len(with_zeros):
        losses.append(f"numbers with leading zeros, which are lost, such as {with_zeros[0].as_py()!r}")
    rounded = rounded_by_float32(values.drop_null().to_numpy(zero_copy_only=False))
    if rounded is not None:
        losses.append(f"integers beyond 2^24, which float32 rounds, such as {rounded:.0f}")
    return "float32", losses


def _may_be_numbers(texts, values, decimal: str) -> list[str]:
    """Why a column of text may be one of numbers, and what would make it one; nothing where it is not so.

    Args:
        texts: its cells.
        values: the same as numbers, null where one is none.
        decimal: `"."` or `","`.
    """
    others = texts.filter(pc.is_null(values))
    other = "," if decimal == "." else "."
    example = shortened(others[0].as_py())
    looks = f"taken for text, though its cells look like numbers, such as {example!r}. Fix: "
    signs = pc.replace_substring_regex(others, r"[$€£%\s]", "")
    if not as_numbers(signs, decimal).null_count:
        return [f"{looks}write them without signs"]
    if pc.all(pc.match_substring_regex(others, DATE)).as_py():
        dates = f"taken for text, though its cells look like dates, such as {example!r}"
        return [f"{dates}. Fix: in dtypes the format, such as '%Y-%m-%d'"]
    thousands = rf"^[+-]?\d{{1,3}}({re.escape(other)}\d{{3}})+({re.escape(decimal)}\d*)?$"
    if pc.all(pc.match_substring_regex(others, thousands)).as_py():
        return [f"{looks}write them without the {other!r} between thousands"]
    if not as_numbers(texts, other).null_count:
        return [f"{looks}decimal={other!r}"]
    if len(others) <= MOST_OTHERS * len(texts):
        many = "taken for text, though many of its cells are numbers, because of"
        return [f"{many} {example!r}. Fix: null_values=[..., {example!r}]"]
    return []


def rounded_by_float32(values: np.ndarray) -> float | None:
    """The first integer of at most 64 bits that `float32` cannot hold; `None` without any.

    From 2^53 on it is too late to tell, and every integer counts.

    >>> rounded_by_float32(np.array([1.5, 2.0**24, 2.0**24 + 1]))
    16777217.0
    """
    if not (np.fmax.reduce(values, initial=0) > LARGEST_EXACT or np.fmin.reduce(values, initial=0) < -LARGEST_EXACT):
        return None
    values = values[np.abs(values) <= 2.0**64]  # neither NaN nor infinite
    lost = (values == np.floor(values)) & ((values.astype(np.float32) != values) | (np.abs(values) >= 2.0**53))
    return float(values[np.argmax(lost)]) if lost.any() else None


def is_one_of(texts, values: Sequence[str]):
    """Which texts are among some."""
    return pc.is_in(texts, pa.array(values, pa.string()))


def as_numbers(texts, decimal: str):
    """Texts as `double`; null where one is no number that `float32` can hold."""
    point = re.escape(decimal)
    number = rf"^[+-]?(\d+{point}?\d*|{point}\d+)([eE][+-]?\d+)?$"
    infinite = pc.match_substring_regex(texts, r"^[+-]?inf(inity)?$", ignore_case=True)
    readable = pc.or_(pc.match_substring_regex(texts, number), infinite)
    texts = pc.if_else(readable, texts, pa.scalar(None, pa.string()))
    values = (pc.replace_substring(texts, ",", ".") if decimal == "," else texts).cast(pa.float64())
    too_large = pc.and_(pc.greater(pc.abs(values), LARGEST_FLOAT32), pc.invert(infinite))
    return pc.if_else(too_large, pa.scalar(None, pa.float64()), values)


def as_seconds(texts, form: str):
    """Texts as seconds since 1970, `double`; null where one is no date, as `datetime.strptime` judges it.

    pyarrow is quicker by far, but takes 2014-02-31 for the third of March and 14 for a year, knows no `%f`, and reads
    other directives as the C library does: dates that this may concern are read by Python.
    """
    if PLAIN_DATE <= set(re.findall("%.", form)) <= PLAIN_DATE | PLAIN_TIME:
        moments = pc.strptime(texts, format=form, unit="s", error_is_null=True)
        doubtful = pc.or_(pc.less_equal(pc.day(moments), 3), pc.less(pc.year(moments), 1000)).fill_null(True)
        seconds = moments.cast(pa.int64()).cast(pa.float64())
    else:
        doubtful, seconds = pa.array(np.ones(len(texts), bool)), pa.nulls(len(texts), pa.float64())
    if not pc.any(doubtful).as_py():
        return seconds
    asked = texts.filter(doubtful).dictionary_encode()
    answers = pa.array([_python_seconds(text, form) for text in asked.dictionary.to_pylist()], pa.float64())
    return pc.replace_with_mask(seconds, doubtful, answers.take(asked.indices))


def _python_seconds(text: str, form: str) -> float | None:
    try:
        moment = datetime.datetime.strptime(text, form)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def shortened(text: str | bytes) -> str | bytes:
    """A text as messages have it."""
    dots = b"..." if isinstance(text, bytes) else "..."
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + dots
