"""`StreamTable`: a stream as a table, once its rows are stored in a cache."""

from typing import Any

from keras_oocore.core.checks import positive
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import counted
from keras_oocore.csv.cells import require_pyarrow
from keras_oocore.tables.arrow.folders import FoundFile
from keras_oocore.tables.ipc.table import IPCTable
from keras_oocore.tables.opening import Opening
from keras_oocore.tables.stream.stored import stored_stream


class StreamTable(IPCTable):
    """The rows of a stream. Their content identifies them, and not the file that stores them.

    Args:
        data: A stream of pyarrow or of another library, or an iterator of record batches, tables or DataFrames.
        opening: How it is opened, with a cache.

    Raises:
        OptionError: If there is no cache, or the stream yields something else than rows.
        DataError: If the cache holds the rows of another stream, or the stream fails.

    >>> import tempfile
    >>> import pyarrow as pa
    >>> from pathlib import Path
    >>> rows = pa.table({"sqft": [1000, 2000]})
    >>> table = StreamTable(rows.to_reader(), Opening(cache=Path(tempfile.mkdtemp())))
    >>> table.num_rows, table.where(0, 1), table.portable_fingerprint()["files"]
    (2, 'row 1 of the stream', ['2 rows, 1 column, CRC-32 5bc6f75c'])
    """

    def __init__(self, data: Any, opening: Opening):
        require_pyarrow("Streams", "tables")
        if opening.cache is None:
            raise OptionError(
                "`data` is a stream, which can be read only once, and training reads rows many times. Pass "
                f'cache="DIR", a directory that stores the rows.{_if_paths(data)} Received: data of type '
                f"{type(data).__name__!r}"
            )
        if opening.num_rows is not None:
            positive(opening.num_rows, "num_rows")
        path, self._content = stored_stream(data, opening.cache, opening.num_rows, opening.overwrite_cache)
        super().__init__([FoundFile(path)], opening, "the stream")
        self.hint = ""

    def where(self, chunk: int, row_in_chunk: int) -> str:
        """Return how error messages name a row, such as `"row 7 of the stream"`."""
        return f"row {self.rows[chunk] + row_in_chunk} of the stream"

    def fingerprint(self) -> dict[str, Any]:
        """Return everything that determines the cells, as plain JSON."""
        return {**self.of_reading(), "files": [self._content]}

    def portable_fingerprint(self) -> dict[str, Any]:
        """Return what identifies the rows, as plain JSON."""
        return {**self.of_rows(), "files": [self._content]}

    @property
    def source(self) -> str:
        """What messages and `repr` call the data."""
        limit = "" if self.rows_limit is None else f" (num_rows={self.rows_limit})"
        return f"the stream of {counted(self.num_rows, 'row')}{limit}"


def _if_paths(data: Any) -> str:
    """Return what to do if an iterator yields paths. Nothing is taken from it, because that would be lost."""
    is_iterator = hasattr(type(data), "__next__") and not hasattr(type(data), "__arrow_c_stream__")
    return " If it yields paths, pass a list of them: sorted(data)." if is_iterator else ""
