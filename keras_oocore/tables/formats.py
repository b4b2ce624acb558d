"""The formats of tables, a line each, and which of them reads the user's `data`."""

from typing import Any

from keras_oocore.tables.csv.format import CSV
from keras_oocore.tables.opening import Format
from keras_oocore.tables.parquet.format import PARQUET

FORMATS = (
    PARQUET,
    CSV,  # last: it accepts everything, and says what is wrong with what is not CSV
)


def format_of(data: Any) -> Format:
    """Return the format that reads the data.

    >>> format_of("houses.csv").name, format_of("houses.parquet").name
    ('CSV', 'Parquet')
    """
    return next(form for form in FORMATS if form.accepts(data))
