"""`TableSequence`: a Sequence of the rows of a table of any format and size."""

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import EllipsisType
from typing import Any, Self, Unpack

from keras_oocore.batches.budget import BATCHES_IN_USE, FEWEST_AHEAD, num_threads, queue_size
from keras_oocore.core.checks import boolean
from keras_oocore.core.errors import OptionError
from keras_oocore.core.files import absolute_path
from keras_oocore.core.sizes import default_limit_bytes, format_bytes, parse_bytes
from keras_oocore.core.warn import warn_user
from keras_oocore.sequences.arguments import shares
from keras_oocore.sequences.other_rows import other_rows
from keras_oocore.sequences.shared_options import batch_options, loading_options
from keras_oocore.sequences.split_rows import SplitRows
from keras_oocore.sequences.table_arguments import (
    COLUMN_DEFAULTS,
    ROW_DEFAULTS,
    TableArguments,
    column_options,
    documented_table,
)
from keras_oocore.sequences.table_sampling import sampling_of_rows
from keras_oocore.sequences.table_warnings import warn_of_cut_groups, warn_of_new_codes
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.format import TableFormat
from keras_oocore.tables.formats import format_of
from keras_oocore.tables.learned import Learned
from keras_oocore.tables.opening import Format, Opening, TableData
from keras_oocore.tables.options import ColumnOptions
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.splits.base import TRAINING


class TableSequenceArguments(TableArguments, total=False):
    """The arguments of `TableSequence`."""

    null_values: Sequence[str] | None


DEFAULTS: dict[str, Any] = {**COLUMN_DEFAULTS, "null_values": None, **ROW_DEFAULTS}


@documented_table
class TableSequence(SplitRows):
    """Batches of the rows of a table of any size, such as Parquet files or a DataFrame, on every backend of Keras 3.

    Columns have the types of the data, and no type is inferred. Only the columns that are used are read.

    Args:
        data: Parquet files: a path, a pattern such as `"part-*.parquet"`, a folder, or a list of them. Folders such as
            `year=2024` are columns. All files must have the same columns, in any order. The same for Feather and Arrow
            IPC files. CSV files are read with the defaults of `CSVChunkSequence`, which has the options of their
            dialect. Or data in memory: a DataFrame of pandas or polars, a table of pyarrow, or a dictionary of arrays,
            one per column. Or a stream, which requires `cache`: a `RecordBatchReader`, an object with
            `__arrow_c_stream__`, or an iterator of record batches or DataFrames.
        target: Column to predict, for `y` of shape `(batch,)`, or a list of columns, for `y` of shape
            `(batch, columns)`. `None` for rows without `y`; `train.like(data, target=None)` reads rows to predict.
            For a column of strings, `y` is the index of the class in `class_names`.
        features: List of columns, or a dictionary from input name to a list of columns, for models with several
            inputs. `None` for all other columns but the index of a DataFrame and columns that cannot be features, such
            as lists.
        {columns}
        dates: As in `CSVChunkSequence`. Days are those of UTC, and parts such as the hour those of the time zone.
        missing: How to handle missing numbers, as in `CSVChunkSequence`. NaN counts as missing.
        null_values: Strings that represent a missing cell. Defaults to none, because the files say which cells are
            missing; for CSV files, to the default of `CSVChunkSequence`.
        on_bad_row: How to handle rows with a cell that cannot be read, such as a number beyond `float32`. `"error"`:
            raise an error. `"skip"`: leave the row out.
        shuffle: `True` for a new order every epoch. With `cache`, it is a global shuffle. Without `cache`, row groups
            come in random order, and rows are shuffled in a window of at most 64 row groups, as many as fit into a
            third of `memory_limit`. `False` for the order of the files.
        {shared}

    Raises:
        OptionError: If an argument is not valid.
        DataError: If a file cannot be read. The message names file, row, row group and column.
        MissingExtraError: If pyarrow is not installed (extra `tables`).

    >>> import tempfile
    >>> import pyarrow as pa
    >>> import pyarrow.parquet as pq
    >>> path = f"{tempfile.mkdtemp()}/houses.parquet"
    >>> houses = {"sqft": [1000, 2000, 1500], "city": ["Rome", "Oslo", "Rome"], "price": [1.0, 2.0, 3.0]}
    >>> pq.write_table(pa.table(houses), path)
    >>> rows = TableSequence(path, target="price", features=["sqft", "city"], batch_size=2, shuffle=False)
    >>> x, y = rows[0]
    >>> x.tolist(), y.tolist(), rows.vocabulary("city")
    ([[1000.0, 2.0], [2000.0, 3.0]], [1.0, 2.0], ['Rome', 'Oslo'])
    """

    @shares(TableSequenceArguments, DEFAULTS)
    def __init__(
        self,
        data: TableData,
        target: str | Sequence[str] | None,
        features: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        **shared: Unpack[TableSequenceArguments],
    ):
        null_values = shared["null_values"]
        reading = {"on_bad_row": shared["on_bad_row"], **({} if null_values is None else {"null_values": null_values})}
        self._open_data(format_of(data), data, reading, column_options(target, features, shared), shared)

    def _open_data(
        self, form: Format, data: Any, reading: Mapping[str, Any], columns: ColumnOptions, shared: Mapping[str, Any]
    ) -> None:
        """Open data of a format, with the options of reading that the format has."""
        of_rows = dict(reading=reading, dtypes=shared["dtypes"], num_rows=shared["num_rows"])
        self._open(
            lambda opening: form.open(data, dataclasses.replace(opening, **of_rows)),
            lambda table: FeatureSpec(table, columns),
            shared,
        )
        warn_of_new_codes(self._rows)

    def _open(
        self,
        open_table: Callable[[Opening], TableFormat],
        make_spec: Callable[[TableFormat], FeatureSpec],
        shared: Mapping[str, Any],
    ) -> None:
        """Open the data. The functions make the table, from threads and a cache, and its features."""
        boolean(shared["shuffle"], "shuffle")
        options = batch_options(shared)
        cache, loading = shared["cache"], loading_options(shared)
        cache = None if cache is None else absolute_path(cache, "cache")
        index_directories = [] if cache is None else [cache, cache / TRAINING]
        threads = num_threads(loading["workers"])
        opening = Opening(num_workers=max(1, threads), cache=cache, kept_in=index_directories)
        table = open_table(dataclasses.replace(opening, overwrite_cache=bool(shared["overwrite_cache"])))
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
        if cache is None and options.shuffle:
            warn_of_cut_groups(rows)
        self._open_rows(rows, options, loading, cache, shared["overwrite_cache"], sampling)

    def like(
        self,
        data: TableData,
        target: str | Sequence[str] | EllipsisType | None = ...,
        **options: Any,
    ) -> "TableSequence":
        """Return a Sequence of other rows with the codes, means, classes and kinds of columns of the training rows.

        Use it for rows that a trained model should predict, such as the file of the next month, and for a test set in
        a separate file. `val.like` has those of the training rows, too. A category that training has not seen has
        code 1; a class that it has not seen is an error. `transform` and class weights are not those of this Sequence.

        Args:
            data: Data of any format, as for `TableSequence`. The columns may be in another order, and there may be more
                of them. They are read as the kinds of the training rows, so those may be CSV and these Parquet.
            target: `None` for rows without the target. Defaults to the target of this Sequence.
            **options: Arguments of `TableSequence`, or for CSV files of `CSVChunkSequence`, that say how these data are
                read, such as `delimiter`, and which default to those of this Sequence; or how batches are made, such as
                `batch_size`, `cache` or `transform`, with their usual defaults, except for `shuffle=False`: row i of
                `predict` is row i of the data. `sample_weight=None` is for rows without the weights of this Sequence.

        Raises:
            OptionError: If an option is not valid, or is one that the training rows determine, such as `missing`.
            DataError: If a column of the training rows is missing, or a file cannot be read. The message names the file
                and all columns that are missing.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> folder = tempfile.mkdtemp()
        >>> with open(f"{folder}/may.csv", "w") as file:
        ...     _ = file.write("sqft,city,price\\n1000,Rome,1\\n2000,Rome,2\\n,Oslo,3\\n")
        >>> with open(f"{folder}/june.csv", "w") as file:
        ...     _ = file.write("city,sqft\\nOslo,\\nParis,1200\\n")
        >>> train = ko.TableSequence(f"{folder}/may.csv", "price", features=["sqft", "city"], missing="mean")
        >>> train.like(f"{folder}/june.csv", target=None)[0].tolist()
        [[1500.0, 3.0], [1200.0, 1.0]]
        """
        sequence = copy.copy(self) if self._can_read(data) else TableSequence.__new__(TableSequence)
        return sequence._open_like(self._learned, data, target, options)

    @classmethod
    def _can_read(cls, data: Any) -> bool:
        """Return whether a Sequence of this class may have the data."""
        return True

    def _open_like(self, learned: Learned, data: Any, target: Any, options: Mapping[str, Any]) -> Self:
        """Open other rows, with what training rows determine, instead of those of this Sequence. Return it."""
        self._learned_before = learned
        self._open(*other_rows(learned, data, target, options, TableSequence))
        return self

    def save_index(self) -> None:
        """Save the positions of the rows next to each file, so that the next run need not scan the files.

        This is for CSV files: other formats need none. An index needs a few kB per GB. A finished `cache` already
        contains it. With `num_rows`, it is only saved for files whose rows are all used.

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
