"""The kind of a column of an Arrow type, and why some types cannot be columns of a table."""

import functools
from typing import Any, NamedTuple

from keras_oocore.csv.dates import has_date
from keras_oocore.csv.moments import ISO

try:
    import pyarrow as pa
except ImportError:  # the `csv` extra is not installed
    pa = None

NAMES_OF_UTC = ("UTC", "Etc/UTC", "+00:00", "Z", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal")
TIME, TIME_WITH_FRACTION = "%H:%M:%S", "%H:%M:%S.%f"


class ArrowKind(NamedTuple):
    """What a type is as a column.

    Attributes:
        kind: The kind of `Column`, or `""` if the type cannot be a column.
        format: Format of a date, or `None`.
        zoned: Whether moments have a time zone.
        refusal: Why the type cannot be a column, as the end of a sentence.
    """

    kind: str
    format: str | None = None
    zoned: bool = False
    refusal: str = ""


@functools.cache
def kind_of(dtype: Any) -> ArrowKind:
    """Return what a `pyarrow` type is as a column.

    >>> [kind_of(dtype).kind for dtype in (pa.int64(), pa.bool_(), pa.dictionary(pa.int8(), pa.string()), pa.date32())]
    ['float32', 'bool', 'string', 'date']
    >>> kind_of(pa.list_(pa.int64())).refusal
    'is of the type list<item: int64>, which has several values per cell'
    """
    dtype = plain_type(dtype)
    types = pa.types
    if types.is_integer(dtype) or types.is_floating(dtype) or types.is_decimal(dtype) or types.is_null(dtype):
        return ArrowKind("float32")
    if types.is_boolean(dtype):
        return ArrowKind("bool")
    if is_string(dtype):
        return ArrowKind("string")
    if types.is_date(dtype):
        return ArrowKind("date", ISO)
    if types.is_timestamp(dtype):
        return ArrowKind("date", ISO, zoned=dtype.tz is not None)
    if types.is_time(dtype):
        return ArrowKind("date", TIME if dtype.bit_width == 32 and dtype.unit == "s" else TIME_WITH_FRACTION)
    return ArrowKind("", refusal=f"is of the type {dtype}, which {_why_not(dtype)}")


def plain_type(dtype: Any) -> Any:
    """Return the type of the values: those of a dictionary, of runs, or those that an extension type stores."""
    while True:
        if isinstance(dtype, pa.BaseExtensionType):
            dtype = dtype.storage_type
        elif pa.types.is_dictionary(dtype) or pa.types.is_run_end_encoded(dtype):
            dtype = dtype.value_type
        else:
            return dtype


def zone_of(dtype: Any) -> str | None:
    """Return the time zone of a type of moments, `""` for none, or `None` for another type.

    >>> zone_of(pa.timestamp("s", "Etc/UTC")), zone_of(pa.timestamp("s")), zone_of(pa.date32())
    ('UTC', '', None)
    """
    dtype = plain_type(dtype)
    if not pa.types.is_timestamp(dtype):
        return None
    return "UTC" if dtype.tz in NAMES_OF_UTC else dtype.tz or ""


def extension_of(field: Any) -> str | None:
    """Return the name of the extension type of a field, also of one that pyarrow does not know, or `None`.

    >>> extension_of(pa.field("a", pa.int64(), metadata={"ARROW:extension:name": "pandas.period"}))
    'pandas.period'
    """
    if isinstance(field.type, pa.BaseExtensionType):
        return getattr(field.type, "extension_name", str(field.type))
    name = (field.metadata or {}).get(b"ARROW:extension:name")
    return None if name is None else name.decode(errors="replace")


def is_string(dtype: Any) -> bool:
    """Return whether a type is one of strings, whatever its offsets."""
    is_view = getattr(pa.types, "is_string_view", lambda _: False)  # of pyarrow 16 and later
    return pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or is_view(dtype)


def is_bytes(dtype: Any) -> bool:
    """Return whether a type is one of bytes, which may be UTF-8."""
    is_view = getattr(pa.types, "is_binary_view", lambda _: False)
    types = pa.types
    return types.is_binary(dtype) or types.is_large_binary(dtype) or is_view(dtype)


def can_be(dtype: Any, kind: str, form: str | None = None) -> bool:
    """Return whether cells of an Arrow type can be read as a kind that the user or other rows give.

    Args:
        dtype: The `pyarrow` type.
        kind: The kind of `Column`.
        form: Format of a date, or `None`.

    >>> can_be(pa.int64(), "string"), can_be(pa.timestamp("s"), "float32"), can_be(pa.binary(), "string")
    (True, False, True)
    """
    own, dtype = kind_of(dtype), plain_type(dtype)
    if kind in ("string", "text"):
        return bool(own.kind) or is_bytes(dtype)
    if own.kind == "date":
        return kind == "date" and (own.format == ISO) == (form in (None, ISO) or has_date(form))
    if own.kind == "bool":
        return kind != "date"
    if kind == "date" and own.kind == "float32":  # a number such as 20141013
        return pa.types.is_integer(dtype) and form is not None and "%" in form
    return own.kind in ("string", "float32")


def _why_not(dtype: Any) -> str:
    """Return why a type cannot be a column, as the end of a sentence."""
    if pa.types.is_nested(dtype):
        return "has several values per cell"
    if is_bytes(dtype):
        return "may be anything. If they are strings in UTF-8: dtypes={column: 'string'}"
    if pa.types.is_duration(dtype):
        return "has no unit as a number. Divide it by one when the table is written"
    return "cannot be a number, a string or a date"
