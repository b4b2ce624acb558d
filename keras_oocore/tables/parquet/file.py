"""One Parquet file: its footer, which says how many rows and which columns it has, and the rows of a row group."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError
from keras_oocore.core.faults import retried
from keras_oocore.csv.index import cannot_read, require_same
from keras_oocore.tables.arrow.folders import FoundFile
from keras_oocore.tables.arrow.part import Part
from keras_oocore.tables.described_files import described, described_copy

try:
    import pyarrow as pa
    from pyarrow import parquet as pq

    _PyarrowFile: Any = pq.ParquetFile
except ImportError:  # the `tables` extra is not installed
    pa, _PyarrowFile = None, object

T = TypeVar("T")
BUFFER_BYTES = 2**16  # per column, of a row group that is read in parts
# A moment of INT96, as Spark and Impala wrote it, may be outside the years that nanoseconds have.
OPENING: dict[str, Any] = {"page_checksum_verification": True, "coerce_int96_timestamp_unit": "us"}


class _Opened(_PyarrowFile):
    """A file of pyarrow, in which columns without parts are found by name in a third of the time.

    It overrides a method that another version of pyarrow may not call. Then the method of that version counts.
    """

    def _build_nested_paths(self) -> Any:
        paths = self.reader.column_paths
        leaves = {path[0]: [i] for i, path in enumerate(paths) if len(path) == 1}
        return leaves if len(leaves) == len(paths) else super()._build_nested_paths()


@dataclasses.dataclass(frozen=True)
class ParquetFile:
    """What the footer of a file says.

    Attributes:
        path: The file, as messages name it.
        absolute_path: Its path that stays valid when the working directory changes.
        size_bytes: Its size.
        changed_ns: When it was last modified, in nanoseconds.
        keys: Name of a column that is not in the file → its value in all rows.
        metadata: The footer, of pyarrow.
        schema: Names and types of the columns, of pyarrow.
    """

    path: str
    absolute_path: str
    size_bytes: int
    changed_ns: int
    keys: Mapping[str, str | None]
    metadata: Any
    schema: Any

    @classmethod
    def open(cls, found: FoundFile) -> "ParquetFile":
        """Read the footer of a file.

        Raises:
            DataError: If the file cannot be read, or is not a Parquet file.
        """
        file, opened = cls.open_and_keep(found)
        opened.close()
        return file

    @classmethod
    def open_and_keep(cls, found: FoundFile) -> "tuple[ParquetFile, Any]":
        """Read the footer of a file as `open` does. Return it, and what `opened` returns, for this thread."""
        path = storage.absolute(found.path)
        try:
            status = retried(storage.status, path)
        except OSError as error:
            raise cannot_read(found.path, error) from error
        if not status.is_file:
            raise DataError(f"Cannot read {found.path!r}: it is not an ordinary file.")
        if not status.size_bytes:
            raise DataError(f"{found.path}: the file is empty. Even a Parquet file without rows has a footer.")

        def read() -> tuple[Any, Any]:
            opened = _Opened(storage.local_path(path), **OPENING)
            try:
                return opened, opened.schema_arrow
            except BaseException:
                opened.close()
                raise

        opened, schema = explained(found.path, read)
        found_now = (found.path, path, status.size_bytes, status.changed_ns, found.keys)
        return cls(*found_now, opened.metadata, schema), opened

    @functools.cached_property
    def positions(self) -> dict[str, int]:
        """Name → position of the column in the file, that of the first one of a name."""
        names = self.schema.names
        return {name: i for i, name in zip(range(len(names) - 1, -1, -1), reversed(names))}

    @functools.cached_property
    def other_keys(self) -> dict[str, str | None]:
        """The columns of `keys` that are not in the file, too, which would say more about its rows."""
        return {name: value for name, value in self.keys.items() if name not in self.positions}

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return self.metadata.num_rows

    @property
    def group_rows(self) -> list[int]:
        """Number of rows of each row group."""
        return [self.metadata.row_group(group).num_rows for group in range(self.metadata.num_row_groups)]

    def part(self, key_types: Mapping[str, Any]) -> Part:
        """Return the columns of the file, with those that folders name, whose types are given."""
        more = {name: key_types[name] for name in self.other_keys}
        return Part.of_schema(self.path, self.schema, more)

    def opened(self, in_parts: bool = False) -> Any:
        """Open the file for one thread. Opening a file of many columns takes a while, so keep it.

        Args:
            in_parts: Whether row groups are larger than memory: then their bytes are read through small buffers.

        Raises:
            DataError: If the file cannot be read, or changed.
        """
        path, footer = storage.local_path(self.absolute_path), self.metadata
        buffer_bytes = BUFFER_BYTES if in_parts else 0
        return self._checked(lambda: _Opened(path, metadata=footer, buffer_size=buffer_bytes, **OPENING))

    def batches(self, opened: Any, group: int, names: Sequence[str], num_rows: int | None) -> Iterator[Any]:
        """Iterate over the rows of a row group as tables of `num_rows` rows; of all its rows, if it is `None`.

        Args:
            opened: What `opened` returned to this thread.
            group: Number of the row group.
            names: The columns to read.
            num_rows: Number of rows of each table, or `None`.

        Raises:
            DataError: If the file cannot be read, or changed.
        """
        options = dict(columns=list(names), use_threads=False)
        if num_rows is None:
            yield self._checked(lambda: opened.read_row_group(group, **options), group)
            return
        batches = self._checked(lambda: opened.iter_batches(num_rows, [group], **options), group)
        while (batch := self._checked(lambda: next(batches, None), group)) is not None:
            yield pa.Table.from_batches([batch])

    def require_unchanged(self) -> None:
        """Raise if the file changed since its footer was read.

        Raises:
            DataError: If it changed.
        """
        require_same(self.path, self.absolute_path, (self.size_bytes, self.changed_ns), "its footer was read")

    def described(self) -> str:
        """Return name, size and time as a person reads them, so that an error message shows what changed."""
        return described(self.path, self.size_bytes, self.changed_ns, self.keys)

    def described_copy(self) -> str:
        """Return what a copy of the file has in common with it: name, size, and the values that folders name."""
        return described_copy(self.path, self.size_bytes, self.keys)

    def _checked(self, read: Callable[[], T], group: int | None = None) -> T:
        """Return `read()`, unless the file changed meanwhile."""
        self.require_unchanged()  # before, because a file that changed may look damaged
        found = explained(self.path, read, group)
        self.require_unchanged()
        return found


def explained(path: str, read: Callable[[], T], group: int | None = None) -> T:
    """Return `read()`. Its errors name the file.

    Args:
        path: The file, for messages.
        read: Function that reads it.
        group: The row group that it reads, or `None`.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        return retried(read)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise cannot_read(path, error) from error
        where = "" if group is None else f" row group {group}"
        reason = str(error).strip().splitlines()[0][:300].rstrip(".")
        raise DataError(f"{path}:{where} cannot be read as Parquet: {reason}.{_fix(str(error))}") from error


def _fix(reason: str) -> str:
    """Return what to do about a file that cannot be read."""
    lowered = reason.lower()
    if "encrypt" in lowered or "decrypt" in lowered:
        return " Encrypted files are not supported. Fix: write the table again without encryption."
    if "not implemented" in lowered or "codec" in lowered or "support" in lowered:
        return " Fix: write the file again with another codec or encoding."
    return " Is the file complete? Compare its size with the original, or write it again."
