"""The names of the columns of CSV files, which are the same in all files of a table, in any order."""

import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import did_you_mean, listed, shown
from keras_oocore.core.warn import warn_user
from keras_oocore.csv.index import RecordIndex
from keras_oocore.csv.shape import NOTES, RowShape, names_of_header, row_shape

SAME_COLUMNS = "All files of a table should have the same columns, in any order."
OF_TO_CSV = re.compile(r"Unnamed: 0(\.\d+)?")  # the index of a DataFrame, saved once or several times


@dataclasses.dataclass(frozen=True)
class TableNames:
    """The columns of several files.

    Attributes:
        names: The names, in the order of the first file with rows.
        first: Number of that file, or 0.
        shapes: The `RowShape` of each file.
        positions: Per file, position of a column in the rows of file `first` → position in its own rows.
        index_columns: As in `TableFormat`.
    """

    names: list[str]
    first: int
    shapes: list[RowShape]
    positions: list[Sequence[int]]
    index_columns: dict[str, str]


def table_names(
    indexes: Sequence[RecordIndex], given: Sequence[str] | None = None, index_column: str | None = None
) -> TableNames:
    """Return the names of the columns, and where each file has them. A cell more than names is a warning.

    Args:
        indexes: The indexes of all files, at least one.
        given: The user's names, which replace those of the headers, or `None`.
        index_column: The user's name of the column of row names, or of another index, or `None`.

    Raises:
        DataError: If the names in the headers differ, a name occurs twice, files without a header have no row, or rows
            have a cell more than names that is neither the name of a row nor empty.
        OptionError: If `given` is not a list of one name per column, or `index_column` does not exist.
    """
    given = _checked(given, index_column)
    shapes = _shapes(indexes, given, index_column, drop_unnamed=True)
    if len({frozenset(shape.names) for shape in shapes if shape is not None}) > 1:
        shapes = _shapes(indexes, given, index_column, drop_unnamed=False)
    number = next((number for number, shape in enumerate(shapes) if shape is not None), 0)
    first = indexes[number]
    if first.header is None and shapes[number] is None:
        raise DataError(f"There are no rows in {listed(index.path for index in indexes)}.")
    reference = shapes[number] or row_shape(first, given, index_column)
    for index, shape in zip(indexes, shapes):
        _require_same(index, shape, first, reference)
    names, index_columns = _names(first, reference, given, index_column)
    if given is None and first.header is not None and all(map(_is_number, names)):
        warn_user(f"{first.path}: all names in the header are numbers. If the first line is a row: header=False")
    _require_distinct(names, first.path, given)
    shapes = [shape or reference for shape in shapes]
    _warn_of_extra_cells(indexes, shapes, index_column)
    same = range(len(names))
    positions = [
        same if shape.names == reference.names else [shape.names.index(name) for name in reference.names]
        for shape in shapes
    ]
    return TableNames(names, number, shapes, positions, index_columns)


def _shapes(
    indexes: Sequence[RecordIndex], given: Sequence[str] | None, index_column: str | None, drop_unnamed: bool
) -> list[RowShape | None]:
    """Return the shape of each file, or `None` for a file without rows."""
    return [row_shape(index, given, index_column, drop_unnamed) if index.num_chunks else None for index in indexes]


def _checked(given: Sequence[str] | None, index_column: str | None) -> list[str] | None:
    """Return the user's names as a list, once they are checked."""
    if given is not None and (
        not isinstance(given, Iterable) or isinstance(given, str) or not all(isinstance(name, str) for name in given)
    ):
        raise OptionError(f"`column_names` should be a list of strings. Received: column_names={shown(given)}")
    if index_column is not None and not isinstance(index_column, str):
        raise OptionError(f"`index_column` should be the name of a column. Received: {shown(index_column)}")
    return None if given is None else list(given)


def _require_same(index: RecordIndex, shape: RowShape | None, first: RecordIndex, reference: RowShape) -> None:
    """Raise if a file has other names than the first one, or some of them twice and in another order."""
    if shape is None:  # it has no rows, so nothing is known about a cell more than names
        names, expected = (() if one.header is None else names_of_header(one) for one in (index, first))
    else:
        names, expected = shape.names, reference.names
    missing, added = Counter(expected) - Counter(names), Counter(names) - Counter(expected)
    if missing and added:
        lacks, has = listed(missing.elements()), listed(added.elements())
        difference = f"it has no column {lacks}, but a column {has}, which is not in"
    elif missing:
        difference = f"it has no column {listed(missing.elements())}, which is in"
    elif added:
        difference = f"it has a column {listed(added.elements())}, which is not in"
    elif names != expected and len(set(names)) < len(names):
        difference = "a name occurs twice, and its columns are in another order than those of"
    else:
        return
    hint = " If the first line of each file is a row: header=False" if any(map(_is_number, names)) else ""
    raise DataError(f"{index.path}: {difference} {first.path}. {SAME_COLUMNS}{hint}")


def _names(
    index: RecordIndex, shape: RowShape, given: Sequence[str] | None, index_column: str | None
) -> tuple[list[str], dict[str, str]]:
    """Return the names of the columns, and the index columns, of the first file."""
    names, index_columns = list(shape.names), {}
    num_more = 0 if given is None else len(names) - len(given)
    if given is not None:
        if num_more and (num_more, shape.extra) != (1, "first"):
            expected = len(names) - (shape.extra == "first")
            raise OptionError(f"`column_names` should name {expected} columns. Received: {len(given)} names")
        names[num_more:] = given
    if shape.extra == "first" and (given is None or num_more):
        index_columns[names[0]] = ""
    elif given is None and index.header is not None:
        for name in itertools.takewhile(OF_TO_CSV.fullmatch, names):
            index_columns[name] = (
                f"Column {name!r} is probably the index that DataFrame.to_csv() saves. It is not a feature, unless "
                f"`features` names it. To confirm this: index_column={name!r}"
            )
    if index_column is not None:
        if index_column not in names and names[0] in index_columns and not index.header[0].strip():
            index_columns.pop(names[0])
            names[0] = index_column
        if index_column not in names:
            raise OptionError(
                f"`index_column` names a column that does not exist: {index_column!r}."
                f"{did_you_mean(index_column, names)} Columns: {listed(names)}"
            )
        index_columns[index_column] = ""
    return names, index_columns


def _require_distinct(names: Sequence[str], path: str, given: Sequence[str] | None) -> None:
    """Raise if a name occurs twice."""
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        where = "`column_names` has" if given is not None else f"{path}: the header has"
        hint = " If the first line is a row, also pass header=False." if given is None and _is_number(name) else ""
        fix = "Pass column_names=[...] with a distinct name per column."
        raise DataError(f"{where} {name!r} {times} times. {fix}{hint}")


def _is_number(text: str) -> bool:
    """Return whether a name is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _warn_of_extra_cells(indexes: Sequence[RecordIndex], shapes: Sequence[RowShape], index_column: str | None) -> None:
    """Say how a cell that belongs to no name of the header is read."""
    for extra in ("first", "last"):
        paths = [index.path for index, shape in zip(indexes, shapes) if shape.extra == extra and index.num_chunks]
        if not paths or (extra == "first" and index_column is not None):
            continue
        num_more = len(paths) - 1
        where = f"{paths[0]}{f' and {num_more} more file' * bool(num_more)}{'s' * (num_more > 1)}"
        how = (
            ": column 'index', which is not a feature unless `features` names it. To confirm this: index_column='index'"
        )
        warn_user(f"{where}: {NOTES[extra]}{how if extra == 'first' else '.'}")
