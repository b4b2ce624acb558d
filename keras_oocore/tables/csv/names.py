"""The names of the columns of CSV files, which are the same in all files of a table."""

from collections import Counter
from collections.abc import Sequence

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import listed
from keras_oocore.core.warn import warn_user
from keras_oocore.csv.chunks import locate
from keras_oocore.csv.index import RecordIndex
from keras_oocore.csv.reader import num_cells

SAME_COLUMNS = "All files of a table should have the same columns in the same order."


def column_names(indexes: Sequence[RecordIndex], given: Sequence[str] | None) -> list[str]:
    """Return the names of the columns.

    Args:
        indexes: The indexes of all files, at least one.
        given: The user's names, which replace those of the headers, or `None`.

    Raises:
        DataError: If the headers differ, a name occurs twice, or files without a header have no row.
        OptionError: If `given` is not a list of one name per column.
    """
    first = indexes[0]
    for index in indexes[1:]:
        if _stripped(index) != _stripped(first):
            difference = _difference(_stripped(index), _stripped(first))
            raise DataError(f"{index.path}: {difference} in {first.path}. {SAME_COLUMNS}")
    num_columns = _width(indexes) if first.header is None else len(first.header)
    if given is not None:
        if isinstance(given, str) or not all(isinstance(name, str) for name in given):
            raise OptionError(f"`column_names` should be a list of strings. Received: column_names={given!r}")
        if len(given) != num_columns:
            raise OptionError(f"`column_names` should name {num_columns} columns. Received: {len(given)} names")
        names = list(given)
    elif first.header is None:
        names = [f"column_{position}" for position in range(num_columns)]
    else:
        names = [name or f"Unnamed: {position}" for position, name in enumerate(_stripped(first))]
    if first.header is not None and all(map(_is_number, names if given is None else _stripped(first))):
        warn_user(f"{first.path}: all names in the header are numbers. If the first line is a row: header=False")
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        where = "`column_names` has" if given is not None else f"{first.path}: the header has"
        raise DataError(f"{where} {name!r} {times} times. Pass column_names=[...] with a distinct name per column.")
    return names


def _is_number(text: str) -> bool:
    """Return whether a name is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _stripped(index: RecordIndex) -> list[str]:
    """Return the names in the header of a file without the spaces around them."""
    return [name.strip() for name in index.header or ()]


def _difference(header: list[str], first: list[str]) -> str:
    """Return how a header differs from the first one, as a phrase that ends before "in" and the first file's name."""
    missing, added = Counter(first) - Counter(header), Counter(header) - Counter(first)
    if missing:
        return f"it has no column {listed(missing.elements())}, which is"
    if added:
        return f"it has a column {listed(added.elements())}, which is not"
    return "its columns are in another order than"


def _width(indexes: Sequence[RecordIndex]) -> int:
    """Return the number of cells in the first row of files without a header."""
    for index in indexes:
        if index.num_chunks:
            return num_cells(locate(index, 0, 0).text, index.dialect)
    raise DataError(f"There are no rows in {listed(index.path for index in indexes)}.")
