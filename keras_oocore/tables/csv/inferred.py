"""The columns of CSV files. The kind of each is inferred when it is needed, because a table may have many others."""

import dataclasses
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from typing import Any

from keras_oocore.csv.cells import Column
from keras_oocore.csv.dates import why_no_time
from keras_oocore.csv.dialect import CellOptions
from keras_oocore.csv.index import RecordIndex
from keras_oocore.csv.moments import ISO
from keras_oocore.csv.reader import CSVReader
from keras_oocore.tables.csv.kinds import infer_kind, present
from keras_oocore.tables.csv.suspects import suspicion


@dataclasses.dataclass(frozen=True)
class Place:
    """A chunk of a file from which cells are read as strings."""

    reader: CSVReader
    index: RecordIndex
    chunk: int
    positions: Sequence[int]  # position of a column in the table → its position in the file
    num_pieces: int

    def sample(self, columns: Sequence[Column]) -> dict[str, Any]:
        """Return name → `pyarrow` array of strings."""
        of_file = [dataclasses.replace(column, position=self.positions[column.position]) for column in columns]
        return self.reader.sample(self.index, self.chunk, of_file, self.num_pieces)


class InferredColumns(Mapping[str, Column]):
    """Name → `Column`, for all columns of a table, in their order.

    The kind of a column is inferred from some of its cells when it is asked for, and does not change. `items` and
    `values` infer the kinds of all columns.

    Args:
        names: The names of all columns.
        given: Name → `(kind, format of a date or None)` for columns whose kind is not inferred.
        options: How the cells are read.
        places: Where the cells are read.

    Attributes:
        notes, measured, suspects: As in `NamedColumns`. Asking them for a column infers its kind, too.
        why_no_time: Name → why a column of dates in ISO form has no hour, for those that have none.
    """

    def __init__(
        self,
        names: Sequence[str],
        given: Mapping[str, tuple[str, str | None]],
        options: CellOptions,
        places: Sequence[Place],
    ):
        self.notes: _Told = _Told(self)
        self.measured: _Told = _Told(self)
        self.suspects: _Told = _Told(self)
        self.why_no_time: dict[str, str] = {}
        self._positions = {name: position for position, name in enumerate(names)}
        self._given = given
        self._options = options
        self._places = places
        self._found: dict[str, Column] = {}

    def __getitem__(self, name: str) -> Column:
        if name not in self._found:
            if name not in self._positions:
                raise KeyError(name)
            self.infer([name])
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._positions)

    def __len__(self) -> int:
        return len(self._positions)

    def __contains__(self, name: object) -> bool:
        return name in self._positions

    def items(self) -> ItemsView[str, Column]:
        """Return all names and columns."""
        self.infer(self._positions)
        return super().items()

    def values(self) -> ValuesView[Column]:
        """Return all columns."""
        self.infer(self._positions)
        return super().values()

    def infer(self, names: Iterable[str]) -> None:
        """Infer the kinds of several columns at once, which reads their cells once. Names of no column are ignored."""
        wanted = [name for name in dict.fromkeys(names) if name in self._positions and name not in self._found]
        if not wanted:
            return
        texts = [Column(name, self._positions[name], "string") for name in wanted]
        samples = [place.sample(texts) for place in self._places]
        for column in texts:
            self._infer(column, [sample[column.name] for sample in samples])

    def _infer(self, column: Column, samples: list[Any]) -> None:
        """Infer the kind of a column of strings, unless it is given."""
        name = column.name
        cells = present(samples, self._options.null_values)
        kind, form = self._given.get(name, (None, None))
        if kind is None:
            kind, form, self.notes.told[name], is_measured = infer_kind(cells, self._options)
            if is_measured:
                self.measured.told[name] = None
        if form == ISO and (reason := why_no_time(cells)):
            self.why_no_time[name] = reason
        if name not in self.measured.told and (reason := suspicion(name, kind, cells)):
            self.suspects.told[name] = reason
        self._found[name] = dataclasses.replace(column, kind=kind, format=form)


class _Told(Mapping[str, Any]):
    """Name → what the cells of a column tell, for the columns of which they tell something.

    Args:
        columns: The columns.

    Attributes:
        told: What is known so far.
    """

    def __init__(self, columns: InferredColumns):
        self.told: dict[str, Any] = {}
        self._columns = columns

    def __getitem__(self, name: str) -> Any:
        self._columns.infer([name])
        return self.told[name]

    def __iter__(self) -> Iterator[str]:
        self._columns.infer(self._columns)
        return (name for name in self._columns if name in self.told)

    def __len__(self) -> int:
        self._columns.infer(self._columns)
        return len(self.told)
