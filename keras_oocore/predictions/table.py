"""`Predictions`: the table that `ko.predict` returns, whose columns are arrays."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_oocore.core.errors import MissingExtraError
from keras_oocore.core.files import as_path
from keras_oocore.core.html import heading, never_raising, note, page, table
from keras_oocore.core.text import counted, did_you_mean, listed
from keras_oocore.predictions.groups import Rows, chosen_columns

if TYPE_CHECKING:
    import pandas

SHOWN_ROWS, SHOWN_COLUMNS = 10, 10


class Predictions(Mapping[str, np.ndarray]):
    """Predictions beside the names of their rows: a dictionary from column to an array with one value per row.

    `ko.predict` returns it. `table["class"]` is a column, `table.to_pandas()` a `DataFrame`, and `len(table)` the
    number of columns, as of any dictionary; `table.num_rows` is the number of rows.

    Args:
        rows: The rows.
        pictures: Function of the number of a row. It returns the sample as an array, for `ko.show_wrong`.

    Attributes:
        rows: The rows, as arrays of neighboring columns.

    >>> import keras
    >>> import keras_oocore as ko
    >>> model = keras.Sequential([keras.layers.Softmax()])
    >>> rows = ko.ArraySequence(np.array([[0.0, 0.0], [9.0, 0.0]], "float32"), labels=None)
    >>> table = ko.predict(model, rows, class_names=["cat", "dog"])
    >>> list(table)
    ['row', 'class', 'probability', 'cat', 'dog']
    >>> table["cat"].round(3).tolist(), table.num_rows
    ([0.5, 1.0], 2)
    """

    def __init__(self, rows: Rows, pictures: Any = None):
        self.rows: Rows = rows
        self._pictures = pictures
        self._columns = {name: group.column(i) for group in rows.groups for i, name in enumerate(group.names)}

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self.rows.readable)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self._columns)

    @property
    def readable(self) -> np.ndarray:
        """Whether each sample could be read, `bool` of shape `(num_rows,)`. Others have no prediction."""
        return self.rows.readable

    def __getitem__(self, name: str) -> np.ndarray:
        try:
            return self._columns[name]
        except KeyError:
            message = f"{name!r}.{did_you_mean(str(name), self._columns)} The columns are {listed(self._columns)}."
            raise KeyError(message) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def picture(self, row: int) -> np.ndarray | None:
        """Return the sample of a row as an array, read again, or `None` in a copy that was pickled.

        Raises:
            SampleError: If its file cannot be read.
        """
        return None if self._pictures is None else self._pictures(row)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the table as a `pandas.DataFrame`.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError("`to_pandas` requires pandas: pip install pandas") from error
        return pandas.DataFrame(self._columns)

    def save(self, path: str | os.PathLike[str], columns: Mapping[str, str] | Sequence[str] | None = None) -> None:
        """Save the table as a `.csv` or `.parquet` file, which replaces an earlier one.

        Args:
            path: The file.
            columns: As in `ko.predict`.

        Raises:
            OptionError: If the file has another ending, or a column does not exist.
            DestinationError: If the file cannot be written.
            MissingExtraError: If the file is a `.parquet` file, and pyarrow is not installed.
        """
        from keras_oocore.predictions.formats import format_of

        kind = format_of(path)
        chosen = chosen_columns(columns, self.columns)
        kind.save(as_path(path, "path"), self.rows if chosen is None else self.rows.select(chosen))

    def __repr__(self) -> str:
        titles, body = self._shown()
        widths = [max(map(len, column)) for column in zip(titles, *body)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in (titles, *body)]
        more = [f"... {self.num_rows - len(body):,} more rows"] if self.num_rows > len(body) else []
        return "\n".join([f"<Predictions: {self._headline()}>", *lines, *more])

    @never_raising
    def _repr_html_(self) -> str:
        titles, body = self._shown()
        shown = self.columns[: len(titles)]
        numbers = [i for i, name in enumerate(shown) if self._columns[name].dtype.kind in "iuf"]
        more = note(f"{self.num_rows - len(body):,} more rows") if self.num_rows > len(body) else ""
        return page(heading("Predictions", self._headline()), table(titles, body, numbers), more)

    def _headline(self) -> str:
        num_bad = int((~self.readable).sum())
        bad = f", {num_bad:,} of them cannot be read" if num_bad else ""
        return f"{counted(self.num_rows, 'row')}{bad}, {counted(len(self), 'column')}"

    def _shown(self) -> tuple[list[str], list[list[str]]]:
        """Return the titles and the cells of the first rows and columns as strings."""
        names = self.columns
        more = len(names) > SHOWN_COLUMNS
        names = names[: SHOWN_COLUMNS - 1] if more else names
        columns = [[_cell(value) for value in self._columns[name][:SHOWN_ROWS].tolist()] for name in names]
        if more:
            columns.append(["..."] * min(self.num_rows, SHOWN_ROWS))
        titles = [*names, *([f"{len(self) - len(names)} more"] if more else [])]
        return titles, [list(row) for row in zip(*columns)]

    def __reduce__(self) -> tuple[Any, ...]:  # without the pictures, which read the files
        return Predictions, (self.rows,)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return "" if value is None else str(value)
