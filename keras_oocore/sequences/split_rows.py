"""`SplitRows`: parts of the rows of a table: `split`, and `without` some rows."""

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any, Self

from keras_oocore.batches.options import BatchOptions
from keras_oocore.core.errors import OptionError
from keras_oocore.core.keywords import answers
from keras_oocore.core.text import listed
from keras_oocore.core.warn import warn_user
from keras_oocore.manifest.splits import WORDS
from keras_oocore.sequences.described_rows import DescribedRows
from keras_oocore.sequences.sampling import Sampling
from keras_oocore.sequences.table_sampling import of_part
from keras_oocore.tables.kept_rows import KeptRows, rows_to_remove
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.split_plan import random_split, split_by_value

OF_ROWS = {
    "shuffle": "The training part is shuffled as this Sequence is, and the other parts are in order. To split at a "
    "value of a column: by=COLUMN, at=VALUE.",
}


class SplitRows(DescribedRows):
    """Base class of Sequences of the rows of tables, which can be divided."""

    @answers(WORDS | OF_ROWS)
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
            seed: Seed of the split. `None` draws one from Python's `random`. A random split without `groups` also
                depends on the chunks of the data: the same rows in other row groups have other parts.
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
            OptionError: If a number is not that of a row, the report is about a table of another number of rows, or
                this Sequence is a part.
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
