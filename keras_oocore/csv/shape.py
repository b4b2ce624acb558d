"""The shape of the rows of a CSV file: which cell belongs to which name, if rows have one cell more than the header.

`write.table` of R writes the name of each row, and no name for them in the header. Other programs write a delimiter at
the end of each row. Some rows of the file show which of them it is, which then holds for every row.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from keras_oocore.core.errors import CSVError
from keras_oocore.csv.cells import Column, is_blank
from keras_oocore.csv.chunks import locate
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.csv.faults import option_for
from keras_oocore.csv.index import RecordIndex
from keras_oocore.csv.reader import CSVReader, Extra, num_cells

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

INDEX = "index"  # the name of a column of row names
OTHER_DELIMITERS = (",", ";", "\t", "|")
SAMPLED_PLACES = 8  # in a file whose rows have a cell more than names
NOTES = {  # what is said about an extra cell
    "first": "each row has a cell more than the header has names. The first cells are names of the rows",
    "last": "each row ends with a delimiter. The empty cell after it is left out",
}
RARE = 10  # rows of another number of cells are bad rows if there are ten times as many others


@dataclasses.dataclass(frozen=True)
class RowShape:
    """Which cells the rows of a file have.

    Attributes:
        names: The file's own names of the cells, in their order, without a last cell that is always empty.
        num_cells: Number of cells of every row.
        extra: `"first"` if the first cell is the name of the row, which the header does not name. `"last"` if the last
            cell is empty, because every row ends with a delimiter.
    """

    names: tuple[str, ...]
    num_cells: int
    extra: Extra | None = None


def row_shape(
    index: RecordIndex,
    column_names: Sequence[str] | None = None,
    index_column: str | None = None,
    drop_unnamed: bool = True,
) -> RowShape:
    """Return the shape of the rows of a file.

    Args:
        index: The index of the file.
        column_names: The user's names, or `None`.
        index_column: The user's name of the column of row names, or `None`.
        drop_unnamed: Whether a last column without a name is left out if it seems empty.

    Raises:
        DataError: If rows have a cell more than names, which is neither the name of a row nor empty; or if a file
            without a header has no row.

    >>> import tempfile
    >>> from keras_oocore.csv.dialect import Dialect
    >>> from keras_oocore.csv.scan import index_records
    >>> path = f"{tempfile.mkdtemp()}/mtcars.csv"
    >>> with open(path, "w") as file:
    ...     _ = file.write("mpg,cyl\\nMazda RX4,21.0,6\\nDatsun 710,22.8,4\\n")
    >>> row_shape(index_records(path, Dialect()))
    RowShape(names=('index', 'mpg', 'cyl'), num_cells=3, extra='first')
    """
    names = _own_names(index, column_names)
    num_names = len(names)
    num_given = None if column_names is None else len(column_names)
    width = _usual_width(index, num_names)
    if width == num_names:
        is_named = index.header[-1].strip() if index.header is not None else False
        may_drop = drop_unnamed and num_names > 1 and not is_named and num_given != num_names
        if may_drop and _is_empty(index, width):
            return RowShape(names[:-1], width, "last")
        return RowShape(names, width)
    if width == num_given:
        return RowShape((*names, *(f"Unnamed: {position}" for position in range(num_names, width))), width)
    if width != num_names + 1:
        return RowShape(names, num_names)  # reading the rows is an error that shows the first of them
    if _is_empty(index, width):
        return RowShape(names, width, "last")
    known = names if column_names is None else column_names
    if index_column is not None and index_column not in known:
        return RowShape((index_column, *names), width, "first")
    if _has_row_names(index, width, names):
        return RowShape((INDEX, *names), width, "first")
    raise _unclear(index, width, names)


def names_of_header(index: RecordIndex) -> tuple[str, ...]:
    """Return the names in the header, without the spaces around them.

    A column without a name has its number, with a suffix if another column has this name, as in pandas.
    """
    given = [name.strip() for name in index.header]
    return tuple(name or _unnamed(position, given) for position, name in enumerate(given))


def _unnamed(position: int, given: Sequence[str]) -> str:
    """Return a name that is not given."""
    name = f"Unnamed: {position}"
    names = itertools.chain([name], (f"{name}.{number}" for number in itertools.count(1)))
    return next(name for name in names if name not in given)


def _own_names(index: RecordIndex, column_names: Sequence[str] | None) -> tuple[str, ...]:
    """Return a name for each cell that the header, or the user for a file without one, says that rows have."""
    if index.header is not None:
        return names_of_header(index)
    if column_names is not None:
        num_columns = len(column_names)
    else:
        num_columns = num_cells(locate(index, 0, 0).text, index.dialect)
    return tuple(f"column_{position}" for position in range(num_columns))


def _usual_width(index: RecordIndex, num_names: int) -> int:
    """Return how many cells a row has: as many as names, unless nearly no row among the first ones does."""
    if not index.num_chunks:
        return num_names
    _, widths = CSVReader(num_names).first_rows(index, Column("", 0, "string"))
    usual = max(widths, key=widths.get)
    return usual if RARE * widths[num_names] <= widths[usual] else num_names


def _is_empty(index: RecordIndex, width: int) -> bool:
    """Return whether the last cell is blank in all rows of some places of the file."""
    if not index.num_chunks:
        return False
    cells = _sampled(index, width, width - 1)
    return len(cells) > 0 and bool(is_blank(cells).all())


def _has_row_names(index: RecordIndex, width: int, names: Sequence[str]) -> bool:
    """Return whether the first cells can be the names of rows, as R writes them: they are distinct and not blank."""
    if index.header is None or INDEX in names:
        return False
    if len(names) == 1 and any(delimiter in names[0] for delimiter in OTHER_DELIMITERS):
        return False  # the delimiter is another one
    cells = _sampled(index, width, 0)
    if not len(cells) or is_blank(cells).any() or pc.count_distinct(cells).as_py() < len(cells):
        return False
    return not is_blank(_sampled(index, width, 1)).all()  # otherwise it may be a delimiter of two characters


def _sampled(index: RecordIndex, width: int, position: int):
    """Return the cells at one position as a `pyarrow` array of strings, from the first rows and later places."""
    reader, column = CSVReader(width, CellOptions(null_values=())), Column("", position, "string")
    chunks = np.unique(np.linspace(0, index.num_chunks - 1, SAMPLED_PLACES).round().astype(int)).tolist()
    samples = [reader.sample(index, chunk, [column], 1)[""] for chunk in chunks[1:]]
    return pa.chunked_array([reader.first_rows(index, column)[0], *samples], pa.string()).combine_chunks()


def _unclear(index: RecordIndex, width: int, names: Sequence[str]) -> CSVError:
    """Return the error for rows with a cell more than names."""
    what = "`column_names` has" if index.header is None else "the header has"
    record = locate(index, 0, 0).text
    text = record.decode(index.dialect.encoding, "replace")[:60]
    name = "row" if INDEX in names else INDEX
    fault = f"its rows have {width} cells, such as {text!r}, and {what} {len(names)} name{'s' * (len(names) != 1)}."
    fix = (
        f"If the first cell is the name of the row: index_column={name!r}. If cells contain the delimiter, put them "
        "between quotes. Otherwise name all columns, column_names=[...]."
    )
    return CSVError.of(index.path, fault, f"{option_for(record, index.dialect)} {fix}".lstrip())
