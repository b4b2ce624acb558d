"""`RowsOfTable`: what a Sequence of the rows of a table is once the table is open: its parts, names and statistics."""

import copy
import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_oocore.batches.options import BatchOptions
from keras_oocore.batches.padding import require_labels
from keras_oocore.batches.profile import Profile
from keras_oocore.core.errors import OptionError
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.text import display_path, listed
from keras_oocore.core.warn import warn_user
from keras_oocore.csv.cells import release_memory
from keras_oocore.ordering.order import Order
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.sequences.in_order import RowNames
from keras_oocore.sequences.learned_features import LearnedFeatures
from keras_oocore.sequences.row_names import names_of_table_rows
from keras_oocore.sequences.sampling import Sampling
from keras_oocore.sequences.table_sampling import draws_of_rows, of_part
from keras_oocore.sources.base import Source
from keras_oocore.tables.kept_rows import KeptRows, rows_to_remove
from keras_oocore.tables.learned import Learned, LearnedFromRows
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.split_plan import random_split, split_by_value
from keras_oocore.tables.statistics import ColumnStatistics
from keras_oocore.tables.statistics_cache import fit_features, load_statistics
from keras_oocore.tables.stored import convert
from keras_oocore.tables.summary import TableSummary


class RowsOfTable(LearnedFeatures, OutOfCoreSequence):
    """Base class of Sequences of the rows of tables. A subclass opens the table, and calls `_open_rows`."""

    _learned_before: Learned | None = None  # by other rows, whose means and codes these rows have
    _waits_for_cache = False  # while another process fills it, instead of reading the files

    def _open_rows(
        self,
        rows: TableRows,
        options: BatchOptions,
        loading: Mapping[str, Any],
        cache: Path | None,
        overwrite_cache: bool,
        sampling: Sampling | None = None,
    ) -> None:
        """Serve rows.

        Args:
            rows: The rows.
            options: How rows become batches.
            loading: The arguments `memory_limit`, `workers`, `max_queue_size` and `use_multiprocessing`.
            cache: Directory that stores all rows, or `None`.
            overwrite_cache: Whether to replace an existing cache.
            sampling: How often each row is drawn, or `None` for once per epoch. It requires a cache.
        """
        self._sampling = sampling
        self._waits_for_cache = sampling is not None
        require_labels(bool(rows.features.targets), options)
        OutOfCoreSequence.__init__(self, rows, options, **loading)
        self._rows, self._loading = rows, loading
        self._cache, self._overwrite_cache = cache, overwrite_cache
        self._learned = self._learned_before or LearnedFromRows(rows, cache)

    def _counted_rows(self) -> Mapping[str, ColumnStatistics] | None:
        return load_statistics(self._rows, self._rows, self._cache) if self._rows.features.targets else None

    def _samples_per_epoch(self, source: Source) -> int:
        return len(source) if self._sampling is None else self._sampling.num_draws(len(source))

    def _ordered(self, source: Source) -> Order:
        if self._sampling is None:
            return super()._ordered(source)
        return draws_of_rows(self._sampling, source, self._options.seed)

    def _ready_source(self) -> Source:
        """Compute means and codes, and fill the cache. Both read all rows."""
        stored = None
        if self._cache is not None:
            stored = convert(self._rows, self._cache, self._overwrite_cache, self._waits_for_cache)
        if stored is None:
            fit_features(self._rows, self._cache)
        self._overwrite_cache = False
        return self._rows if stored is None else stored

    def split(
        self,
        validation_split: float | None = None,
        test_split: float | None = None,
        stratify: bool | str | None = None,
        groups: str | Sequence[str] | None = None,
        seed: int | None = 0,
        by: str | None = None,
        at: Any = None,
    ) -> tuple[Self, ...]:
        """Return Sequences of parts of the rows: `(train, val)`, `(train, test)` or `(train, val, test)`.

        Means and codes are computed from the training part only, and the classes of a target from all rows. The
        validation and the test part are read in the order of the files, and have no class weights and no `sampling`;
        with `last_batch="pad"`, theirs is `"pad_for_evaluation"`. With `cache=DIR`, the parts are stored in
        `DIR/training`, `DIR/validation` and `DIR/test`. The rows of this Sequence are only
        stored if it is also read. The columns of `stratify`, `groups` and `by` need not be features.

        Args:
            validation_split: Fraction of the rows to reserve for validation. Defaults to `0.2`, unless there is a
                `test_split`.
            test_split: Fraction of the rows to reserve for testing.
            stratify: Name of a column, or `True` for the target. Each part has its fraction of each class of the
                column. A missing cell counts as a class.
            groups: Name of a column, such as `"customer_id"`, or a list of columns. All rows with the same cells in
                these columns are in the same part. With `stratify`, the classes are balanced as far as the groups
                allow.
            seed: Seed of the split. `None` draws one from Python's `random`.
            by: Name of a column of dates or numbers. Rows with a value before `at` are for training, and the others for
                validation.
            at: A date as a string, a `date`, a `datetime` or a `datetime64`, or a number; or a list of two for three
                parts.

        Returns:
            A tuple of two or three Sequences.

        Raises:
            OptionError: If an argument is not valid, there are too few groups or rows of a class, or this Sequence is
                already a part.
            DataError: If one of the parts would have no rows, or a row cannot be read.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,year,price\\n" + "".join(f"{100 * i},{2010 + i},{i}\\n" for i in range(10)))
        >>> rows = ko.CSVChunkSequence(path, target="price", features=["sqft"])
        >>> train, val = rows.split(validation_split=0.3, seed=1)
        >>> train.num_rows, val[0][1].tolist()
        (7, [4.0, 6.0, 8.0])
        >>> train, val = rows.split(by="year", at=2018)
        >>> val[0][1].tolist()
        [8.0, 9.0]
        """
        if self._rows.subset is not None or self._is_part:
            raise OptionError("Only a Sequence of all rows can be split. Received: a part of the rows")
        if by is None and at is None:
            split = random_split(self._rows, validation_split, test_split, stratify, groups, seed)
        else:
            others = dict(validation_split=validation_split, test_split=test_split, stratify=stratify, groups=groups)
            split = split_by_value(self._rows, by, at, others)
        parts = self._rows.divide(split)
        left_out = self.num_rows - sum(map(len, parts))
        if left_out:
            columns = listed(column.name for column in split.columns)
            found, their = ("1 row is", "its") if left_out == 1 else (f"{left_out:,} rows are", "their")
            warn_user(f"{found} in no part, because {their} {columns} is missing or cannot be read.")
        train, *others = zip(split.names, parts)
        in_order = dataclasses.replace(self._options, shuffle=False).for_evaluation()
        return (
            self._reopened(train[1], self._options, train[0], of_part(self._sampling, self._rows, train[1])),
            *(self._reopened(rows, in_order, name) for name, rows in others),
        )

    def without(self, rows: Any) -> Self:
        """Return a Sequence without some rows, such as copies that `ko.check` found. No file changes.

        Other rows keep their numbers. Call it before `split`, which then divides the other rows.

        Args:
            rows: Numbers of rows, counted like `row_numbers`; or `duplicates` of the report of `ko.check`, of which the
                first row of each group is kept; or `leaks` of it. `conflicts` are never removed as a whole.

        Raises:
            OptionError: If a number is not that of a row, or this Sequence is a part.
            DataError: If no row is left.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,price\\n1000,1\\n2000,2\\n1000,1\\n")
        >>> rows = ko.CSVChunkSequence(path, target="price")
        >>> rows.without(ko.check(rows).duplicates).row_numbers
        array([0, 1])
        """
        if self._rows.subset is not None or self._is_part:
            raise OptionError(
                "Only a Sequence of all rows has `without`. Call it before `split`: the numbers of the rows are the "
                "same. Received: a part of the rows"
            )
        removed, table = rows_to_remove(rows, self._rows.table.num_rows), self._rows.table
        kept = table.without(removed) if isinstance(table, KeptRows) else KeptRows(table, removed)
        features = self._rows.features.unfitted()
        sizes = None if features.missing == "drop" else kept.sizes()
        sequence = copy.copy(self)
        found = TableRows(kept, features, None, self._rows.num_threads, self._rows.limit_bytes, sizes=sizes)
        sampling = of_part(self._sampling, self._rows, found)
        sequence._open_rows(found, self._options, self._loading, self._cache, self._overwrite_cache, sampling)
        return sequence

    def _reopened(self, rows: TableRows, options: BatchOptions, folder: str, sampling: Sampling | None = None) -> Self:
        """Return a Sequence of other rows of the same files."""
        sequence = copy.copy(self)
        cache = None if self._cache is None else self._cache / folder
        sequence._open_rows(rows, options, self._loading, cache, self._overwrite_cache, sampling)
        return sequence

    def shard(self, index: int | None = None, num_shards: int | None = None, gradients_averaged: bool = False) -> Self:
        """Return the share of one process in every batch, as `shard` of other Sequences does. It requires `cache`.

        The process that comes first fills the cache, and the others wait for it. So all of them have one order.

        Args:
            index: Number of this process, from 0.
            num_shards: Number of processes.
            gradients_averaged: Whether your script averages the gradients of all processes.

        Raises:
            OptionError: If there is no cache, the shards of a batch would have different sizes, or an argument is not
                valid.
        """
        if self._cache is None:
            raise OptionError(
                "Shards of a table require `cache`: without it, each process would parse all rows, in an order that "
                'depends on its memory. Pass cache="DIR", a directory that all processes see.'
            )
        if self._overwrite_cache and self._made is None:
            raise OptionError(
                "Shards share one cache, and overwrite_cache=True would replace it once per process. Remove the "
                f"directory {os.fspath(self._cache)!r} before the processes start."
            )
        self._waits_for_cache = True
        if self._made is not None and not self._made.source.cached:
            self.release()
            self._use(None)  # the files were read, because another process was filling the cache
        return super().shard(index, num_shards, gradients_averaged)

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

    def rows_of_table(self) -> TableRows:
        """Return what `ko.check` reads: the rows of the files, also with a cache.

        Raises:
            OptionError: If this is a partition.
        """
        if self._partition is not None:
            raise OptionError(
                "ko.check does not take a partition of a table. Pass the Sequence that was divided, or a part of "
                "`split`."
            )
        return self._rows

    @property
    def columns(self) -> list[str]:
        """Names of all columns of the files."""
        return list(self._rows.table.columns)

    @property
    def num_rows(self) -> int:
        """Number of rows that are served. With `sampling`, an epoch has `num_samples` draws of them."""
        return self.num_samples if self._sampling is None else len(self._rows)

    @property
    def row_numbers(self) -> np.ndarray:
        """Numbers of the rows, `int64` of shape `(num_rows,)`, counted from 0 over all files, without headers.

        With `shuffle=False`, as in the validation part of `split`, row i of `predict` belongs to row `row_numbers[i]`
        of the files. With `shuffle=True`, it belongs to row `served_rows[i]`. Rows that an unclosed quote makes
        unreadable are not counted.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,price\\n" + "".join(f"{100 * i},{i}\\n" for i in range(10)))
        >>> _, val = ko.CSVChunkSequence(path, target="price").split(validation_split=0.3, seed=1)
        >>> val.row_numbers
        array([4, 6, 8])
        """
        numbers = self._rows.row_numbers()
        return numbers if self._partition is None else numbers[self._pipeline.order.members()]

    @property
    def served_rows(self) -> np.ndarray:
        """Numbers of the rows in `served_samples`, `int64`, counted like `row_numbers`: row i of `predict` is row i."""
        return self._rows.row_numbers()[self.served_samples]

    def ids(self) -> dict[str, np.ndarray]:
        """Return the columns of `ids`, by reading them from the files.

        Returns:
            A dictionary from column to an array of strings of shape `(num_rows,)`, dtype `object`: the exact text of
            the cells. They are in the order of `row_numbers`: with `shuffle=False`, as in the validation part of
            `split`, row i of `predict` belongs to element i. For any `shuffle`, see `served_ids`.

        Raises:
            OptionError: If the Sequence was made without `ids`.
            DataError: If a cell cannot be read.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("id,sqft,price\\n" + "".join(f"00{i},{100 * i},{i}\\n" for i in range(10)))
        >>> rows = ko.CSVChunkSequence(path, target="price", ids=["id"])
        >>> train, val = rows.split(validation_split=0.3, seed=1)
        >>> val.ids()
        {'id': array(['004', '006', '008'], dtype=object)}
        """
        return self._ids_of(slice(None) if self._partition is None else self._pipeline.order.members())

    @property
    def served_ids(self) -> dict[str, np.ndarray]:
        """The columns of `ids` for the rows in `served_samples`: row i of `predict` belongs to element i.

        Each access reads the columns from the files.
        """
        return self._ids_of(self.served_samples)

    def _ids_of(self, samples: np.ndarray | slice) -> dict[str, np.ndarray]:
        """Return the columns of `ids` of these samples."""
        if not self._rows.features.ids:
            raise OptionError("This Sequence has no ids. Make it with ids=['column'].")
        return {name: values[samples] for name, values in self._rows.ids().items()}

    def _row_names(self) -> RowNames:
        layout = self._learned.layout
        are_classes = bool(layout.targets) and layout.words[layout.first_target].is_code
        targets = [] if are_classes else list(layout.targets)
        return names_of_table_rows(self._rows, self.class_names if are_classes else None, targets)

    @property
    def class_weight(self) -> dict[str, float] | Any:
        """Class → weight of its rows, with `class_weight`. `None` for the parts of `split` that are not for training.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/payments.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("amount,fraud\\n10,0\\n20,0\\n30,0\\n40,0\\n50,1\\n")
        >>> rows = ko.CSVChunkSequence(path, "fraud", categorical=["fraud"], class_weight="balanced", shuffle=False)
        >>> x, y, sample_weight = rows[0]
        >>> rows.class_weight, sample_weight.tolist()
        ({'0': 0.625, '1': 2.5}, [0.625, 0.625, 0.625, 0.625, 2.5])
        """
        if not self._rows.weighs_classes:
            return None
        fit_features(self._rows, self._cache)
        classes = self._rows.features.classes
        return dict(zip(classes.names, classes.weights.tolist()))

    def summary(self, max_columns: int = 100) -> TableSummary:
        """Return statistics of the used columns: mean, standard deviation, range, missing and distinct values.

        Computing them reads the files once, unless the cache contains them.

        Args:
            max_columns: The largest number of columns to print.

        Returns:
            A `TableSummary`, which prints as a table. It is a dictionary from column to statistics, such as
            `summary["price"].mean`. `to_dict()` returns all of them as plain JSON. `head()` reads the first rows.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,city,price\\n1000,Rome,1\\n2000,Oslo,2\\n,Rome,3\\n")
        >>> rows = ko.CSVChunkSequence(path, target="price", features=["sqft", "city"], missing="mean")
        >>> summary = rows.summary()
        >>> summary["sqft"].mean, summary["sqft"].missing, summary["city"].most_frequent
        (1500.0, 1, {'Rome': 2, 'Oslo': 1})
        >>> summary.head(1)
        [{'sqft': 1000.0, 'city': 'Rome', 'price': 1.0}]
        """
        rows = self._rows
        left_out = f", {rows.num_skipped:,} left out" if rows.num_skipped else ""
        headline = f"{self.num_rows:,} rows{left_out}, {len(self.columns):,} columns, from {rows.table.source}"
        found = load_statistics(rows, rows, self._cache).values()
        return TableSummary(headline, found, max_columns, rows.features.columns, rows.first_cells)

    def _description(self) -> list[tuple[str, str]]:
        rows, num_rows = self._rows, self._options.rows_per_batch(self.num_samples)
        spec, subset, classes = rows.features, rows.subset, rows.features.classes
        left_out = f", {rows.num_skipped:,} left out" if rows.num_skipped else ""
        part = "" if subset is None else f" of the {subset.name} part,"
        num_classes = len(classes.names) if classes is not None and classes.names is not None else 0
        found = f", {num_classes:,} class{'es' * (num_classes != 1)}" if num_classes else ""
        return self._described(
            f"{self.num_rows:,} row{'s' * (self.num_rows != 1)}{part} from {rows.table.source}{left_out}{found}",
            self._repr_arrays(*self._described_arrays(num_rows)),
            *([("draws", f"{self.num_samples:,} per epoch, {self._sampling}")] if self._sampling is not None else []),
            *([("ids", f"ids {listed(column.name for column in spec.ids)}")] if spec.ids else []),
            *([] if self._cache is None else [("cache", self._repr_cache())]),
        )

    def _described_arrays(self, num_rows: int) -> list[str]:
        """Return what a batch of `num_rows` rows consists of."""
        spec, classes = self._rows.features, self._rows.features.classes
        arrays = [
            f"{name or 'x'} {np.dtype(dtype)} {(num_rows, end - first)}"
            for name, (first, end, dtype) in spec.inputs.items()
        ]
        if not spec.targets:
            return [*arrays, "no target"]
        words = spec.words[spec.first_target].is_code
        shape = (num_rows,) if spec.one_target else (num_rows, len(spec.targets))
        y = f"{'int32' if words else 'float32'} {shape}"
        if classes is not None and classes.changes_shape:
            y = classes.describe(num_rows)
        arrays.append(f"target {listed(spec.targets)} {y}")
        if self._rows.weighs_classes:
            arrays.append(f"weights from class_weight float32 {(num_rows,)}")
        if spec.has_weight:
            arrays.append(f"sample_weight {spec.words[-1].column.name!r} float32 {(num_rows,)}")
        elif self._options.pads and not self._rows.weighs_classes:
            arrays.append(f"sample_weight float32 {(num_rows,)}")
        return arrays

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
