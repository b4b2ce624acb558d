"""One Arrow IPC file, a stream or the format with a footer, and its record batches."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError
from keras_oocore.csv.index import cannot_read, file_stamp, require_same
from keras_oocore.tables.arrow.chunks import rows_per_chunk
from keras_oocore.tables.arrow.folders import FoundFile
from keras_oocore.tables.described_files import described, described_copy
from keras_oocore.tables.ipc.layout import (
    FEATHER_1,
    MAGIC,
    STREAM,
    Batch,
    LayoutError,
    batches_of_file,
    batches_of_stream,
    is_old_stream,
)
from keras_oocore.tables.ipc.parts import PartReader

try:
    import pyarrow as pa
    from pyarrow import ipc
except ImportError:  # the `csv` extra is not installed
    pa = None

HEAD_BYTES = 8
CONVERT_FEATHER_1 = (
    "It is a Feather file of the first version. Convert it: from pyarrow import feather; "
    "feather.write_feather(feather.read_table({path!r}), 'out.feather')"
)


class ArrowFile:
    """An Arrow IPC file. Its schema and the sizes of its record batches are read when it is opened.

    Args:
        found: Its path, and the columns that its folders name.

    Attributes:
        path: Its path.
        keys: Name of a column that its folders name → its value in all rows.
        other_keys: Those that are not in the file, too.
        stamp: Its size in bytes and its time of change.
        is_stream: Whether it is a stream, which can only be read from its beginning.
        schema: Names and types of its columns, of pyarrow.
        names: Names of its columns.
        batches: Its record batches.

    Raises:
        DataError: If the file does not exist, or is truncated, damaged or of another format.
    """

    def __init__(self, found: FoundFile):
        path = found.path
        self.path: str = path
        self.keys: Mapping[str, str | None] = found.keys
        self.absolute_path: str = storage.absolute(path)
        self.stamp: tuple[int, int] = file_stamp(path)
        data = _mapped(path)
        self.is_stream: bool = _is_stream(path, data)
        try:
            layout = batches_of_stream if self.is_stream else batches_of_file
            self.batches: list[Batch] = layout(memoryview(data))
            self.schema: Any = (ipc.open_stream if self.is_stream else ipc.open_file)(data).schema
            self.names: list[str] = self.schema.names
        except LayoutError as error:
            raise DataError(f"{path}: cannot read the Arrow file: {error}.") from error
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DataError(f"{path}: cannot read the Arrow file: {_first_line(error)}.") from error
        if self.is_stream and self.is_compressed:
            raise DataError(
                f"{path}: a compressed stream can only be read from its beginning. Pass the stream, which a cache "
                f'stores: data=pyarrow.ipc.open_stream({path!r}), cache="DIR". Or write a file in its place, with '
                "pyarrow.ipc.new_file or feather.write_feather."
            )
        self.other_keys: dict[str, str | None] = {k: v for k, v in self.keys.items() if k not in self.names}

    @property
    def is_mapped(self) -> bool:
        """Whether a memory map says where its columns are: a stream, or a part of a large record batch.

        A disk that fails, or another program that shortens the file, ends a process that reads from a memory map. So
        only metadata are read from it, and the columns that `PartReader` leaves there.
        """
        most = rows_per_chunk(len(self.names))
        return self.is_stream or any(batch.num_rows > most and not batch.is_compressed for batch in self.batches)

    @property
    def is_compressed(self) -> bool:
        """Whether its record batches are compressed, so that reading a part of one decompresses all of it."""
        return any(batch.is_compressed for batch in self.batches)

    def reader(self, names: Sequence[str]) -> "ArrowFileReader":
        """Return a reader of some columns, for one thread."""
        return ArrowFileReader(self, names)

    def require_unchanged(self) -> None:
        """Raise if the file changed since it was opened.

        Raises:
            DataError: If size or time of change differ.
        """
        require_same(self.path, self.absolute_path, self.stamp, "it was opened")

    def described(self) -> str:
        """Return name, size and time as a person reads them, so that an error message shows what changed."""
        return described(self.path, *self.stamp, self.keys)

    def described_copy(self) -> str:
        """Return what a copy of the file has in common with it: name, size, and the values that folders name."""
        return described_copy(self.path, self.stamp[0], self.keys)


class ArrowFileReader:
    """Reads record batches of a file. One thread uses it at a time.

    Args:
        file: The file.
        names: The columns to read.
    """

    def __init__(self, file: ArrowFile, names: Sequence[str]):
        self._file, self._names = file, list(names)
        file.require_unchanged()
        opened = _opened(file.absolute_path)
        self._data = _mapped(file.absolute_path) if file.is_mapped else opened
        self._parts = PartReader(opened, self._data) if file.is_mapped else None
        self._kept: tuple[int, Any] = -1, None

    def forget(self) -> None:
        """Release the record batch that is kept."""
        self._kept = -1, None

    def batch(self, number: int, is_part: bool) -> Any:
        """Return the columns of a record batch.

        Args:
            number: Number of the record batch.
            is_part: Whether only a part of it is read. Then it is kept: its parts are usually read one after another.

        Raises:
            DataError: If the file changed, or is damaged.
        """
        self._file.require_unchanged()
        kept, found = self._kept
        if kept != number:
            try:
                found = self._batches[number] if self._file.is_stream else self._reader.get_batch(number)
            except (pa.ArrowException, OSError, ValueError) as error:
                raise self._damaged(number, error) from error
            self._kept = (number, found) if is_part else (-1, None)
        return found

    def columns(self, number: int, first: int, end: int) -> dict[str, Any]:
        """Return some rows of a record batch: name → `pyarrow` array, whose offsets and strings are valid.

        Raises:
            DataError: If the file changed, or is damaged.
        """
        batch = self.batch(number, is_part=end - first < self._file.batches[number].num_rows)
        try:
            arrays = {name: self._rows(batch.column(name), first, end) for name in self._names}
            for array in arrays.values():
                array.validate(full=True)  # otherwise damaged offsets of strings would end the process
        except (pa.ArrowException, OSError, ValueError) as error:
            self._file.require_unchanged()
            raise self._damaged(number, error) from error
        return arrays

    def _rows(self, array: Any, first: int, end: int) -> Any:
        """Return some rows of a column of a record batch."""
        return array.slice(first, end - first) if self._parts is None else self._parts.rows(array, first, end)

    @functools.cached_property
    def _reader(self) -> Any:
        # pyarrow 26 would read whole record batches into memory, also from a map, if it were told the columns.
        fields = None if self._file.is_mapped else [self._file.names.index(name) for name in self._names]
        options = ipc.IpcReadOptions(included_fields=fields, use_threads=False)
        return ipc.open_file(self._data, options=options)

    @functools.cached_property
    def _batches(self) -> list[Any]:
        """The record batches of a stream, which are views of the file."""
        with ipc.open_stream(self._data) as reader:
            return [batch.select(self._names) for batch in reader]

    def _damaged(self, number: int, error: Exception) -> DataError:
        return DataError(f"{self._file.path}: record batch {number} cannot be read: {_first_line(error)}.")


def _mapped(path: str) -> Any:
    """Return the bytes of a file as a buffer of `pyarrow`, which is a memory map."""
    try:
        if not file_stamp(path)[0]:
            raise DataError(f"{path}: the file is empty.")
        with pa.memory_map(path) as file:
            return file.read_buffer()
    except OSError as error:
        raise cannot_read(path, error) from error


def _opened(path: str) -> Any:
    """Return a file of `pyarrow`, which reads what is asked for."""
    try:
        return pa.OSFile(path)
    except OSError as error:
        raise cannot_read(path, error) from error


def _is_stream(path: str, data: Any) -> bool:
    """Return whether a file is a stream, by its first bytes.

    Raises:
        DataError: If it is of another format.
    """
    head = bytes(memoryview(data)[:HEAD_BYTES])
    if head.startswith(MAGIC):
        return False
    if head.startswith(STREAM) or is_old_stream(memoryview(data)):
        return True
    if head.startswith(FEATHER_1):
        raise DataError(f"{path}: {CONVERT_FEATHER_1.format(path=path)}")
    raise DataError(f"{path}: this is not an Arrow file. Its first bytes are {head!r}.")


def is_arrow_file(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is a Feather or an Arrow IPC file."""
    return head.startswith((MAGIC + b"\0", FEATHER_1)) or (head.startswith(STREAM) and head[7:8] == b"\0")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
