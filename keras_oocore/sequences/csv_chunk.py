"""A Sequence of the rows of CSV files of any size."""

import copy
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import EllipsisType
from typing import Any, Self, Unpack

from keras_oocore.batches.budget import BATCHES_IN_USE, FEWEST_AHEAD, num_threads, queue_size
from keras_oocore.core.checks import boolean
from keras_oocore.core.errors import OptionError
from keras_oocore.core.sizes import default_limit_bytes, format_bytes, parse_bytes
from keras_oocore.core.text import listed
from keras_oocore.core.warn import warn_user
from keras_oocore.csv.dialect import NULL_VALUES, CellOptions, Decimal, Dialect, OnBadRow, Thousands
from keras_oocore.sequences.arguments import TableArguments, documented, shares
from keras_oocore.sequences.csv_like import other_rows
from keras_oocore.sequences.inputs import batch_options, loading_options
from keras_oocore.sequences.table import TableSequence
from keras_oocore.sequences.table_sampling import sampling_of_rows
from keras_oocore.tables.csv.first_row import Header, is_header
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.date_parts import Dates
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.learned import Learned
from keras_oocore.tables.options import ClassWeight, ColumnOptions, LabelMode, Missing
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.splits.base import TRAINING


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
        table = functools.partial(
            CSVTable,
            data,
            Dialect(
                delimiter, encoding, is_header(header), skip_rows, comment, quotechar, escapechar, skip_initial_space
            ),
            CellOptions(null_values, decimal, on_bad_row, thousands, strip),
            column_names,
            dtypes,
            sure_of_header=header != "auto",
            index_column=index_column,
            num_rows=num_rows,
        )
        self._open(table, lambda table: FeatureSpec(table, columns), shared)
        _warn_of_new_codes(self._rows)

    def _open(
        self,
        open_table: Callable[..., CSVTable],
        make_spec: Callable[[CSVTable], FeatureSpec],
        shared: Mapping[str, Any],
    ) -> None:
        """Open the files. The functions make the table, from the last arguments of `CSVTable`, and its features."""
        boolean(shared["shuffle"], "shuffle")
        options = batch_options(shared)
        cache, loading = shared["cache"], loading_options(shared)
        cache = None if cache is None else Path(os.path.abspath(os.path.expanduser(cache)))
        index_directories = [] if cache is None else [cache, cache / TRAINING]
        threads = num_threads(loading["workers"])
        table = open_table(num_workers=max(1, threads), cache=cache, kept_in=index_directories)
        spec = make_spec(table)
        row_bytes, batches_bytes, batch_bytes = _budget(options.batch_size, len(spec.words), loading["memory_limit"])
        if loading["max_queue_size"] is None:
            expands = spec.classes is not None and spec.classes.expands  # `y` may be wide
            loading["max_queue_size"] = FEWEST_AHEAD if expands else queue_size(batch_bytes)
        rows = TableRows(table, spec, None, threads, row_bytes)
        if table.options.on_bad_row == "skip" and rows.num_skipped:
            skipped = "1 row is" if rows.num_skipped == 1 else f"{rows.num_skipped:,} rows are"
            warn_user(f"{skipped} left out: on_bad_row='skip'.")
        loading["memory_limit"] = batches_bytes
        sampling = sampling_of_rows(shared, rows, options, cache)
        self._open_rows(rows, options, loading, cache, shared["overwrite_cache"], sampling)

    def like(
        self,
        data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        target: str | Sequence[str] | EllipsisType | None = ...,
        **options: Any,
    ) -> Self:
        """Return a Sequence of other rows with the codes, means, classes and kinds of columns of the training rows.

        Use it for rows that a trained model should predict, such as the file of the next month, and for a test set in
        a file of its own. `val.like` has those of the training rows, too. A category that training has not seen has
        code 1; a class that it has not seen is an error. `transform` and class weights are not those of this Sequence.

        Args:
            data: Path, pattern such as `"part-*.csv"`, or list of paths. The columns may be in another order, and
                there may be more of them.
            target: `None` for rows without the target. Defaults to the target of this Sequence.
            **options: Arguments of `CSVChunkSequence` that say how these files are read, such as `delimiter`, and which
                default to those of this Sequence; or how batches are made, such as `batch_size`, `cache` or
                `transform`, with the defaults of `CSVChunkSequence`, except for `shuffle=False`: row i of `predict` is
                row i of the files. `sample_weight=None` is for rows without the weights of this Sequence.

        Raises:
            OptionError: If an option is not valid, or is one that the training rows determine, such as `missing`.
            DataError: If a column of the training rows is missing, or a file cannot be read. The message names the file
                and all columns that are missing.

        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> with open(f"{folder}/may.csv", "w") as file:
        ...     _ = file.write("sqft,city,price\\n1000,Rome,1\\n2000,Rome,2\\n,Oslo,3\\n")
        >>> with open(f"{folder}/june.csv", "w") as file:
        ...     _ = file.write("city,sqft\\nOslo,\\nParis,1200\\n")
        >>> train = CSVChunkSequence(f"{folder}/may.csv", "price", features=["sqft", "city"], missing="mean")
        >>> train.like(f"{folder}/june.csv", target=None)[0].tolist()
        [[1500.0, 3.0], [1200.0, 1.0]]
        """
        return copy.copy(self)._open_like(self._learned, data, target, options)

    def _open_like(self, learned: Learned, data: Any, target: Any, options: Mapping[str, Any]) -> Self:
        """Open other rows, with what training rows determine, in place of those of this Sequence. Return it."""
        self._learned_before = learned
        self._open(*other_rows(learned, data, target, options, CSVChunkSequence))
        return self

    def save_index(self) -> None:
        """Save the positions of the rows next to each file, so that the next run need not scan the files.

        An index needs a few kB per GB. A finished `cache` already contains it. With `num_rows`, it is only saved for
        files whose rows are all used.

        Raises:
            DestinationError: If the directory of a file cannot be written.
        """
        self._rows.table.save_indexes()


def _warn_of_new_codes(rows: TableRows) -> None:
    """Warn if rows without a target, which a model should predict, have codes or means of their own."""
    features = rows.features
    if features.targets or not features.needs_fit:
        return
    codes = dict.fromkeys(word.column.name for word in features.words if word.is_code)
    what = f"The codes of {listed(codes)}" if codes else "The means that replace missing cells"
    warn_user(
        f"{what} are computed from these rows, which have no target. A model that was trained on other rows has other "
        f"ones. To predict with it: train.like({rows.table.paths[0]!r}, target=None); in another process: "
        'ko.load_features("features.json").like(...).'
    )


def _budget(batch_size: int, num_words: int, memory_limit: int | str | None) -> tuple[int, int, int]:
    """Return the bytes for parsed rows, for batches, and per batch.

    Batches get a third of the limit for any `max_queue_size`, which must not change how many rows are shuffled
    together.

    Raises:
        OptionError: If a third of the limit is too small for two batches.
    """
    limit_bytes = default_limit_bytes() if memory_limit is None else parse_bytes(memory_limit)
    batch_bytes = batch_size * 4 * num_words
    batches_bytes = limit_bytes // 3
    if batches_bytes < BATCHES_IN_USE * batch_bytes:
        raise OptionError(
            f"`memory_limit` of {format_bytes(limit_bytes)} is too small: a third of it is for batches, and two "
            f"batches take {format_bytes(BATCHES_IN_USE * batch_bytes)}. Use a smaller batch_size, or "
            f"memory_limit={3 * BATCHES_IN_USE * batch_bytes} or more."
        )
    return limit_bytes - batches_bytes, batches_bytes, batch_bytes
