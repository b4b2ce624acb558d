"""The formats of tables, a line each, and which of them reads the user's `data`."""

from typing import Any

from keras_oocore.tables.csv.format import CSV
from keras_oocore.tables.ipc.format import IPC
from keras_oocore.tables.memory.format import MEMORY
from keras_oocore.tables.opening import Format
from keras_oocore.tables.parquet.format import PARQUET
from keras_oocore.tables.stream.format import STREAMS

FORMATS = (
    MEMORY,
    PARQUET,
    IPC,
    STREAMS,
    CSV,  # last: it accepts everything, and says what is wrong with what is not CSV
)


def format_of(data: Any) -> Format:
    """Return the format that reads the data.

    >>> format_of("houses.csv").name, format_of("houses.parquet").name
    ('CSV', 'Parquet')
    """
    return next(form for form in FORMATS if form.accepts(data))
