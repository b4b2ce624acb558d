"""`DescribedRows`: what a Sequence of rows says about itself: statistics of its columns, and its `repr`."""

import numpy as np

from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.text import counted, display_path, listed
from keras_oocore.sequences.numbered_rows import NumberedRows
from keras_oocore.tables.statistics_cache import load_statistics
from keras_oocore.tables.summary import TableSummary


class DescribedRows(NumberedRows):
    """Base class of Sequences of the rows of tables, with `summary`."""

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
        found = f", {counted(num_classes, 'class')}" if num_classes else ""
        return self._described(
            f"{counted(self.num_rows, 'row')}{part} from {rows.table.source}{left_out}{found}",
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
        return f"{name} contains all rows" if self._served_from_cache else f"{name} is not used: the data are read"

    @property
    def _served_from_cache(self) -> bool:
        return self._made is not None and self._made.source.cached

    def _repr_memory(self) -> str:
        return "" if self._served_from_cache else f", {format_bytes(self._rows.memory_bytes)} of parsed rows"
