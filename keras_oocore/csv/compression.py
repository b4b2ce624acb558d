"""The text of compressed CSV files: in blocks, or as a temporary plain file."""

import contextlib
import gzip
import lzma
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError
from keras_oocore.core.files import explained, require_disk
from keras_oocore.core.storage import open_file
from keras_oocore.csv.codecs import BLOCK_BYTES, GZIP, ZIP, Codec, codec_of, text_of_zip
from keras_oocore.csv.index import cannot_read
from keras_oocore.csv.not_csv import require_local

SAMPLED_BYTES = 8 * 2**20  # of text, for the size of the rest
LARGE_BYTES = 3 * 2**30  # of text; beyond, the four bytes that hold a size may have started over
DAMAGE = (gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)


@contextlib.contextmanager
def plain_file(path: str | os.PathLike[str]) -> Iterator[str]:
    """Give the path of a plain CSV file: `path` itself, or a temporary file if `path` is compressed.

    The temporary file is deleted at the end. Compressed files are recognized by their content.

    Raises:
        DataError: If the compressed file is damaged or truncated, or cannot be read; or if a zip archive has several
            files.
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
    require_local(path)
    codec = codec_of(path)
    if codec is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="keras_oocore-") as folder:
        plain = os.path.join(folder, "plain.csv")
        require_disk(folder, text_bytes(path, codec), f"the text of {path}")
        with explained(plain), open(plain, "wb") as file:
            file.writelines(text for text, _ in read_blocks(path, codec))
        yield plain


def read_blocks(path: str, codec: Codec) -> Iterator[tuple[bytes, int]]:
    """Iterate over the text of a compressed file: blocks, and the number of compressed bytes read so far.

    Raises:
        DataError: If the file is damaged or truncated, or cannot be read; or if a zip archive has several files.
    """
    num_bytes = 0
    try:
        with open_file(path) as compressed:
            for text in codec.texts(compressed, path):
                yield text, compressed.tell()
                num_bytes += len(text)
    except DataError:
        raise
    except DAMAGE as error:
        raise _damaged(path, codec, num_bytes, str(error)) from error
    except (EOFError, OSError) as error:
        if isinstance(error, EOFError) or "Truncated" in str(error):  # by Python, and by pyarrow
            raise DataError(
                f"{path}: the {codec.name} file ends too early, after {num_bytes:,} bytes of text. "
                "Is it truncated, or is it still being written?"
            ) from error
        if error.errno is None:  # it does not come from the operating system
            raise _damaged(path, codec, num_bytes, str(error)) from error
        raise cannot_read(path, error) from error


def first_text(path: str) -> bytes:
    """Return the beginning of the text of a file, compressed or not: about a megabyte.

    Raises:
        DataError: If the file is damaged or cannot be read.
    """
    codec = codec_of(path)
    if codec is not None:
        return next((text for text, _ in read_blocks(path, codec)), b"")
    try:
        return storage.first_bytes(path, BLOCK_BYTES)
    except OSError as error:
        raise cannot_read(path, error) from error


def text_bytes(path: str | os.PathLike[str], codec: Codec) -> int:
    """Return about how many bytes of text a compressed file holds, at the cost of unpacking its first megabytes.

    It is an estimate from these, a little low: a wrong refusal is worse than a disk that fills up. A zip archive knows
    the size. A damaged file counts 0.
    """
    path, num_sampled = os.fspath(path), 0
    try:
        with open_file(path) as compressed:
            size_bytes = compressed.seek(0, os.SEEK_END)
            compressed.seek(0)
            if codec is ZIP:
                with zipfile.ZipFile(compressed) as archive:
                    return text_of_zip(archive, path).file_size
            for text in codec.texts(compressed, path):
                num_sampled, num_read = num_sampled + len(text), compressed.tell()
                if num_sampled >= SAMPLED_BYTES:
                    break
            else:  # this was the whole file
                return num_sampled
            likely_bytes = num_sampled * size_bytes // num_read
        return _gzip_bytes(path, size_bytes, likely_bytes) if codec is GZIP else likely_bytes * 9 // 10
    except (OSError, EOFError, DataError, *DAMAGE):  # the function that unpacks the file reports the error
        return 0


def _gzip_bytes(path: str, size_bytes: int, likely_bytes: int) -> int:
    """Return about how many bytes of text a gzip file holds.

    The last four bytes of the file are the size of its last stream, modulo 4 GiB. They are used if they agree with the
    compression of the first megabytes. A file of several streams counts as much as its compressed size.
    """
    with open_file(path) as compressed:
        compressed.seek(max(0, size_bytes - 4))
        last_bytes = int.from_bytes(compressed.read(4), "little")
    if likely_bytes > LARGE_BYTES:
        return likely_bytes * 9 // 10
    return last_bytes if likely_bytes <= 4 * last_bytes <= 16 * likely_bytes else size_bytes


def _damaged(path: str, codec: Codec, num_bytes: int, reason: str) -> DataError:
    """Return the error for a damaged file."""
    return DataError(f"{path}: the {codec.name} file is damaged after {num_bytes:,} bytes of text ({reason}).")
