"""Data in memory in the list of table formats."""

from typing import Any

from keras_oocore.core.errors import OptionError
from keras_oocore.csv.cells import require_pyarrow
from keras_oocore.tables.arrow.table import OPTIONS
from keras_oocore.tables.memory.data import are_frames, is_frame, named_columns
from keras_oocore.tables.memory.table import MemoryTable
from keras_oocore.tables.opening import Format, Opening


def open_memory(data: Any, opening: Opening) -> MemoryTable:
    """Return a DataFrame, a table of pyarrow or a dictionary of arrays as a table."""
    require_pyarrow("DataFrames", "tables")
    if are_frames(data):
        raise OptionError(
            f"`data` is a list of {len(data)} tables. Join them: pandas.concat(data, ignore_index=True), "
            "polars.concat(data), or pyarrow.concat_tables(data). To store them one by one: data=iter(data), "
            'cache="DIR".'
        )
    found = named_columns(data)
    return MemoryTable(found.name, found.columns, opening, found.hint, found.index)


MEMORY = Format("memory", lambda data: is_frame(data) or are_frames(data), open_memory, OPTIONS)
