"""Compressed CSV files, unpacked once into a cache: their rows cannot be read without all preceding bytes."""

import json
import os
from pathlib import Path
from typing import IO

from keras_oocore.core.errors import DataError
from keras_oocore.core.files import require_disk, write_whole
from keras_oocore.core.locks import write_lock
from keras_oocore.core.progress import QUIET_SECONDS, tqdm
from keras_oocore.core.temporary import remove_leftovers
from keras_oocore.csv.codecs import Codec
from keras_oocore.csv.compression import read_blocks, text_bytes
from keras_oocore.csv.index import file_stamp
from keras_oocore.store.format import RECORD, UNPACKED, require_own_folder


def unpacked(path: str, codec: Codec, cache: Path, number: int) -> str:
    """Return the path of a plain file with the text of a compressed file. The file is written once, in one pass.

    Args:
        path: The compressed file. If it holds several streams, their texts are joined.
        codec: How it is compressed.
        cache: Directory of a cache, which may not exist yet.
        number: Number of the file in its table, to tell apart files of the same name.

    Raises:
        DataError: If the file is damaged, truncated, or changes during the unpacking; or if a zip archive has several
            files.
        DestinationError: If the disk is too small, the text cannot be written, or `cache` holds other files.
        BusyError: If another process is unpacking into this cache.
    """
    folder = cache / UNPACKED
    plain = folder / f"{number}-{Path(path).name.removesuffix(codec.suffix)}"
    note = plain.with_name(f"{plain.name}{codec.suffix}.json")  # the stamps of the compressed and of the plain file
    stamp = file_stamp(path)
    if _is_current(stamp, plain, note):
        return str(plain)
    if not (cache / RECORD).exists():
        require_own_folder(cache)
    with write_lock(folder):
        if _is_current(stamp, plain, note):  # another process was faster
            return str(plain)
        remove_leftovers(folder)
        require_disk(folder, text_bytes(path, codec), f"the text of {path}")
        with write_whole(plain) as file:
            _unpack(path, codec, file)
            if file_stamp(path) != stamp:
                raise DataError(f"{path}: the file changed while it was unpacked. Try again once it is complete.")
            note.unlink(missing_ok=True)
        os.utime(plain, ns=(stamp[1], stamp[1]))  # a store that was made of it stays valid if it is unpacked again
        with write_whole(note) as file:
            file.write(json.dumps([stamp, file_stamp(plain)]).encode())
    return str(plain)


def _is_current(stamp: tuple[int, int], plain: Path, note: Path) -> bool:
    """Return whether the plain file is complete, unchanged, and from the compressed file with this stamp."""
    try:
        return json.loads(note.read_bytes()) == [list(stamp), list(file_stamp(plain))]
    except (OSError, ValueError, RecursionError):  # a damaged note is written again
        return False


def _unpack(path: str, codec: Codec, out: IO[bytes]) -> None:
    """Write the text of a compressed file, with a progress bar."""
    task = f"unpacking {Path(path).name}"
    with tqdm(total=file_stamp(path)[0], unit="B", unit_scale=True, desc=task, delay=QUIET_SECONDS) as bar:
        for text, num_read in read_blocks(path, codec):
            out.write(text)
            bar.update(num_read - bar.n)
