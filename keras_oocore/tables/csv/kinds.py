"""The kind of each column: as the user gives it, or inferred from some of its cells."""

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import did_you_mean, shown
from keras_oocore.csv.dialect import NULL_VALUES, Decimal
from keras_oocore.csv.values import FALSE_VALUES, TRUE_VALUES, as_numbers, is_one_of, shortened
from keras_oocore.tables.cells import rounded_by_float32

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

DATE = r"^(\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4}|\d{8}T\d{6}$)"  # common ways to write a date
DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y%m%dT%H%M%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
)
MOST_OTHERS = 0.75  # largest share of other strings for which the numbers among them are worth a warning


def given_kinds(dtypes: Mapping[str, object], names: Sequence[str]) -> dict[str, tuple[str, str | None]]:
    """Return name → `(kind, format of a date or None)` for the columns in `dtypes`.

    Args:
        dtypes: The user's argument.
        names: Names of all columns.

    Raises:
        OptionError: If a column does not exist, or a type is not supported.

    >>> given_kinds({"a": "int64", "b": bool, "c": str, "d": "%Y-%m-%d"}, ["a", "b", "c", "d"])
    {'a': ('float32', None), 'b': ('bool', None), 'c': ('string', None), 'd': ('date', '%Y-%m-%d')}
    """
    if not isinstance(dtypes, Mapping):
        raise OptionError(f"`dtypes` should be a dictionary, column → type. Received: dtypes={shown(dtypes)}")
    kinds = {}
    for name, dtype in dtypes.items():
        if name not in names:
            raise OptionError(f"`dtypes` names a column that does not exist: {name!r}.{did_you_mean(name, names)}")
        if isinstance(dtype, str) and "%" in dtype:
            kinds[name] = ("date", dtype)
        else:
            kinds[name] = (_kind_of(name, dtype), None)
    return kinds


def _kind_of(name: str, dtype: object) -> str:
    """Return the kind of column that a NumPy type stands for."""
    if dtype in ("string", str):
        return "string"
    try:
        kind = "" if dtype is None else np.dtype(dtype).kind
    except TypeError:
        kind = ""
    if kind in ("U", "S", "O"):
        return "string"
    if kind not in "biuf" or not kind:
        raise OptionError(
            "`dtypes` should give a type of numbers, 'bool', 'string', or a format of dates: '%Y-%m-%d'. "
            f"Received: dtypes={{{name!r}: {shown(dtype)}}}"
        )
    return "bool" if kind == "b" else "float32"


def infer_kind(
    texts: Sequence[Any], decimal: Decimal, null_values: Sequence[str] = NULL_VALUES
) -> tuple[str, list[str]]:
    """Return the kind of a column, given some of its cells as strings, and what is unusual about them.

    For numbers, the notes say what they would lose as `float32`. For strings, they say why they may be meant as
    numbers. A column whose cells are all missing is a column of numbers. So is a column with at least nine numbers in
    ten cells: reading the other cells is an error, because a target of strings would silently become classes.

    Args:
        texts: `pyarrow` string arrays.
        decimal: The decimal point, `"."` or `","`.
        null_values: Strings that mark a missing cell.

    >>> infer_kind([pa.array(["1.5", " 2 ", None])], "."), infer_kind([pa.array(["yes", "0"])], ".")
    (('float32', []), ('bool', []))
    >>> infer_kind([pa.array(["007", "1"])], ".")
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


def _may_be_numbers(texts, values, decimal: Decimal) -> list[str]:
    """Return why a column of strings may be meant as numbers, and how to read it as numbers; `[]` if it is not.

    Args:
        texts: Its cells.
        values: The cells as numbers, null where a cell is not a number.
        decimal: The decimal point, `"."` or `","`.
    """
    others = texts.filter(pc.is_null(values))
    other = "," if decimal == "." else "."
    example = shortened(others[0].as_py())
    looks = f"read as strings, though its cells look like numbers, such as {example!r}. Fix: "
    signs = pc.replace_substring_regex(others, r"[$€£%\s]", "")
    if not as_numbers(signs, decimal).null_count:
        return [f"{looks}write them without signs"]
    if pc.all(pc.match_substring_regex(others, DATE)).as_py():
        dates = f"read as strings, though its cells look like dates, such as {example!r}"
        return [f"{dates}. Fix: give their format in dtypes, such as {_date_formats(example)}"]
    thousands = rf"^[+-]?\d{{1,3}}({re.escape(other)}\d{{3}})+({re.escape(decimal)}\d*)?$"
    if pc.all(pc.match_substring_regex(others, thousands)).as_py():
        return [f"{looks}write them without the {other!r} between thousands"]
    if not as_numbers(texts, other).null_count:
        return [f"{looks}decimal={other!r}"]
    if len(others) <= MOST_OTHERS * len(texts):
        many = "read as strings, though many of its cells are numbers, because of"
        return [f"{many} {example!r}. Fix: null_values=[..., {example!r}]"]
    return []


def _date_formats(text: str) -> str:
    """Return the common formats that fit a date, or the most common one.

    >>> print(_date_formats("20141013T000000"), _date_formats("13/10/2014"), _date_formats("1/2/2014"), sep="; ")
    '%Y%m%dT%H%M%S'; '%d/%m/%Y'; '%m/%d/%Y' or '%d/%m/%Y'
    """
    fitting = [form for form in DATE_FORMATS if _fits(text, form)]
    return " or ".join(map(repr, fitting or DATE_FORMATS[:1]))


def _fits(text: str, date_format: str) -> bool:
    try:
        datetime.datetime.strptime(text, date_format)
    except ValueError:
        return False
    return True
