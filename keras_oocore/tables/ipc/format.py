"""Feather and Arrow IPC in the list of table formats."""

from typing import Any

from keras_oocore.tables.arrow.folders import files_of
from keras_oocore.tables.arrow.table import OPTIONS
from keras_oocore.tables.ipc.paths import SUFFIXES, is_arrow
from keras_oocore.tables.ipc.table import IPCTable
from keras_oocore.tables.opening import Format, Opening


def open_ipc(data: Any, opening: Opening) -> IPCTable:
    """Return Feather or Arrow IPC files as a table."""
    return IPCTable(files_of(data, SUFFIXES, "Arrow"), opening)


IPC = Format("Arrow", is_arrow, open_ipc, OPTIONS)
