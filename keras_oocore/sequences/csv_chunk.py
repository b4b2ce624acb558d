"""A Sequence of the rows of CSV files of any size."""

import copy
import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import keras
import numpy as np

from keras_oocore.batches.budget import BATCHES_IN_USE, num_threads
from keras_oocore.batches.options import BatchOptions
from keras_oocore.batches.profile import Profile
from keras_oocore.core.checks import boolean, fraction
from keras_oocore.core.errors import OptionError
from keras_oocore.core.sizes import default_limit_bytes, format_bytes, parse_bytes
from keras_oocore.core.text import display_path, listed
from keras_oocore.core.warn import warn_user
from keras_oocore.csv.cells import release_memory
from keras_oocore.csv.dialect import NULL_VALUES, Decimal, Dialect, OnBadRow
from keras_oocore.manifest.splits import as_seed
from keras_oocore.sequences.arguments import TableArguments, documented, shares
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.sequences.inputs import batch_options, loading_options
from keras_oocore.sources.base import Source
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.features import FeatureSpec, Missing
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.statistics_cache import fit_features, load_statistics
from keras_oocore.tables.stored import convert
from keras_oocore.tables.subset import RowSubset
from keras_oocore.tables.summary import TableSummary

TRAINING, VALIDATION = "training", "validation"  # directories within the cache
FEWEST_AHEAD, MOST_AHEAD, AHEAD_BYTES = 10, 256, 4 * 2**20  # of batches ahead: as in Keras, and more if they are small


@documented
class CSVChunkSequence(OutOfCoreSequence):
    """Batches of the rows of CSV files of tens or hundreds of GB, on every backend of Keras 3.

    Args:
        data: Path, pattern such as `"part-*.csv"`, or list of paths. All files must have the same columns. Files
            compressed with gzip require a `cache`, which stores the decompressed text.
        target: Column to predict, for `y` of shape `(batch,)`, or a list of columns, for `y` of shape
            `(batch, columns)`. `None` for rows without `y`, for `predict`. For a column of strings, `y` is the index of
            the class in `class_names`.
        features: List of columns, or a dictionary from input name to a list of columns, for models with several
            inputs. `None` for all other columns.
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
        header: Whether the first row contains the names of the columns.
        column_names: Names to use instead of those in the header.
        delimiter: Character that separates cells.
        encoding: Encoding of the files.
        decimal: Decimal separator, `"."` or `","`.
        skip_rows: Number of lines to skip before the header.
        comment: Lines that begin with this character are skipped.
        on_bad_row: How to handle rows that cannot be read. `"error"`: raise an error. `"skip"`: leave the row out.
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
        header: bool = True,
        column_names: Sequence[str] | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8",
        decimal: Decimal = ".",
        skip_rows: int = 0,
        comment: str | None = None,
        on_bad_row: OnBadRow = "error",
        **shared: Unpack[TableArguments],
    ):
        boolean(shared["shuffle"], "shuffle")
        options = batch_options(shared)
        cache, loading = shared["cache"], loading_options(shared)
        cache = None if cache is None else Path(os.path.abspath(os.path.expanduser(cache)))
        index_directories = [] if cache is None else [cache, cache / TRAINING]
        dialect = Dialect(delimiter, encoding, header, skip_rows, comment)
        threads = num_threads(loading["workers"])
        table = CSVTable(
            data,
            dialect,
            column_names,
            dtypes,
            null_values,
            decimal,
            on_bad_row,
            max(1, threads),
            cache,
            index_directories,
        )
        spec = FeatureSpec(table, target, features, sample_weight, categorical, missing, indicator)
        row_bytes, batches_bytes, batch_bytes = _budget(options.batch_size, len(spec.words), loading["memory_limit"])
        if loading["max_queue_size"] is None:
            loading["max_queue_size"] = min(max(FEWEST_AHEAD, AHEAD_BYTES // batch_bytes), MOST_AHEAD)
        rows = TableRows(table, spec, None, threads, row_bytes)
        if on_bad_row == "skip" and rows.num_skipped:
            skipped = "1 row is" if rows.num_skipped == 1 else f"{rows.num_skipped:,} rows are"
            warn_user(f"{skipped} left out: on_bad_row='skip'.")
        self._open_rows(rows, options, {**loading, "memory_limit": batches_bytes}, cache, shared["overwrite_cache"])

    def _open_rows(
        self,
        rows: TableRows,
        options: BatchOptions,
        loading: Mapping[str, Any],
        cache: Path | None,
        overwrite_cache: bool,
    ) -> None:
        OutOfCoreSequence.__init__(self, rows, options, **loading)
        self._rows, self._loading = rows, loading
        self._cache, self._overwrite_cache = cache, overwrite_cache

    def _ready_source(self) -> Source:
        """Compute means and codes, and fill the cache. Both read all rows."""
        stored = None if self._cache is None else convert(self._rows, self._cache, self._overwrite_cache)
        if stored is None:
            fit_features(self._rows, self._cache)
        self._overwrite_cache = False
        return self._rows if stored is None else stored

    def split(self, validation_split: float = 0.2, seed: int = 0) -> tuple["CSVChunkSequence", "CSVChunkSequence"]:
        """Return two Sequences, `(train, val)`. The validation part is read in the order of the files.

        Means and codes are computed from the training part only. With `cache=DIR`, the parts are stored in
        `DIR/training` and `DIR/validation`. The rows of this Sequence are only stored if it is also read.

        Args:
            validation_split: Fraction of the rows to reserve for validation.
            seed: Seed of the split.

        Raises:
            OptionError: If an argument is not valid, or this Sequence is already a part.
            DataError: If one of the parts would have no rows.

        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,price\\n" + "".join(f"{100 * i},{i}\\n" for i in range(10)))
        >>> train, val = CSVChunkSequence(path, target="price").split(validation_split=0.3, seed=1)
        >>> train.num_rows, val[0][1].tolist()
        (7, [4.0, 6.0, 8.0])
        """
        fraction(validation_split, "validation_split")
        if self._rows.subset is not None or self._partition is not None:
            raise OptionError("Only a Sequence of all rows can be split. Received: a part of the rows")
        subset = RowSubset(validation_split, as_seed(seed), validation=False)
        training = self._rows.subset_of(subset, None, None)
        others = np.subtract(self._rows.sizes, training.sizes).tolist()
        validation = self._rows.subset_of(dataclasses.replace(subset, validation=True), training, others)
        options = self._options
        return (
            self._reopened(training, options, TRAINING),
            self._reopened(validation, dataclasses.replace(options, shuffle=False), VALIDATION),
        )

    def _reopened(self, rows: TableRows, options: BatchOptions, folder: str) -> "CSVChunkSequence":
        """Return a Sequence of other rows of the same files."""
        sequence = copy.copy(self)
        cache = None if self._cache is None else self._cache / folder
        sequence._open_rows(rows, options, self._loading, cache, self._overwrite_cache)
        return sequence

    def profile(self, num_batches: int | None = None) -> Profile:
        """Measure and print where the time per batch goes, as in `ImageFolderSequence`.

        Means, codes and the cache are computed first, and are not timed.

        Args:
            num_batches: Number of batches to time. Defaults to `50` with a cache. Without a cache, it defaults to the
                number of batches in a window of blocks, because a window is parsed as a whole for its first batch.
        """
        if self._pipeline.source.cached:
            return super().profile(50 if num_batches is None else num_batches)
        self.close()  # otherwise rows that are already parsed would not be timed
        window = math.ceil(self._rows.rows_per_window(self._options.shuffle) / self.batch_size)
        return self._profiled(min(len(self), window) if num_batches is None else num_batches, warm_up=0)

    def close(self) -> None:
        """Stop the loading threads and free memory. Reading starts the threads again."""
        super().close()
        self._rows.close()
        release_memory()

    def save_index(self) -> None:
        """Save the positions of the rows next to each file, so that the next run need not scan the files.

        An index needs a few kB per GB. A finished `cache` already contains it.

        Raises:
            DestinationError: If the directory of a file cannot be written.
        """
        self._rows.table.save_indexes()

    @property
    def columns(self) -> list[str]:
        """Names of all columns of the files."""
        return list(self._rows.table.columns)

    @property
    def num_rows(self) -> int:
        """Number of rows that are served."""
        return self.num_samples

    @property
    def row_numbers(self) -> np.ndarray:
        """Numbers of the rows, `int64` of shape `(num_rows,)`, counted from 0 over all files, without headers.

        With `shuffle=False`, as in the validation part of `split`, row i of `predict` belongs to row `row_numbers[i]`
        of the files. With `shuffle=True`, it belongs to row `served_rows[i]`. Rows that an unclosed quote makes
        unreadable are not counted.

        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,price\\n" + "".join(f"{100 * i},{i}\\n" for i in range(10)))
        >>> _, val = CSVChunkSequence(path, target="price").split(validation_split=0.3, seed=1)
        >>> val.row_numbers
        array([4, 6, 8])
        """
        numbers = self._rows.row_numbers()
        return numbers if self._partition is None else numbers[self._pipeline.order.members()]

    @property
    def served_rows(self) -> np.ndarray:
        """Numbers of the rows in `served_samples`, `int64`, counted like `row_numbers`: row i of `predict` is row i."""
        return self._rows.row_numbers()[self.served_samples]

    @property
    def class_names(self) -> list[str] | Any:  # as in `LabelledSequence`
        """Classes of a target of strings, in the order of their indices. With several targets, of the first one."""
        if not self._rows.features.targets:
            return None
        word = self._rows.features.words[self._rows.features.first_target]
        return self.vocabulary(word.column.name) if word.is_code else None

    def vocabulary(self, column: str) -> list[str]:
        """Return the strings of a column in the order of their codes. Codes start at 2, or at 0 for a target.

        Computing them reads the files once, unless the cache contains them.

        Raises:
            OptionError: If the column is not a column of strings.
        """
        columns = [word.column.name for word in self._rows.features.words if word.is_code]
        if column not in columns:
            expected = listed(dict.fromkeys(columns)) or "none is a feature or a target here"
            raise OptionError(
                f"`column` should be a column of strings: {expected}. Received: {column!r}. If it should have codes, "
                f"name it in `features`, and numbers in `categorical`, too."
            )
        fit_features(self._rows, self._cache)
        return list(self._rows.features.vocabularies[column])

    def normalization(self, name: str | None = None) -> keras.layers.Normalization:
        """Return a layer that scales each numeric feature to mean 0 and variance 1.

        Computing the means and variances reads all rows once, unless the cache contains them. Codes, and the features
        of `indicator`, are not scaled. Both parts of `split` use the statistics of the training rows.

        Args:
            name: Name of the input, if `features` is a dictionary.

        Returns:
            A `keras.layers.Normalization` layer for that input.

        Raises:
            OptionError: If the input does not exist.
        """
        spec = self._rows.features
        if name not in spec.inputs:
            raise OptionError(f"`name` should be one of {list(spec.inputs)}. Received: name={name!r}")
        first, end, _ = spec.inputs[name]
        found = load_statistics(self._rows.statistics_from, self._rows, self._cache)
        numbers = [
            None if word.is_code or word.role == "missing" else found[word.column.name]
            for word in spec.words[first:end]
        ]
        layer = keras.layers.Normalization(
            mean=np.array([0.0 if n is None else n.mean for n in numbers], np.float32),
            variance=np.array([1.0 if n is None else n.std**2 for n in numbers], np.float32),
        )
        layer.build((None, len(numbers)))  # otherwise it leaks tracers in the first step of `fit` on JAX (Keras 3.15.1)
        return layer

    def summary(self, max_columns: int = 100) -> TableSummary:
        """Return statistics of the used columns: mean, standard deviation, range, missing and distinct values.

        Computing them reads the files once, unless the cache contains them.

        Args:
            max_columns: The largest number of columns to print.

        Returns:
            A `TableSummary`, which prints as a table. It is a dictionary from column to statistics, such as
            `summary["price"].mean`. `to_dict()` returns all of them as plain JSON. `head()` reads the first rows.

        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,city,price\\n1000,Rome,1\\n2000,Oslo,2\\n,Rome,3\\n")
        >>> rows = CSVChunkSequence(path, target="price", features=["sqft", "city"], missing="mean")
        >>> summary = rows.summary()
        >>> summary["sqft"].mean, summary["sqft"].missing, summary["city"].most_frequent
        (1500.0, 1, {'Rome': 2, 'Oslo': 1})
        >>> summary.head(1)
        [{'sqft': 1000.0, 'city': 'Rome', 'price': 1.0}]
        """
        rows = self._rows
        left_out = f", {rows.num_skipped:,} left out" if rows.num_skipped else ""
        headline = f"{self.num_rows:,} rows{left_out}, {len(self.columns):,} columns, from {listed(rows.table.paths)}"
        found = load_statistics(rows, rows, self._cache).values()
        return TableSummary(headline, found, max_columns, rows.features.columns, rows.first_cells)

    def _description(self) -> list[tuple[str, str]]:
        spec, subset, num_rows = self._rows.features, self._rows.subset, min(self.batch_size, self.num_rows)
        _, y, weight = spec.unpack(np.empty((0, len(spec.words)), np.float32))
        arrays = [
            f"{name or 'x'} {np.dtype(dtype)} {(num_rows, end - first)}"
            for name, (first, end, dtype) in spec.inputs.items()
        ]
        arrays.append(
            "no target" if y is None else f"target {listed(spec.targets)} {y.dtype} {(num_rows, *y.shape[1:])}"
        )
        if weight is not None:
            arrays.append(f"sample_weight {spec.words[-1].column.name!r} {weight.dtype} {(num_rows,)}")
        left_out = f", {self._rows.num_skipped:,} left out" if self._rows.num_skipped else ""
        part = "" if subset is None else f" of the {VALIDATION if subset.validation else TRAINING} part,"
        return self._described(
            f"{self.num_rows:,} row{'s' * (self.num_rows != 1)}{part} from {listed(self._rows.table.paths)}{left_out}",
            self._repr_arrays(*arrays),
            *([] if self._cache is None else [("cache", self._repr_cache())]),
        )

    def _repr_cache(self) -> str:
        name = f"cache {display_path(self._cache)!r}"
        if self._made is None:
            return f"{name}, opened with the first batch"
        return f"{name} contains all rows" if self._served_from_cache else f"{name} is not used: the files are read"

    @property
    def _served_from_cache(self) -> bool:
        return self._made is not None and self._made.source.cached

    def _repr_memory(self) -> str:
        return "" if self._served_from_cache else f", {format_bytes(self._rows.memory_bytes)} of parsed rows"


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
