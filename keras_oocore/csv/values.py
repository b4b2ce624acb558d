"""Strings as booleans, membership in a list, and strings shortened for messages."""

from collections.abc import Sequence
from typing import Any

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

TRUE_VALUES = ("1", "True", "TRUE", "true", "yes", "Yes", "YES")
FALSE_VALUES = ("0", "False", "FALSE", "false", "no", "No", "NO")
SHOWN_CHARACTERS = 40


def is_one_of(texts: Any, values: Sequence[str]) -> Any:
    """Return which strings are among `values`, as a boolean array."""
    return pc.is_in(texts, pa.array(values, pa.string()))


def as_booleans(texts: Any) -> Any:
    """Convert strings to `double`, 0 or 1; null if a string is not a boolean."""
    values = is_one_of(texts, TRUE_VALUES).cast(pa.float64())
    return pc.if_else(is_one_of(texts, TRUE_VALUES + FALSE_VALUES), values, pa.scalar(None, pa.float64()))


def shortened(text: str | bytes) -> str | bytes:
    """Return the beginning of a long string, for messages."""
    dots = b"..." if isinstance(text, bytes) else "..."
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + dots
