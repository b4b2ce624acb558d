"""How files are compressed: a `Codec` per format, recognized by the first bytes, that iterates over the text."""

import bz2
import gzip
import lzma
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from keras_oocore.core import storage
from keras_oocore.core.errors import DataError
from keras_oocore.core.storage import open_file
from keras_oocore.core.text import listed

try:
    import pyarrow as pa
except ImportError:  # the `csv` extra is not installed
    pa = None

BLOCK_BYTES = 2**20  # of text
READ_BYTES = 2**16  # of a compressed file
HEAD_BYTES = 16
ENCRYPTED = 1  # a bit of the flags of a member of a zip archive


class Codec(NamedTuple):
    """A format of compressed files.

    Attributes:
        name: Its name in messages.
        magic: Regular expression for the first bytes of its files.
        suffix: The usual ending of their names.
        command: The command that decompresses a file `{0}`.
        texts: Function of an open file and its path that iterates over blocks of text.
    """

    name: str
    magic: bytes
    suffix: str
    command: str
    texts: Callable[[BinaryIO, str], Iterator[bytes]]


def codec_of(path: str | os.PathLike[str]) -> Codec | None:
    """Return how a file is compressed, whatever its name, or `None` if it is not, or cannot be read.

    Workbooks, `.npz` files and others that are zip archives inside do not count as compressed.
    """
    try:
        head = storage.first_bytes(path, HEAD_BYTES)
    except OSError:  # the function that reads the file reports the error
        return None
    codec = next((codec for codec in CODECS if re.match(codec.magic, head, re.DOTALL)), None)
    return None if codec is ZIP and zip_format(path) else codec


def zip_format(path: str | os.PathLike[str]) -> str:
    """Return the suffix of the files that are zip archives of this content, such as `".xlsx"`, or `""` for others."""
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):  # the function that reads the file reports the error
        return ""
    if "[Content_Types].xml" in names:
        return ".xlsx" if any(name.startswith("xl/") for name in names) else ".docx"
    if names[:1] == ["mimetype"]:
        return ".ods"
    return ".npz" if names and all(name.endswith(".npy") for name in names) else ""


def text_of_zip(archive: zipfile.ZipFile, path: str) -> zipfile.ZipInfo:
    """Return the only file in a zip archive. Folders, and what macOS adds, do not count.

    Raises:
        DataError: If the archive has no file or several, or the file is encrypted.
    """
    members = [one for one in archive.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        found = f"{len(members)} files: {listed(one.filename for one in members)}" if members else "no file"
        raise DataError(f"{path}: the zip archive has {found}. Expected one. Unpack it, and pass its files.")
    if members[0].flag_bits & ENCRYPTED:
        raise DataError(f"{path}: the zip archive is encrypted. Unpack it with its password first.")
    return members[0]


def _streams(file: BinaryIO, new: Callable[[], Any]) -> Iterator[bytes]:
    """Iterate over the text of one or several streams. Python's own classes ignore a later stream that is damaged."""
    decompressor = new()
    data = file.read(READ_BYTES)
    while True:
        if decompressor.eof:
            data = decompressor.unused_data.lstrip(b"\0")  # zeros after the end fill a block of a tape
            while not data:
                block = file.read(READ_BYTES)
                if not block:
                    return
                data = block.lstrip(b"\0")
            decompressor = new()
        elif decompressor.needs_input and not data:
            data = file.read(READ_BYTES)
            if not data:
                raise EOFError
        text = decompressor.decompress(data, BLOCK_BYTES)
        data = b""
        if text:
            yield text


def _gzip(file: BinaryIO, _: str) -> Iterator[bytes]:
    with gzip.open(file) as text:
        yield from _blocks(text)


def _zip(file: BinaryIO, path: str) -> Iterator[bytes]:
    with zipfile.ZipFile(file) as archive, archive.open(text_of_zip(archive, path)) as text:
        yield from _blocks(text)


def _bzip2(file: BinaryIO, _: str) -> Iterator[bytes]:
    return _streams(file, bz2.BZ2Decompressor)


def _xz(file: BinaryIO, _: str) -> Iterator[bytes]:
    return _streams(file, lzma.LZMADecompressor)


def _by_pyarrow(codec: str) -> Callable[[BinaryIO, str], Iterator[bytes]]:
    def texts(file: BinaryIO, _: str) -> Iterator[bytes]:
        with pa.CompressedInputStream(pa.PythonFile(file, mode="r"), codec) as text:
            yield from _blocks(text)

    return texts


def _blocks(text: Any) -> Iterator[bytes]:
    while block := text.read(BLOCK_BYTES):
        yield block


GZIP = Codec("gzip", rb"\x1f\x8b", ".gz", "gunzip -c {0} > out.csv", _gzip)
ZIP = Codec("zip", rb"PK(\x03\x04|\x05\x06)", ".zip", "unzip {0}", _zip)
CODECS = (
    GZIP,
    ZIP,
    Codec("bzip2", rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", ".bz2", "bzip2 -dc {0} > out.csv", _bzip2),
    Codec("xz", rb"\xfd7zXZ\x00", ".xz", "xz -dc {0} > out.csv", _xz),
    Codec(
        "zstd", rb"[\x28\x50-\x5f](\xb5\x2f\xfd|\x2a\x4d\x18)", ".zst", "zstd -dc {0} > out.csv", _by_pyarrow("zstd")
    ),
    Codec("lz4", rb"\x04\x22\x4d\x18", ".lz4", "lz4 -dc {0} > out.csv", _by_pyarrow("lz4")),
)
