"""The record of a commit: which files replace which, with checksums of all of them. It moves no file."""

import dataclasses
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from keras_oocore.core.files import CHUNK_BYTES
from keras_oocore.core.record import RecordFormat
from keras_oocore.core.temporary import COMMIT_NAME, TEMPORARY_NAME

REMEDY = "Remove it to open the other files of its folder as they are."
_FORMAT = RecordFormat(version=1, remedy=REMEDY)
_FILENAME = re.compile(r"\w[\w.-]*")  # it stays in the folder

Digest = tuple[int, int]  # size in bytes, CRC-32


@dataclasses.dataclass(frozen=True)
class Change:
    """What a record says about one file.

    Attributes:
        name: Its name.
        old, new: The digests of the file before and after. `None` means that there is no file.
        temporary: The temporary name of the new file, or `None` if there is no new file.
    """

    name: str
    old: Digest | None
    new: Digest | None
    temporary: str | None

    def keeps(self, digest: Digest | None) -> bool:
        """Whether a file with this digest stays: it is the new one, or someone saved it after the kill.

        >>> change = Change("a.npy", old=(3, 111), new=(4, 222), temporary=".keras_oocore-0123456789abcdef")
        >>> change.keeps((3, 111)), change.keeps((4, 222)), change.keeps((5, 333)), change.keeps(None)
        (False, True, True, False)
        """
        return digest == self.new or (digest is not None and digest != self.old)


def encode(changes: Iterable[Change]) -> bytes:
    """Return the text of a record."""
    return _FORMAT.encode({"files": [dataclasses.astuple(change) for change in changes]})


def read(folder: Path) -> list[Change]:
    """Return the changes that the record of a folder names.

    Raises:
        MissingRecordError: If there is no record.
        RecordError: If it is damaged, or names a file outside the folder.
    """
    return _FORMAT.read(folder / COMMIT_NAME, lambda saved: [_as_change(*values) for values in saved["files"]])


def _as_change(name: str, old: Any, new: Any, temporary: str | None) -> Change:
    stays = _FILENAME.fullmatch(name) and (temporary is None or TEMPORARY_NAME.fullmatch(temporary))
    if not stays or (new is None) != (temporary is None):
        raise ValueError(f"it names {name!r} and {temporary!r}")
    return Change(name, _as_digest(old), _as_digest(new), temporary)


def _as_digest(saved: Any) -> Digest | None:
    if saved is None:
        return None
    size_bytes, checksum = saved
    return int(size_bytes), int(checksum)


def digest(file: BinaryIO | None) -> Digest | None:
    """Return the size and the CRC-32 of an open file, and move to its start. `None` stands for a missing file."""
    if file is None:
        return None
    checksum = size_bytes = 0
    while chunk := file.read(CHUNK_BYTES):
        checksum, size_bytes = zlib.crc32(chunk, checksum), size_bytes + len(chunk)
    file.seek(0)
    return size_bytes, checksum
