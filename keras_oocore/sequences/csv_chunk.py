"""A Sequence of the rows of CSV files of any size."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from keras_oocore.csv.dialect import CellOptions, Decimal, Dialect, Thousands
from keras_oocore.sequences.arguments import shares
from keras_oocore.sequences.table import TableSequence
from keras_oocore.sequences.table_arguments import (
    COLUMN_DEFAULTS,
    ROW_DEFAULTS,
    TableArguments,
    column_options,
    documented_table,
)
from keras_oocore.tables.csv.first_row import Header
from keras_oocore.tables.csv.format import CSV
from keras_oocore.tables.formats import format_of


class CSVArguments(TableArguments, total=False):
    """The arguments of `CSVChunkSequence`: those of any table, and how the files are written."""

    null_values: Sequence[str]
    thousands: Thousands | None
    strip: str | Sequence[str] | None
    header: Header
    column_names: Sequence[str] | None
    index_column: str | None
    delimiter: str
    quotechar: str | None
    escapechar: str | None
    skip_initial_space: bool
    encoding: str
    decimal: Decimal
    skip_rows: int
    comment: str | None


FIELDS = {field.name: field.default for kind in (Dialect, CellOptions) for field in dataclasses.fields(kind)}
OWN = [name for name in CSVArguments.__annotations__ if name not in TableArguments.__annotations__]
READING_DEFAULTS = {name: FIELDS.get(name) for name in OWN}
READING_DEFAULTS["header"] = "auto"
DEFAULTS: dict[str, Any] = {**COLUMN_DEFAULTS, **READING_DEFAULTS, **ROW_DEFAULTS}


@documented_table
class CSVChunkSequence(TableSequence):
    """Batches of the rows of CSV files of tens or hundreds of GB, on every backend of Keras 3.

    Args:
        data: Path, pattern such as `"part-*.csv"`, or list of paths. All files must have the same columns, in any
            order. Compressed files (gzip, bzip2, xz, zstd, lz4, or zip with one file) require a `cache`, which stores
            the decompressed text.
        target: Column to predict, for `y` of shape `(batch,)`, or a list of columns, for `y` of shape
            `(batch, columns)`. `None` for rows without `y`; `train.like(data, target=None)` reads rows to predict.
            For a column of strings, `y` is the index of the class in `class_names`.
        features: List of columns, or a dictionary from input name to a list of columns, for models with several
            inputs. `None` for all other columns but row names and an index.
        {columns}
        dtypes: Dictionary from column to `"float32"`, `"bool"`, `"string"`, or a date format such as `"%d.%m.%Y"`, or
            `"ISO8601"`. Dtypes of other columns are inferred. Dates become days since 1970-01-01, with the time as the
            fraction of a day. Times without a date become fractions of a day.
        null_values: Strings that represent a missing cell. In a column of strings, quoted cells are never missing.
            `...` in the list stands for the default strings.
        thousands: What separates thousands in numbers: `","`, `"."`, `"'"`, `" "` or `"_"`. It is removed between
            complete groups of digits only.
        strip: Signs and units around numbers, as a string of signs such as `"$€"`, or a list with words such as
            `["USD", "cm"]`. With `"()"`, a number in parentheses is negative. Numbers are never scaled, so `"%"`, `"k"`
            and `"M"` raise an error.
        header: Whether the first row contains the names of the columns. `"auto"`: it does, but with `column_names`, a
            first row that may be data is an error.
        column_names: Names to use instead of those in the header, or for files without one (`header=False`).
        index_column: Column that is not a feature unless `features` names it, such as an index. If the rows have a cell
            more than the header has names, as R writes row names, it is the name of the first cell. Otherwise that name
            is `"index"`, with a warning.
        delimiter: Character that separates cells, or `r"\\s+"` for any number of spaces and tabs.
        quotechar: Character around cells that contain a delimiter, a newline or a quote. A quote in a cell that begins
            without one is text. `None` if a quote is text everywhere.
        escapechar: Character that makes the next one text, inside and outside quotes, such as `"\\\\"`.
        skip_initial_space: Whether to ignore spaces after a delimiter and at the beginning of a line.
        encoding: Encoding of the files.
        decimal: Decimal separator, `"."` or `","`.
        skip_rows: Number of lines to skip before the header.
        comment: Lines that begin with this character are skipped.
        shuffle: `True` for a new order every epoch. With `cache`, it is a global shuffle. Without `cache`, blocks of
            the files come in random order, and rows are shuffled in a window of 64 blocks of 4 MB. If they exceed a
            third of `memory_limit`, the window is smaller, so the order depends on the limit. `False` for the order of
            the files.
        {shared}

    Raises:
        OptionError: If an argument is not valid.
        DataError: If a file cannot be read or parsed. The message names file, row, line and column.
        MissingExtraError: If pyarrow is not installed (extra `csv`).

    >>> import tempfile
    >>> path = f"{tempfile.mkdtemp()}/houses.csv"
    >>> with open(path, "w") as file:
    ...     _ = file.write("sqft,city,price\\n1000,Rome,1\\n2000,Oslo,2\\n1500,Rome,3\\n")
    >>> rows = CSVChunkSequence(path, target="price", features=["sqft", "city"], batch_size=2, shuffle=False)
    >>> x, y = rows[0]
    >>> x.tolist(), y.tolist(), rows.vocabulary("city")
    ([[1000.0, 2.0], [2000.0, 3.0]], [1.0, 2.0], ['Rome', 'Oslo'])
    """

    @shares(CSVArguments, DEFAULTS)
    def __init__(
        self,
        data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        target: str | Sequence[str] | None,
        features: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        **shared: Unpack[CSVArguments],
    ):
        reading = {name: shared[name] for name in CSV.options}
        self._open_data(CSV, data, reading, column_options(target, features, shared), shared)

    @classmethod
    def _can_read(cls, data: Any) -> bool:
        return format_of(data) is CSV
