"""One or several Feather or Arrow IPC files as one table. A record batch is a chunk, and a large one is several."""

import itertools
import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_oocore.core.checks import positive
from keras_oocore.csv.cells import Column, require_pyarrow
from keras_oocore.tables.arrow.chunks import rows_per_chunk
from keras_oocore.tables.arrow.file_table import FileTable
from keras_oocore.tables.arrow.folders import FoundFile, hint_of, key_types
from keras_oocore.tables.arrow.part import Part, pandas_index
from keras_oocore.tables.format import CutGroup
from keras_oocore.tables.ipc.files import ArrowFile, ArrowFileReader
from keras_oocore.tables.opening import Opening

MOST_READERS = 8  # that a thread keeps open
MORE_COMPRESSED = 4  # times as many rows has a chunk of a compressed record batch, which is decompressed as a whole


class Chunk(NamedTuple):
    """Some rows of a record batch.

    Attributes:
        file: Number of the file.
        batch: Number of the record batch in the file.
        first: First row in the record batch.
        end: Last row in the record batch, plus 1.
        in_file: First row in the file.
    """

    file: int
    batch: int
    first: int
    end: int
    in_file: int


class IPCTable(FileTable[ArrowFile]):
    """The rows of Feather or Arrow IPC files that have the same columns.

    Args:
        found: The files.
        opening: How the files are opened. Defaults to all rows, with the kinds of their types.
        name: What messages call the rows. Defaults to the paths of the files.

    Raises:
        DataError: If a file does not exist, or is not an Arrow file.
        OptionError: If an argument is not supported.
        MissingExtraError: If pyarrow is not installed.

    >>> import tempfile
    >>> import pyarrow as pa
    >>> from pyarrow import feather
    >>> path = f"{tempfile.mkdtemp()}/houses.feather"
    >>> feather.write_feather(pa.table({"sqft": [1000, 2000], "city": ["Rome", "Oslo"]}), path)
    >>> table = IPCTable([FoundFile(path)])
    >>> table.num_rows, [(column.name, column.kind) for column in table.columns.values()]
    (2, [('sqft', 'float32'), ('city', 'string')])
    """

    def __init__(self, found: Sequence[FoundFile], opening: Opening | None = None, name: str | None = None):
        require_pyarrow("Arrow files", "tables")
        opening = Opening() if opening is None else opening
        if opening.num_rows is not None:
            positive(opening.num_rows, "num_rows")
        self.files: list[ArrowFile] = [ArrowFile(file) for file in found]
        self._key_types = key_types([file.keys for file in self.files])
        parts = _parts(self.files, self._key_types)
        parts = parts if name is None else [part._replace(name=name) for part in parts]
        index = pandas_index(self.files[0].schema)
        super().__init__([file.path for file in self.files] if name is None else [name], parts, opening, index)
        self.hint: str = hint_of(found)
        self._chunks: list[Chunk] = list(_chunks(self.files, opening.num_rows))
        sizes = [chunk.end - chunk.first for chunk in self._chunks]
        self.rows: np.ndarray = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        self.cut_group: CutGroup | None = self._most_cut()
        self._own = threading.local()

    def _most_cut(self) -> CutGroup | None:
        """Return the compressed record batch with the most chunks, if it has several."""
        places = [(place.file, place.batch) for place in self._chunks]
        counts = Counter(place for place in places if self.files[place[0]].batches[place[1]].is_compressed)
        (place, num_parts), *_ = counts.most_common(1) or [((0, 0), 1)]
        if num_parts == 1:
            return None
        file, batch = place
        fix = f"pyarrow.feather.write_feather(table, path, chunksize={int(np.diff(self.rows).max()):_})"
        return CutGroup(f"{self.files[file].path}: record batch {batch}", num_parts, fix)

    def read_arrays(self, chunk: int, names: Sequence[str]) -> Mapping[str, Any]:
        """Return the rows of one chunk, as in `ArrowTable`."""
        place = self._chunks[chunk]
        keys, size = self.files[place.file].other_keys, place.end - place.first
        in_file = tuple(name for name in names if name not in keys)
        arrays = self._reader(place.file, in_file).columns(place.batch, place.first, place.end) if in_file else {}
        return {name: self.key_array(chunk, name, size) if name in keys else arrays[name] for name in names}

    def keys(self, chunk: int) -> Mapping[str, str | None]:
        """Return the columns that folders name, and their values in a chunk, as in `ArrowTable`."""
        return self.files[self._chunks[chunk].file].other_keys

    def where(self, chunk: int, row_in_chunk: int) -> str:
        """Return how error messages name a row: file, row and record batch."""
        place = self._chunks[chunk]
        return f"{self.files[place.file].path}: row {place.in_file + row_in_chunk} (record batch {place.batch})"

    def position(self, chunk: int, column: Column) -> int:
        """Return the position of a column in the file of a chunk."""
        names, name = self.files[self._chunks[chunk].file].names, column.name_in_file
        return names.index(name) if name in names else len(names)

    def save_indexes(self, directory: Path | None = None) -> None:
        """Do nothing: the files say where the rows are."""

    def _reader(self, file: int, names: tuple[str, ...]) -> ArrowFileReader:
        """Return the reader of this thread."""
        readers = self._own.__dict__.setdefault("readers", {})
        last = getattr(self._own, "last", None)
        if last is not None and last is not readers.get((file, names)):
            last.forget()
        if (file, names) not in readers:
            if len(readers) >= MOST_READERS:
                readers.clear()
            readers[file, names] = self.files[file].reader(names)
        self._own.last = readers[file, names]
        return self._own.last


def _chunks(files: Sequence[ArrowFile], num_rows: int | None) -> Any:
    """Iterate over the chunks of files, or of their first rows."""
    num_left = math.inf if num_rows is None else num_rows
    for number, file in enumerate(files):
        in_file = 0
        for batch_number, batch in enumerate(file.batches):
            most = rows_per_chunk(len(file.names)) * (MORE_COMPRESSED if batch.is_compressed else 1)
            num_parts = max(1, math.ceil(batch.num_rows / most))
            bounds = np.linspace(0, batch.num_rows, num_parts + 1).astype(np.int64).tolist()
            for first, end in itertools.pairwise(bounds):
                end = int(min(end, first + num_left))
                if end > first:
                    yield Chunk(number, batch_number, first, end, in_file + first)
                    num_left -= end - first
            in_file += batch.num_rows


def _parts(files: Sequence[ArrowFile], of_keys: Mapping[str, Any]) -> list[Part]:
    """Return the columns of the files, once for files with equal columns."""
    distinct: dict[Any, ArrowFile] = {}
    for file in files:
        schema = tuple(file.schema.names), tuple(map(str, file.schema.types)), tuple(file.other_keys)
        distinct.setdefault(schema, file)
    return [
        Part.of_schema(file.path, file.schema, {name: of_keys[name] for name in file.other_keys})
        for file in distinct.values()
    ]
