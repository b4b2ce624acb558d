"""Whether the first row of a CSV file has the names of the columns, where the user gives other names."""

from collections.abc import Iterable
from typing import Any, Literal

from keras_oocore.core.checks import is_boolean, is_integer
from keras_oocore.core.errors import CSVError, OptionError
from keras_oocore.core.text import listed, shown
from keras_oocore.csv.cells import Column
from keras_oocore.csv.conversion import convert
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.csv.index import RecordIndex

try:
    import pyarrow as pa
except ImportError:  # the `csv` extra is not installed
    pa = None

Header = bool | Literal["auto"]
FIX = "If it is data: header=False. If `column_names` replaces it: header=True."


def is_header(header: Header) -> bool:
    """Return whether the first row is to be read as the header.

    Raises:
        OptionError: If the argument is not supported. For `None` and numbers, which pandas accepts, the message says
            what they are here.
    """
    if is_boolean(header):
        return bool(header)
    if isinstance(header, str) and header == "auto":
        return True
    hint = ""
    if header is None:
        hint = ". A file without a header has header=False"
    elif isinstance(header, str) and header == "infer":
        hint = '. The same is header="auto"'
    elif is_integer(header):
        hint = f". The header is the first row: header=True{f', skip_rows={header}' if header > 0 else ''}"
    raise OptionError(f'`header` should be True, False or "auto". Received: header={shown(header)}{hint}')


def require_header(index: RecordIndex, columns: Iterable[Column], shift: int, options: CellOptions) -> None:
    """Raise if the first row of a file, which the user's names replace, can be a row of data.

    It is a header if no cell of it can be read where the rows below have numbers, dates, or true and false; or if it
    has some of the user's names.

    Args:
        index: The index of the file, which has a header.
        columns: The columns, with the user's names and the kinds of the rows below.
        shift: Position in the rows of the first name in the header.
        options: How to read the cells.

    Raises:
        CSVError: If it may be data. The message says what to type in either case.
    """
    header = [name.strip() for name in index.header]
    found = {
        column: header[column.position - shift] for column in columns if 0 <= column.position - shift < len(header)
    }
    if any(column.name == text for column, text in found.items()):
        return
    typed = [column for column, text in found.items() if text and column.kind != "string"]
    if typed and not any(_fits(column, found[column], options) for column in typed):
        return
    raise CSVError.of(
        index.path, f"its first row, {listed(header)}, may be data and not the names of the columns.", FIX
    )


def _fits(column: Column, text: str, options: CellOptions) -> bool:
    """Return whether a string can be a cell of a column."""
    cells: Any = pa.array([text], pa.string())
    return not len(convert(column, cells, options)[1])
