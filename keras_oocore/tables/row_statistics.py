"""`RowStatistics`: the statistics of the used rows of a table and the classes of all its rows, from one pass."""

from keras_oocore.csv.cells import Column
from keras_oocore.tables.cells import distinct_strings
from keras_oocore.tables.passes import over_chunks
from keras_oocore.tables.statistics import ColumnStatistics
from keras_oocore.tables.used_rows import UsedRows


class RowStatistics:
    """The statistics of the columns that are read, computed when they are first asked for, or adopted.

    Args:
        used: The used rows.
        num_threads: Number of threads for the pass.
        fits: Whether features are fitted to these rows, and not to other ones.
    """

    def __init__(self, used: UsedRows, num_threads: int, fits: bool):
        self._used, self._num_threads, self._fits = used, num_threads, fits
        self._of_columns: dict[str, ColumnStatistics] | None = None
        self._target_strings: dict[str, list[str]] = {}

    @property
    def is_known(self) -> bool:
        """Whether the statistics are computed or adopted."""
        return self._of_columns is not None

    @property
    def targets_of_all_rows(self) -> list[Column]:
        """The targets whose classes are those of all rows of the table, and not only of the used ones."""
        return self._used.features.class_columns if self._fits and self._used.subset is not None else []

    @property
    def target_strings(self) -> dict[str, list[str]]:
        """The distinct strings of `targets_of_all_rows`, over all rows of the table, once the statistics are known."""
        return self._target_strings

    def adopt(self, of_columns: dict[str, ColumnStatistics], target_strings: dict[str, list[str]]) -> None:
        """Set the statistics and `target_strings`, from an earlier run."""
        self._of_columns, self._target_strings = of_columns, target_strings

    def of_columns(self) -> dict[str, ColumnStatistics]:
        """Return the statistics by column.

        Raises:
            DataError: If a cell cannot be read.
        """
        if self._of_columns is None:
            self.adopt(*self._computed())
        return self._of_columns

    def _computed(self) -> tuple[dict[str, ColumnStatistics], dict[str, list[str]]]:
        """Return the statistics, and the distinct strings of the targets in the order of the files."""
        used, columns, targets = self._used, self._used.features.columns, self.targets_of_all_rows
        joined = {column.name: ColumnStatistics(column) for column in columns}
        strings: dict[str, dict[str, None]] = {column.name: {} for column in targets}

        def of_chunk(chunk: int) -> tuple[list[ColumnStatistics], list[list[str]]]:
            of_all, cells = used.all_and_used_cells(chunk, columns)
            classes = [distinct_strings(of_all.columns[column.name]) for column in targets]
            return [ColumnStatistics.of(column, cells.columns[column.name]) for column in columns], classes

        for found, classes in over_chunks(used.table, of_chunk, "counting values", self._num_threads):
            for statistics in found:
                joined[statistics.column.name].join(statistics)
            for column, texts in zip(targets, classes):
                strings[column.name].update(dict.fromkeys(texts))
        return joined, {name: list(texts) for name, texts in strings.items()}
