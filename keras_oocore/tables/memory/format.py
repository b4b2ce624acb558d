"""Data in memory in the list of table formats."""

from typing import Any

from keras_oocore.csv.cells import require_pyarrow
from keras_oocore.tables.arrow.table import OPTIONS
from keras_oocore.tables.memory.data import is_frame, named_columns
from keras_oocore.tables.memory.table import MemoryTable
from keras_oocore.tables.opening import Format, Opening


def open_memory(data: Any, opening: Opening) -> MemoryTable:
    """Return a DataFrame, a table of pyarrow or a dictionary of arrays as a table."""
    require_pyarrow("DataFrames", "tables")
    name, columns, hint = named_columns(data)
    return MemoryTable(name, columns, opening, hint)


MEMORY = Format("memory", is_frame, open_memory, OPTIONS)
