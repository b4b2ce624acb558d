"""One pass over the rows of a table, which measures its columns, hashes its rows and samples some of them."""

import contextlib
import functools
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from keras_oocore.checks.tables.chunk import ChunkPart, ColumnPart, measure_chunk
from keras_oocore.checks.tables.inputs import TableInput
from keras_oocore.checks.tables.row_hashes import RowHashes, hashes_of_no_row
from keras_oocore.checks.tables.sketch import DistinctSketch
from keras_oocore.core.errors import DataError
from keras_oocore.core.moments import Moments
from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.core.tasks import in_order
from keras_oocore.csv.cells import Column

SAMPLED_CELLS, FEWEST_SAMPLED, MOST_SAMPLED = 2**22, 1000, 100_000  # rows, which have so many cells
SKETCHED_CELLS, FEWEST_KEPT, MOST_KEPT = 2**22, 256, 4096  # hashes of all columns, and per column
MOST_NAMES = 4096  # of a column of strings
MOST_EXPLAINED = 20  # rows that cannot be read, with the reason
TARGET, FEATURES = "target", "features"  # kinds of hashes of rows, with `SHARED`


class MeasuredColumn:
    """What a pass found about one column.

    Attributes:
        column: The column.
        missing: Number of missing cells.
        moments: Number, mean and sum of squares of its finite numbers.
        smallest, largest: Extremes of the numbers.
        distinct: Its distinct values.
        names: Hash → string, for strings of the sample.
        unseen: String → number of rows, for strings that the other data lacks.
        sample: Its cells in the sampled rows: numbers, NaN where they are missing, or hashes of strings.
    """

    def __init__(self, column: Column, num_kept: int):
        self.column: Column = column
        self.missing: int = 0
        self.moments: Moments = Moments()
        self.smallest: float = np.inf
        self.largest: float = -np.inf
        self.distinct: DistinctSketch = DistinctSketch(num_kept)
        self.names: dict[int, str] = {}
        self.unseen: Counter[str] = Counter()
        self._sampled: list[np.ndarray] = []

    @functools.cached_property
    def sample(self) -> np.ndarray:
        empty = np.zeros(0, np.uint64 if self.column.kind == "string" else np.float64)
        return np.concatenate([empty, *self._sampled])

    def add(self, part: ColumnPart) -> None:
        """Add what the next chunk tells."""
        self.missing += part.missing
        if part.count:
            self.moments = self.moments.joined(Moments(part.count, part.mean, part.squares))
        self.smallest, self.largest = min(self.smallest, part.smallest), max(self.largest, part.largest)
        self.distinct.add(part.distinct)
        self._sampled.append(part.sampled)
        for kept, found in ((self.names, part.names), (self.unseen, part.unseen)):
            for key, value in found.items():
                if key in kept or len(kept) < MOST_NAMES:
                    kept[key] = value + kept.get(key, 0) if kept is self.unseen else value


class MeasuredTable:
    """What a pass over a table found.

    Args:
        data: The rows.
        kinds: Kind of hash → names of the columns that it is made of.
        number: Number of the table, which tells its unused rows from those of others.
        stack: Removes the temporary files of hashes at its end.

    Attributes:
        data: The rows.
        num_rows: Number of used rows.
        columns: Name → what was found about the column.
        hashes: Kind of hash → one hash per row of the table.
        bad: Number of a row → why it cannot be read, for the first ones.
        num_bad: Number of rows that cannot be read.
        is_complete: Whether the sample has all rows.
    """

    def __init__(self, data: TableInput, kinds: Mapping[str, Sequence[str]], number: int, stack: contextlib.ExitStack):
        num_columns = max(1, len(data.columns))
        num_kept = int(np.clip(SKETCHED_CELLS // num_columns, FEWEST_KEPT, MOST_KEPT))
        num_sampled = int(np.clip(SAMPLED_CELLS // num_columns, FEWEST_SAMPLED, MOST_SAMPLED))
        self.data: TableInput = data
        self.num_rows: int = 0
        self.columns: dict[str, MeasuredColumn] = {
            column.name: MeasuredColumn(column, num_kept) for column in data.columns
        }
        self.hashes: dict[str, RowHashes] = {
            kind: stack.enter_context(RowHashes(data.table.num_rows, np.uint32 if kind == TARGET else np.uint64))
            for kind in kinds
        }
        self.bad: dict[int, str] = {}
        self.num_bad: int = data.table.num_bad_rows if data.skips else 0
        self.is_complete: bool = data.table.num_rows <= num_sampled
        self._kinds, self._number = kinds, number
        self._sampled_hashes: list[np.ndarray] = []
        self._share = 1.0 if self.is_complete else num_sampled / data.table.num_rows

    def run(self, workers: int, task: str, known: "Mapping[str, DistinctSketch]") -> None:
        """Read all rows, in threads, with a progress bar.

        Args:
            workers: Number of threads.
            task: Text of the progress bar.
            known: Name of a column of strings → all of its values in other data.

        Raises:
            DataError: If a file changed or cannot be read; or a row, if the table does not skip such rows.
        """
        sketches = [column.distinct for column in self.columns.values()]
        measure = functools.partial(
            measure_chunk, self.data, kinds=self._kinds, sketches=sketches, known=known, sampled=self._share
        )
        table = self.data.table
        with tqdm(total=table.num_rows, unit=" rows", unit_scale=True, desc=task, delay=QUIET_SECONDS) as bar:
            chunks = range(table.num_chunks)
            for chunk, part in enumerate(in_order(measure, chunks, workers, "keras_oocore-check")):
                self._add(chunk, part)
                bar.update(int(table.rows[chunk + 1] - table.rows[chunk]))

    def distinct_rows(self) -> np.ndarray:
        """Return the positions of the rows of the sample that do not repeat an earlier one."""
        return np.sort(np.unique(np.concatenate(self._sampled_hashes), return_index=True)[1])

    def _add(self, chunk: int, part: ChunkPart) -> None:
        first, end = self.data.table.rows[chunk : chunk + 2].tolist()
        self.num_rows += len(part.rows)
        for column, found in zip(self.columns.values(), part.columns):
            column.add(found)
        if FEATURES in part.hashes:
            self._sampled_hashes.append(part.hashes[FEATURES][part.sampled_rows])
        for kind, hashes in part.hashes.items():
            of_chunk = hashes_of_no_row(first, end - first, self._number)
            of_chunk[part.rows] = hashes
            # The upper half of a target's hash: the lower half of all hashes of few rows is as good.
            self.hashes[kind].put(first, of_chunk >> np.uint64(32) if kind == TARGET else of_chunk)
        if self.data.skips and len(part.rows) < end - first:
            self._add_bad(chunk, np.setdiff1d(np.arange(end - first), part.rows, assume_unique=True))

    def _add_bad(self, chunk: int, rows: np.ndarray) -> None:
        """Add rows that cannot be read, and the reason for the first of them."""
        self.num_bad += len(rows)
        if len(self.bad) >= MOST_EXPLAINED:
            return
        table = self.data.table
        reason = f"{table.where(chunk, int(rows[0]))} cannot be read"
        try:
            table.raising().read(chunk, self.data.columns)
        except DataError as error:
            reason = str(error)
        self.bad[int(table.rows[chunk] + rows[0])] = reason
        for row in rows[1 : MOST_EXPLAINED - len(self.bad) + 1].tolist():
            self.bad[int(table.rows[chunk] + row)] = f"{table.where(chunk, row)} cannot be read"


def shared_strings(measured: MeasuredTable) -> dict[str, DistinctSketch]:
    """Return name → all values, for columns of strings whose values are all known."""
    strings = {name: found for name, found in measured.columns.items() if found.column.kind == "string"}
    return {name: found.distinct for name, found in strings.items() if found.distinct.is_exact}
