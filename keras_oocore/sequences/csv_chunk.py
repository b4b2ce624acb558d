"""A Sequence of the rows of CSV files of any size."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from keras_oocore.csv.dialect import NULL_VALUES, CellOptions, Decimal, Dialect, OnBadRow, Thousands
from keras_oocore.sequences.arguments import TableArguments, documented, shares
from keras_oocore.sequences.table import TableSequence
from keras_oocore.sequences.table_warnings import warn_of_new_codes
from keras_oocore.tables.csv.first_row import Header, is_header
from keras_oocore.tables.csv.format import CSV
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.date_parts import Dates
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.formats import format_of
from keras_oocore.tables.opening import Opening
from keras_oocore.tables.options import ClassWeight, ColumnOptions, LabelMode, Missing


@documented
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
        exclude: Columns that are not features, such as ids and free text.
        sample_weight: Column of sample weights.
        ids: Column, or list of columns, to carry beside the rows as strings, such as `["transaction_id"]`. They are
            never features. `ids()` and `served_ids` return them.
        label_mode: The form of `y` for a target of classes. `"int"` (or `None`): `int32` indices of shape `(batch,)`.
            `"categorical"`: one-hot `float32` of shape `(batch, classes)`. `"binary"`: `float32` of shape `(batch, 1)`,
            for exactly two classes. A column of numbers has classes if `categorical` names it.
        label_separator: String between several labels in a cell of the target, such as `"|"` in `"action|drama"`. `y`
            is then `float32` of shape `(batch, classes)`: 1 for each label of the row. A missing cell has no label.
        class_weight: Dictionary from class, by its name or its index, to weight; other classes have a weight of 1. Or
            `"balanced"`, as in scikit-learn. The rows get the weight of their class as `sample_weight`, except in the
            validation and test parts of `split`. Do not also pass `class_weight` to `fit`.
        dtypes: Dictionary from column to `"float32"`, `"bool"`, `"string"`, or a date format such as `"%d.%m.%Y"`, or
            `"ISO8601"`. Dtypes of other columns are inferred. Dates become days since 1970-01-01, with the time as the
            fraction of a day. Times without a date become fractions of a day.
        dates: Dictionary from column of dates to its parts, each a feature such as `"sold.year"`: `"year"`,
            `"quarter"`, `"month"`, `"week"`, `"day"`, `"weekday"` (Monday is 0), `"day_of_year"`, `"hour"`, `"minute"`,
            `"second"` and `"days"`, those since 1970. Or a list of columns that must be dates, which become days.
        categorical: Columns of numbers to treat as categories. Columns of strings always are. Categories become codes:
            0 for a missing cell, 1 for a category that is not in the training rows, and 2, 3, ... in order of
            frequency, as in `keras.layers.StringLookup`.
        missing: How to handle missing numbers. `"error"`: raise an error. `"nan"`: use NaN. `"mean"`: use the mean of
            the column. `"drop"`: leave the row out. `{column: value}`: use this value, and raise an error for other
            columns.
        indicator: Whether to add, for every numeric feature, another feature that is 1 if the cell is missing, else 0.
        null_values: Strings that represent a missing cell. In a column of strings, quoted cells are never missing.
            `...` in the list stands for the default strings.
        thousands: What separates thousands in numbers: `","`, `"."`, `"'"`, `" "` or `"_"`. It is removed between
            complete groups of digits only.
        strip: Signs and units around numbers, as a string of signs such as `"$€"`, or a list with words such as
            `["USD", "cm"]`. With `"()"`, a number in parentheses is negative. Numbers are never scaled, so `"%"`, `"k"`
            and `"M"` are refused.
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
        on_bad_row: How to handle rows that cannot be read. `"error"`: raise an error. `"skip"`: leave the row out.
        num_rows: Number of rows to use, the first ones of all files, for a first try: later rows are not read. `None`
            for all rows.
        shuffle: `True` for a new order every epoch. With `cache`, it is a global shuffle. Without `cache`, blocks of
            the files come in random order, and rows are shuffled in a window of 64 blocks of 4 MB. If they exceed a
            third of `memory_limit`, the window is smaller, so the order depends on the limit. `False` for the order of
            the files.
        transform: As in `ImageFolderSequence`. `x` is a matrix or a dictionary.
        sampling: `"balanced"` draws every class of the target equally often in each epoch, with a difference of one
            draw at most: a row of a small class several times, and one of a large class in some epochs only. An array
            with one weight per row, in the order of `row_numbers`, draws each row in proportion to its weight. It
            requires `cache`. By default, each row is drawn once per epoch.
        samples_per_epoch: Number of draws per epoch, with `sampling`. Defaults to the number of rows.
        cache: Directory that stores all rows, in one pass before the first batch. If that pass was stopped, the next
            run resumes it. Every epoch and every later run reads rows at the speed of memory, with a global shuffle.
        memory_limit: Limit of all parsed rows and batches in flight, in bytes or as a string such as `"128MB"`.
            Defaults to the smaller of 512 MB and a tenth of the memory of this machine. Two blocks are always kept,
            and parsing needs about 20 MB per thread in addition.
        max_queue_size: The largest number of batches made ahead of time. Defaults to 10, or for small batches to as
            many as 4 MB can store, at most 256.
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

    @shares(TableArguments, batch_size=100, max_queue_size=None)
    def __init__(
        self,
        data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        target: str | Sequence[str] | None,
        features: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        exclude: Sequence[str] = (),
        sample_weight: str | None = None,
        ids: str | Sequence[str] = (),
        label_mode: LabelMode | None = None,
        label_separator: str | None = None,
        class_weight: ClassWeight | None = None,
        dtypes: Mapping[str, object] | None = None,
        dates: Dates | None = None,
        categorical: Sequence[str] = (),
        missing: Missing | Mapping[str, float] = "error",
        indicator: bool = False,
        null_values: Sequence[str] = NULL_VALUES,
        thousands: Thousands | None = None,
        strip: str | Sequence[str] | None = None,
        header: Header = "auto",
        column_names: Sequence[str] | None = None,
        index_column: str | None = None,
        delimiter: str = ",",
        quotechar: str | None = '"',
        escapechar: str | None = None,
        skip_initial_space: bool = False,
        encoding: str = "utf-8",
        decimal: Decimal = ".",
        skip_rows: int = 0,
        comment: str | None = None,
        on_bad_row: OnBadRow = "error",
        num_rows: int | None = None,
        **shared: Unpack[TableArguments],
    ):
        columns = ColumnOptions(
            target=target,
            features=features,
            exclude=exclude,
            sample_weight=sample_weight,
            ids=ids,
            label_mode=label_mode,
            label_separator=label_separator,
            class_weight=class_weight,
            dates=dates,
            categorical=categorical,
            missing=missing,
            indicator=indicator,
        )
        dialect = Dialect(
            delimiter, encoding, is_header(header), skip_rows, comment, quotechar, escapechar, skip_initial_space
        )
        cells = CellOptions(null_values, decimal, on_bad_row, thousands, strip)

        def open_table(opening: Opening) -> CSVTable:
            return CSVTable(
                data,
                dialect,
                cells,
                column_names,
                dtypes,
                num_workers=opening.num_workers,
                cache=opening.cache,
                kept_in=opening.kept_in,
                sure_of_header=header != "auto",
                index_column=index_column,
                num_rows=num_rows,
            )

        self._open(open_table, lambda table: FeatureSpec(table, columns), shared)
        warn_of_new_codes(self._rows)

    @classmethod
    def _can_read(cls, data: Any) -> bool:
        return format_of(data) is CSV
