"""The text of compressed CSV files: in blocks, or as a temporary plain file."""

import contextlib
import gzip
import os
import tempfile
import zlib
from collections.abc import Iterator

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError
from keras_oocore.core.files import explained, require_disk
from keras_oocore.core.storage import open_file
from keras_oocore.csv.index import cannot_read, file_stamp

try:
    import pyarrow as pa
except ImportError:  # the `csv` extra is not installed
    pa = None

MAGIC = b"\x1f\x8b"
SUFFIXES = (".bz2", ".lz4", ".zst")  # of other files that pyarrow decompresses
BLOCK_BYTES = 2**20
SAMPLED_BYTES = 8 * 2**20  # of text, for the size of the rest
LARGE_BYTES = 3 * 2**30  # of text; beyond, the four bytes that hold a size may have started over


@contextlib.contextmanager
def plain_file(path: str | os.PathLike[str]) -> Iterator[str]:
    """Give the path of a plain CSV file: `path` itself, or a temporary file if `path` is compressed.

    The temporary file is deleted at the end. Gzip files are recognized by their content, others by their suffix.

    Raises:
        DataError: If the compressed file is damaged or truncated, or cannot be read.
        DestinationError: If the temporary file cannot be written.
        MissingExtraError: If pyarrow is not installed.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/train.csv.gz"
    ...     with gzip.open(path, "wb") as file:
    ...         _ = file.write(b"filename,class\\n")
    ...     with plain_file(path) as plain, open(plain) as file:
    ...         file.read()
    'filename,class\\n'
    """
    path = os.fspath(path)
    if is_gzip(path):
        blocks = (text for text, _ in read_blocks(path))
    elif path.endswith(SUFFIXES):
        blocks = _decompressed(path)
    else:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="keras_oocore-") as folder:
        plain = os.path.join(folder, "plain.csv")
        if is_gzip(path):
            require_disk(folder, text_bytes(path), f"the text of {path}")
        with explained(plain), open(plain, "wb") as file:
            file.writelines(blocks)
        yield plain


def is_gzip(path: str) -> bool:
    """Return whether a file begins like a gzip file, whatever its name."""
    try:
        return storage.first_bytes(path, len(MAGIC)) == MAGIC
    except OSError:  # the function that reads the file reports the error
        return False


def read_blocks(path: str) -> Iterator[tuple[bytes, int]]:
    """Iterate over the text of a gzip file: blocks, and the number of compressed bytes read so far.

    Raises:
        DataError: If the file is damaged or truncated, or cannot be read.
    """
    num_bytes = 0
    try:
        with open_file(path) as compressed, gzip.open(compressed) as file:
            while text := file.read(BLOCK_BYTES):
                yield text, compressed.tell()
                num_bytes += len(text)
    except EOFError as error:
        raise DataError(
            f"{path}: the gzip file ends too early, after {num_bytes:,} bytes of text. "
            "Is it truncated, or is it still being written?"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzip file is damaged after {num_bytes:,} bytes of text ({error}).") from error
    except OSError as error:
        raise cannot_read(path, error) from error


def text_bytes(path: str | os.PathLike[str]) -> int:
    """Return about how many bytes of text a gzip file holds, at the cost of unpacking its first megabytes.

    The last four bytes of the file are the size of its last stream, modulo 4 GiB. They are used if they agree with the
    compression of the first megabytes. Larger files are estimated, a little low: a wrong refusal is worse than a disk
    that fills up. A damaged file, or one of several streams, counts as much as its compressed size.
    """
    try:
        with open_file(path) as compressed:
            size_bytes = compressed.seek(0, os.SEEK_END)
            compressed.seek(max(0, size_bytes - 4))
            last_bytes = int.from_bytes(compressed.read(4), "little")
            compressed.seek(0)
            with gzip.open(compressed) as file:
                num_sampled = len(file.read(SAMPLED_BYTES))
                likely_bytes = num_sampled * size_bytes // max(1, compressed.tell())
    except (OSError, EOFError, zlib.error):  # the function that unpacks the file reports the error
        return 0
    if likely_bytes > LARGE_BYTES:
        return likely_bytes * 9 // 10
    return last_bytes if likely_bytes <= 4 * last_bytes <= 16 * likely_bytes else size_bytes


def _decompressed(path: str) -> Iterator[bytes]:
    """Iterate over the text of a file that pyarrow decompresses."""
    file_stamp(path)
    try:
        with pa.input_stream(storage.local_path(path), compression="detect") as file:
            while text := file.read(BLOCK_BYTES):
                yield text
    except OSError as error:
        raise cannot_read(path, error) from error
