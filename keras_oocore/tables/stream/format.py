"""Streams in the list of table formats, and what to type for those that start over each time."""

from typing import Any

from keras_oocore.tables.arrow.table import OPTIONS
from keras_oocore.tables.opening import Format, Opening
from keras_oocore.tables.stream.batches import is_stream
from keras_oocore.tables.stream.lazy import is_lazy, lazy_error
from keras_oocore.tables.stream.table import StreamTable


def open_stream(data: Any, opening: Opening) -> StreamTable:
    """Return a stream as a table.

    Raises:
        OptionError: If `data` is a query whose rows do not exist yet. The message says what to type.
    """
    if is_lazy(data):
        raise lazy_error(data)
    return StreamTable(data, opening)


STREAMS = Format("stream", lambda data: is_lazy(data) or is_stream(data), open_stream, OPTIONS)
