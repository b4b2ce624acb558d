"""The text of gzip files as plain files in a cache: rows of theirs cannot be found without all that comes before."""

import gzip
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from keras_oocore.core.errors import DataError
from keras_oocore.core.files import remove_leftovers, write_whole
from keras_oocore.core.locks import write_lock
from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.store.format import GUNZIPPED, RECORD, require_own_folder
from keras_oocore.tables.csv.index import cannot_read, file_stamp

MAGIC = b"\x1f\x8b"
BLOCK_BYTES = 2**20


def is_gzip(path: str) -> bool:
    """Whether the file begins as gzip files do, whatever its name."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:  # those who read it say why
        return False


def gunzipped(path: str, cache: Path, number: int) -> str:
    """The path of a plain file with the text of a gzip file, made in one pass unless it is there already.

    Args:
        path: the gzip file; several streams in a row are one text.
        cache: the directory of a cache, or one that will be.
        number: tells files of the same name apart.

    Raises:
        DataError: when the file is damaged, ends too early or changes meanwhile.
        DestinationError: when the text cannot be written, or `cache` holds somebody else's files.
        BusyError: when another process is unpacking there.
    """
    folder = cache / GUNZIPPED
    plain = folder / f"{number}-{Path(path).name.removesuffix('.gz')}"
    stamp = file_stamp(path)
    if _is_of(stamp, plain):
        return str(plain)
    if not (cache / RECORD).exists():
        require_own_folder(cache)
    with write_lock(folder):
        if _is_of(stamp, plain):  # another process was quicker
            return str(plain)
        remove_leftovers(folder)
        with write_whole(plain) as file:
            _unpack(path, file)
            if file_stamp(path) != stamp:
                raise DataError(f"{path}: the file changed while it was unpacked. Try again once it is finished.")
            _note_of(plain).unlink(missing_ok=True)
        os.utime(plain, ns=(stamp[1], stamp[1]))  # unpacked again it is the same file to a store that was made of it
        with write_whole(_note_of(plain)) as file:
            file.write(json.dumps([stamp, file_stamp(plain)]).encode())
    return str(plain)


def _note_of(plain: Path) -> Path:
    """Where it is noted which gzip file the text is of, and when it was last as it was written."""
    return plain.with_name(f"{plain.name}.gz.json")


def _is_of(stamp: tuple[int, int], plain: Path) -> bool:
    try:
        return json.loads(_note_of(plain).read_bytes()) == [list(stamp), list(file_stamp(plain))]
    except (OSError, ValueError, DataError):
        return False


def _unpack(path: str, out: IO[bytes]) -> None:
    task = f"unpacking {Path(path).name}"
    with tqdm(total=os.path.getsize(path), unit="B", unit_scale=True, desc=task, delay=QUIET_SECONDS) as bar:
        for text, num_read in _texts(path):
            out.write(text)
            bar.update(num_read - bar.n)


def _texts(path: str) -> Iterator[tuple[bytes, int]]:
    """The text of a gzip file, block by block, and how many bytes of the file were read for it."""
    num_bytes = 0
    try:
        with open(path, "rb") as packed, gzip.open(packed) as file:
            while text := file.read(BLOCK_BYTES):
                yield text, packed.tell()
                num_bytes += len(text)
    except EOFError as error:
        raise DataError(
            f"{path}: the gzip file ends too early, after {num_bytes:,} bytes of text. "
            "Was it cut, or is it still being written?"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzip file is damaged after {num_bytes:,} bytes of text ({error}).") from error
    except OSError as error:
        raise cannot_read(path, error) from error
