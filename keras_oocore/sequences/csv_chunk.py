"""A Sequence of the rows of CSV files of any size."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Unpack

from keras_oocore.batches.budget import BATCHES_IN_USE, num_threads
from keras_oocore.core.checks import boolean
from keras_oocore.core.errors import OptionError
from keras_oocore.core.sizes import default_limit_bytes, format_bytes, parse_bytes
from keras_oocore.core.warn import warn_user
from keras_oocore.csv.dialect import NULL_VALUES, CellOptions, Decimal, Dialect, OnBadRow
from keras_oocore.sequences.arguments import TableArguments, documented, shares
from keras_oocore.sequences.inputs import batch_options, loading_options
from keras_oocore.sequences.table import TRAINING, TableSequence
from keras_oocore.tables.csv.first_row import Header, is_header
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.options import ColumnOptions, Missing
from keras_oocore.tables.rows import TableRows

FEWEST_AHEAD, MOST_AHEAD, AHEAD_BYTES = 10, 256, 4 * 2**20  # of batches ahead: as in Keras, and more if they are small


@documented
class CSVChunkSequence(TableSequence):
    """Batches of the rows of CSV files of tens or hundreds of GB, on every backend of Keras 3.

    Args:
        data: Path, pattern such as `"part-*.csv"`, or list of paths. All files must have the same columns, in any
            order. Compressed files (gzip, bzip2, xz, zstd, lz4, or zip with one file) require a `cache`, which stores
            the decompressed text.
        target: Column to predict, for `y` of shape `(batch,)`, or a list of columns, for `y` of shape
            `(batch, columns)`. `None` for rows without `y`, for `predict`. For a column of strings, `y` is the index of
            the class in `class_names`.
        features: List of columns, or a dictionary from input name to a list of columns, for models with several
            inputs. `None` for all other columns but row names and an index.
        sample_weight: Column of sample weights.
        dtypes: Dictionary from column to `"float32"`, `"bool"`, `"string"`, or a date format such as `"%Y-%m-%d"`.
            Dates become seconds since 1970. Dtypes of other columns are inferred.
        categorical: Columns of numbers to treat as categories. Columns of strings always are. Categories become codes:
            0 for a missing cell, 1 for a category that is not in the training rows, and 2, 3, ... in order of
            frequency, as in `keras.layers.StringLookup`.
        missing: How to handle missing numbers. `"error"`: raise an error. `"nan"`: use NaN. `"mean"`: use the mean of
            the column. `"drop"`: leave the row out. `{column: value}`: use this value, and raise an error for other
            columns.
        indicator: Whether to add, for every numeric feature, another feature that is 1 if the cell is missing, else 0.
        null_values: Strings that represent a missing cell. In a column of strings, quoted cells are never missing.
            `...` in the list stands for the default strings.
        header: Whether the first row contains the names of the columns. `"auto"`: it does, but with `column_names`, a
            first row that may be data is an error.
        column_names: Names to use instead of those in the header, or for files without one (`header=False`).
        index_column: Column that is not a feature unless `features` names it, such as an index. If the rows have a cell
            more than the header has names, as R writes row names, it is the name of the first cell. Otherwise that name
            is `"index"`, with a warning.
        delimiter: Character that separates cells.
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
        sample_weight: str | None = None,
        dtypes: Mapping[str, object] | None = None,
        categorical: Sequence[str] = (),
        missing: Missing | Mapping[str, float] = "error",
        indicator: bool = False,
        null_values: Sequence[str] = NULL_VALUES,
        header: Header = "auto",
        column_names: Sequence[str] | None = None,
        index_column: str | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8",
        decimal: Decimal = ".",
        skip_rows: int = 0,
        comment: str | None = None,
        on_bad_row: OnBadRow = "error",
        num_rows: int | None = None,
        **shared: Unpack[TableArguments],
    ):
        boolean(shared["shuffle"], "shuffle")
        options = batch_options(shared)
        cache, loading = shared["cache"], loading_options(shared)
        cache = None if cache is None else Path(os.path.abspath(os.path.expanduser(cache)))
        index_directories = [] if cache is None else [cache, cache / TRAINING]
        threads = num_threads(loading["workers"])
        table = CSVTable(
            data,
            Dialect(delimiter, encoding, is_header(header), skip_rows, comment),
            CellOptions(null_values, decimal, on_bad_row),
            column_names,
            dtypes,
            max(1, threads),
            cache,
            index_directories,
            sure_of_header=header != "auto",
            index_column=index_column,
            num_rows=num_rows,
        )
        spec = FeatureSpec(table, ColumnOptions(target, features, sample_weight, categorical, missing, indicator))
        row_bytes, batches_bytes, batch_bytes = _budget(options.batch_size, len(spec.words), loading["memory_limit"])
        if loading["max_queue_size"] is None:
            loading["max_queue_size"] = min(max(FEWEST_AHEAD, AHEAD_BYTES // batch_bytes), MOST_AHEAD)
        rows = TableRows(table, spec, None, threads, row_bytes)
        if on_bad_row == "skip" and rows.num_skipped:
            skipped = "1 row is" if rows.num_skipped == 1 else f"{rows.num_skipped:,} rows are"
            warn_user(f"{skipped} left out: on_bad_row='skip'.")
        super().__init__(rows, options, {**loading, "memory_limit": batches_bytes}, cache, shared["overwrite_cache"])

    def save_index(self) -> None:
        """Save the positions of the rows next to each file, so that the next run need not scan the files.

        An index needs a few kB per GB. A finished `cache` already contains it. With `num_rows`, it is only saved for
        files whose rows are all used.

        Raises:
            DestinationError: If the directory of a file cannot be written.
        """
        self._rows.table.save_indexes()


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
