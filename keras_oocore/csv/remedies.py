"""What to type when a cell cannot be read: the option that fits the cell and those that could be read."""

from typing import Any

from keras_oocore.csv.cells import Column
from keras_oocore.csv.date_formats import fitting_formats
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.csv.moments import ISO
from keras_oocore.csv.number_formats import number_format
from keras_oocore.csv.numbers import as_numbers
from keras_oocore.csv.values import FALSE_VALUES, TRUE_VALUES, shortened

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

OTHERS = 1000  # cells of the column that the option should read, too


def describe(column: Column) -> str:
    """Return what a cell of the column should be, for messages."""
    form = "2014-10-13" if column.format == ISO else column.format
    if column.zone is not None:
        example = "2014-10-13 18:00+02:00" if column.zone else "2014-10-13 18:00"
        return f"a date like {example!r}, which has {'an' if column.zone else 'no'} offset from UTC"
    expected = {"bool": "true or false", "date": f"a date like {form!r}", "exact": "float32"}
    return expected.get(column.kind, column.kind)


def remedy(column: Column, text: str | bytes, others: Any, options: CellOptions) -> str:
    """Return what to do about a cell, the likeliest option first.

    Args:
        column: The column.
        text: The cell, or its bytes if they cannot be decoded.
        others: `pyarrow` array of strings: cells of the column that can be read, or null.
        options: How the cells are read.

    >>> remedy(Column("price", 0, "float32"), "2,570", pa.array(["900"]), CellOptions())
    "thousands=',', which reads it as 2570, or dtypes={'price': 'string'}"
    >>> remedy(Column("price", 0, "float32"), "unknown", pa.array(["900"]), CellOptions())
    "null_values=[..., 'unknown'], on_bad_row='skip', or dtypes={'price': 'string'}"
    """
    skip, as_string = "on_bad_row='skip'", f"dtypes={{{column.name_in_file!r}: 'string'}}"
    if isinstance(text, bytes):
        return f"pass the encoding of the file, such as encoding='latin-1', or {skip}"
    if column.kind in ("float32", "exact"):
        if text in TRUE_VALUES + FALSE_VALUES:
            return f"dtypes={{{column.name!r}: 'bool'}}, or {skip}"
        found = _number_remedy(text.strip(), others, options)
        if found:
            return f"{found}, or {as_string}"
    if column.zone is not None:
        return f"write it {'with its' if column.zone else 'without an'} offset from UTC, or {skip}"
    if column.kind == "date":
        forms = [form for form in fitting_formats(pa.array([text.strip()])) if form != column.format]
        if forms:
            return " or ".join(f"dtypes={{{column.name_in_file!r}: {form!r}}}" for form in forms) + f", or {skip}"
        as_string = f"dtypes={{{column.name_in_file!r}: FORMAT}} with the format of these cells"
    missing = f"null_values=[..., {text!r}], " if text == shortened(text) else ""
    return f"{missing}{skip}, or {as_string}" if missing else f"{skip}, or {as_string}"


def _number_remedy(text: str, others: Any, options: CellOptions) -> str:
    """Return the options that read a cell as a number, and which number, or `""`."""
    cell = pa.array([text])
    found = number_format(cell, options, in_column=False)
    if found is None:
        return ""
    if found.options is None:
        return found.code
    others = pc.utf8_trim_whitespace(others.drop_null()[:OTHERS])
    both = pa.concat_arrays([cell, others.filter(pc.is_valid(as_numbers(others, options)))])
    found = number_format(both, options, in_column=False)
    return "" if found is None else f"{found.code}, which reads it as {as_numbers(cell, found.options)[0].as_py():.15g}"
