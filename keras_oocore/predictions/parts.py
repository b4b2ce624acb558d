"""The folder of the parts of a file that is being predicted: what is complete, and what it was predicted from."""

import contextlib
import os
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_oocore.core.differences import differences
from keras_oocore.core.errors import DestinationError
from keras_oocore.core.files import CHUNK_BYTES, explained, write_whole
from keras_oocore.core.locks import LOCK_NAME
from keras_oocore.core.record import DamagedRecordError, MissingRecordError, RecordFormat
from keras_oocore.core.temporary import TEMPORARY_NAME
from keras_oocore.core.text import listed

RECORD = "run.json"
FORMAT = RecordFormat(1, "Remove the folder to start over.", indent=1, requires_checksum=True)
PART = re.compile(r"part-(\d{12})-(\d{12})-(\d+)-([0-9a-f]{8})-([0-9a-f]{8})\.(csv|arrow)")
NEAR = dict(rtol=1e-3, atol=1e-5, equal_nan=True)  # predictions of the same model on another number of threads


class Part(NamedTuple):
    """A complete part.

    Attributes:
        path: Its file.
        first, stop: Its batches.
        num_bad: Number of its samples that could not be read.
        version: What `InOrder.version` said of its samples.
        checksum: CRC-32 of the file.
    """

    path: Path
    first: int
    stop: int
    num_bad: int
    version: int
    checksum: int


class Parts:
    """The folder `PATH.parts` beside a file that is being predicted. Its lock must be held.

    Args:
        folder: The folder, which exists.
        suffix: The ending of the parts, `"csv"` or `"arrow"`.

    Attributes:
        parts: The complete parts, which follow each other from the first batch on.
    """

    def __init__(self, folder: Path, suffix: str):
        self.folder: Path = folder
        self.suffix: str = suffix
        self.parts: list[Part] = []

    @property
    def num_batches(self) -> int:
        """Number of batches in the parts."""
        return self.parts[-1].stop if self.parts else 0

    @property
    def num_bad(self) -> int:
        """Number of samples in the parts that could not be read."""
        return sum(part.num_bad for part in self.parts)

    def open(self, run: Mapping[str, Any], version: Callable[[int, int], int]) -> list[str]:
        """Find the parts of an earlier run, and remove those that this run cannot use.

        Args:
            run: What determines the content of the parts, as plain JSON.
            version: `InOrder.version`.

        Returns:
            Why parts were removed, or `[]`.

        Raises:
            DestinationError: If the folder has other files, or cannot be written to.
            NewerRecordError: If a newer version of this package wrote the parts.
        """
        found = self._found()
        different = self._differences(run, bool(found))
        if not different:
            for part in found:
                if part.first != self.num_batches or part.path.suffix != f".{self.suffix}":
                    break
                if part.version != version(part.first, part.stop):
                    different = ["files changed"]
                    break
                if part.checksum != _checksum(part.path):
                    different = [f"{part.path.name!r} is damaged"]
                    break
                self.parts.append(part)
        with explained(self.folder):
            for part in found[len(self.parts) :]:
                part.path.unlink()
        if not self.parts:
            FORMAT.write(self.folder / RECORD, run)
        return different

    def add(self, content: bytes | memoryview, stop: int, num_bad: int, version: Callable[[int, int], int]) -> None:
        """Write the next part.

        Args:
            content: The content of its file.
            stop: The batch after its last one.
            num_bad: Number of its samples that could not be read.
            version: `InOrder.version`.

        Raises:
            DestinationError: If it cannot be written.
        """
        first, checksum, of_samples = self.num_batches, zlib.crc32(content), version(self.num_batches, stop)
        name = f"part-{first:012d}-{stop:012d}-{num_bad}-{of_samples:08x}-{checksum:08x}.{self.suffix}"
        with write_whole(self.folder / name) as file:
            file.write(content)
        self.parts.append(Part(self.folder / name, first, stop, num_bad, of_samples, checksum))

    def remove(self) -> None:
        """Remove the parts and the folder."""
        with contextlib.suppress(OSError):  # the file is complete; what stays is only in the way
            (self.folder / RECORD).unlink()  # first, because parts without it are not used
            for part in self._found():
                part.path.unlink()
            (self.folder / LOCK_NAME).unlink()  # a process that waits for it looks whether it still exists
            self.folder.rmdir()

    def _found(self) -> list[Part]:
        """Return all parts in the folder, in their order."""
        names = [name for name in sorted(os.listdir(self.folder)) if not TEMPORARY_NAME.fullmatch(name)]
        if others := [name for name in names if not PART.fullmatch(name) and name not in (RECORD, LOCK_NAME)]:
            raise DestinationError(
                f"{os.fspath(self.folder)!r} has other files: {listed(others)}. Move them away, or choose another "
                "destination."
            )
        matches = [match for name in names if (match := PART.fullmatch(name))]
        return [
            Part(self.folder / match[0], int(match[1]), int(match[2]), int(match[3]), int(match[4], 16),
                 int(match[5], 16))
            for match in matches
        ]  # fmt: skip

    def _differences(self, run: Mapping[str, Any], has_parts: bool) -> list[str]:
        """Return what differs from the run that wrote the parts."""
        try:
            before = FORMAT.read(self.folder / RECORD, dict)
        except MissingRecordError:
            return ["its record is missing"] if has_parts else []
        except DamagedRecordError as error:
            return [f"its record {error.reason}"]
        keys = ("format", "crc32", "first predictions")
        then, now = ({key: one[key] for key in one if key not in keys} for one in (before, run))
        different = differences(then, now)
        if not different and not _are_near(before["first predictions"], run["first predictions"]):
            different = ["the model predicts other values for the first batch"]
        return different if has_parts else []


def _are_near(before: Mapping[str, list[float]], now: Mapping[str, list[float]]) -> bool:
    return before.keys() == now.keys() and all(
        len(before[name]) == len(now[name]) and np.allclose(before[name], now[name], **NEAR) for name in now
    )


def _checksum(path: Path) -> int:
    checksum = 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            checksum = zlib.crc32(chunk, checksum)
    return checksum
