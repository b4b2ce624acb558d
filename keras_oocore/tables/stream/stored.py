"""The rows of a stream in a file of a cache, which is written once, and with which later streams are compared."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_oocore.core.errors import DataError
from keras_oocore.core.files import write_whole
from keras_oocore.core.locks import write_lock
from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.core.temporary import remove_leftovers
from keras_oocore.csv.index import file_stamp
from keras_oocore.store.format import RECORD, STREAM, require_own_folder
from keras_oocore.tables.arrow.chunks import rows_per_chunk
from keras_oocore.tables.arrow.content import ContentChecksum
from keras_oocore.tables.stream.batches import opened, pieces

try:
    from pyarrow import ipc
except ImportError:  # the `tables` extra is not installed
    ipc = None

ROWS, NOTE = "rows.arrow", "rows.json"


def stored_stream(data: Any, cache: Path, num_rows: int | None, overwrite: bool) -> tuple[str, str]:
    """Return the path of an Arrow file with the rows of a stream, and their content: counts and a checksum.

    The stream is read to its end in any case. If the cache holds its rows from an earlier run, they are compared.

    Args:
        data: The stream.
        cache: Directory of a cache, which may not exist yet.
        num_rows: Number of rows to take, or `None` for all.
        overwrite: Whether to replace the rows of another stream.

    Raises:
        DataError: If the cache holds the rows of another stream, or the stream fails.
        DestinationError: If the rows cannot be written, or `cache` holds other files.
        BusyError: If another process is writing into this cache.
    """
    folder = cache / STREAM
    if not (cache / RECORD).exists():
        require_own_folder(cache)
    with write_lock(folder):
        content = None if overwrite else _kept_content(folder)
        schema, tables = opened(data)
        checksum = ContentChecksum({field.name: field.type for field in schema})
        parts = _checked(pieces(tables, rows_per_chunk(len(schema)), num_rows), checksum)
        if content is not None:
            _require_equal(parts, checksum, content, cache)
            return str(folder / ROWS), content
        remove_leftovers(folder)
        with write_whole(folder / ROWS) as file:
            (folder / NOTE).unlink(missing_ok=True)
            with ipc.new_file(file, schema) as writer:
                for part in parts:
                    writer.write_table(part.combine_chunks())
        content = str(checksum)
        with write_whole(folder / NOTE) as file:
            file.write(json.dumps([content, file_stamp(folder / ROWS)]).encode())
    return str(folder / ROWS), content


def _kept_content(folder: Path) -> str | None:
    """Return the content of the rows that are stored, or `None` if there are none that are complete and unchanged."""
    try:
        content, stamp = json.loads((folder / NOTE).read_bytes())
        return str(content) if stamp == list(file_stamp(folder / ROWS)) else None
    except (OSError, ValueError, TypeError, RecursionError, DataError):  # a damaged note is written again
        return None


def _checked(parts: Iterator[Any], checksum: ContentChecksum) -> Iterator[Any]:
    """Iterate over tables, add them to the checksum, and show a progress bar."""
    with tqdm(unit=" rows", unit_scale=True, desc="reading the stream", delay=QUIET_SECONDS) as bar:
        for part in parts:
            checksum.add({name: part[name] for name in checksum.names})
            yield part
            bar.update(len(part))


def _require_equal(parts: Iterator[Any], checksum: ContentChecksum, content: str, cache: Path) -> None:
    """Read a stream to its end, and raise if its rows are not those that are stored."""
    for _ in parts:
        pass
    if str(checksum) != content:
        raise DataError(
            f"The stream has other rows than the one that {str(cache)!r} stores. Stored: {content}. Received: "
            f"{checksum}. Choose another directory, or pass overwrite_cache=True to replace it."
        )
