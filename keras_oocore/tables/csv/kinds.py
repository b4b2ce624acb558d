"""The kind of each column: as the user gives it, or inferred from some of its cells."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import did_you_mean, shown
from keras_oocore.csv.date_formats import CERTAIN, are_days, fitting_formats, most_fitting_format
from keras_oocore.csv.dates import require_format
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.csv.moments import ISO
from keras_oocore.csv.number_formats import number_format
from keras_oocore.csv.numbers import as_numbers
from keras_oocore.csv.values import FALSE_VALUES, TRUE_VALUES, is_one_of, shortened
from keras_oocore.tables.cells import rounded_by_float32

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

MOST_OTHERS = 0.75  # largest share of other strings for which the numbers among them are worth a warning
CONVERT = "convert the column to numbers before, and pass the converted one"
MOST_DATES = 0.9  # share of the cells from which on the others are worth a null value


class Inferred(NamedTuple):
    """What the cells of a column tell.

    Attributes:
        kind: The kind of the column.
        format: Format of a date, or `None`.
        notes: What is unusual about the cells: what numbers would lose as `float32`, or why strings may be meant as
            numbers or dates, with what to type.
        is_measured: Whether the cells are strings, and look like numbers or dates.
    """

    kind: str
    format: str | None = None
    notes: Sequence[str] = ()
    is_measured: bool = False


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
        if isinstance(dtype, str) and ("%" in dtype or dtype == ISO):
            require_format(dtype, name)
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


def infer_kind(texts: Any, options: CellOptions, can_convert: bool = True) -> Inferred:
    """Return the kind of a column, given some of its cells as strings.

    A column whose cells are all missing is a column of numbers. So is a column with at least nine numbers in ten cells:
    reading the other cells is an error, because a target of strings would silently become classes. A column of dates is
    one whose cells all fit one usual format, and only that.

    Args:
        texts: `pyarrow` string array, without missing cells and spaces, as `present` returns it.
        options: How the cells are read.
        can_convert: Whether the user's options include `decimal`, `thousands` and `strip`, so that notes may name them.

    >>> [infer_kind(pa.array(cells), CellOptions()).kind for cells in (["1.5", "2"], ["yes", "0"], ["2014-10-13"])]
    ['float32', 'bool', 'date']
    >>> infer_kind(pa.array(["007", "1"]), CellOptions()).notes
    ["numbers with leading zeros, which are lost, such as '007'"]
    """
    if not len(texts):
        return Inferred("float32")
    values, losses = as_numbers(texts, options), []
    if values.null_count:
        if pc.all(is_one_of(texts, TRUE_VALUES + FALSE_VALUES)).as_py():
            return Inferred("bool")
        if 10 * values.null_count > len(values):
            return _infer_from_strings(texts, values, options, can_convert)
    with_zeros = texts.filter(pc.match_substring_regex(texts, r"^[+-]?0\d"))
    if len(with_zeros):
        losses.append(f"numbers with leading zeros, which are lost, such as {with_zeros[0].as_py()!r}")
    rounded = rounded_by_float32(values.drop_null().to_numpy(zero_copy_only=False))
    if rounded is not None:
        dates = ". If they are dates, give their format in dtypes: '%Y%m%d'" if are_days(texts) else ""
        losses.append(f"integers beyond 2^24, which float32 rounds, such as {rounded:.0f}{dates}")
    return Inferred("float32", notes=losses)


def present(texts: Sequence[Any], null_values: Sequence[str]) -> Any:
    """Return the cells of several `pyarrow` string arrays that are not missing, without spaces around them."""
    texts = pc.utf8_trim_whitespace(pa.chunked_array(texts, pa.string()).combine_chunks().drop_null())
    return texts.filter(pc.invert(is_one_of(texts, null_values)))


def _infer_from_strings(texts: Any, values: Any, options: CellOptions, can_convert: bool) -> Inferred:
    """Infer the kind of a column of which more than a tenth are not numbers.

    Args:
        texts: Its cells.
        values: The cells as numbers, null where a cell is not a number.
        options: How the cells are read.
        can_convert: As in `infer_kind`.
    """
    forms = fitting_formats(texts)
    if len(forms) == 1 and forms[0] in CERTAIN:
        return Inferred("date", forms[0])
    note = _date_note(texts, forms) or _number_note(texts, options, can_convert)
    if note:
        return Inferred("string", notes=[note], is_measured=True)
    others = texts.filter(pc.is_null(values))
    if len(others) > MOST_OTHERS * len(texts):
        return Inferred("string")
    example = shortened(others[0].as_py())
    many = "read as strings, though many of its cells are numbers, because of"
    return Inferred("string", notes=[f"{many} {example!r}. Fix: null_values=[..., {example!r}]"])


def _date_note(texts: Any, forms: Sequence[str]) -> str:
    """Return why cells may be meant as dates, and how to read them; `""` if they do not look like dates.

    Args:
        texts: The cells.
        forms: The usual formats that fit all of them.
    """
    looks = "read as strings, though its cells look like dates, such as"
    if forms:
        example = shortened(texts[0].as_py())
        return f"{looks} {example!r}. Fix: give their format in dtypes, such as {' or '.join(map(repr, forms))}"
    form, fits = most_fitting_format(texts) or ("", np.zeros(1))
    if fits.mean() < MOST_DATES:
        return ""
    other = texts.filter(pa.array(~fits))[0].as_py()
    example = f"{looks} {texts.filter(pa.array(fits))[0].as_py()!r}"
    if other_forms := fitting_formats(pa.array([other])):
        return f"{example} and {other!r}. Fix: write them in one format, such as {form!r} and not {other_forms[0]!r}"
    return f"{example}. Fix: give their format in dtypes, such as {form!r}, and null_values=[..., {shortened(other)!r}]"


def _number_note(texts: Any, options: CellOptions, can_convert: bool) -> str:
    """Return why cells may be meant as numbers, and how to read them; `""` if they do not look like numbers."""
    distinct = texts.unique()
    found = number_format(distinct, options)
    if found is None:
        return ""
    odd = pc.and_(found.readable, pc.is_null(as_numbers(distinct[: len(found.readable)], options)))
    if not pc.any(odd).as_py():
        return ""
    example = shortened(distinct[: len(odd)].filter(odd)[0].as_py())
    fix = found.code if can_convert else CONVERT
    looks = f"read as strings, though its cells look like numbers, such as {example!r}. Fix: {fix}"
    if found.options is None or not can_convert:
        return looks
    others = texts.filter(pc.is_null(as_numbers(texts, found.options)))
    if 10 * len(others) <= len(texts):
        return looks
    return f"{looks}, null_values=[..., {shortened(others[0].as_py())!r}]"
