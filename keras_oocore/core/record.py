"""JSON files with a format number: written whole, read back checked; this module does not know what they describe."""

import dataclasses
import json
import os
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from keras_oocore.core.errors import DataError
from keras_oocore.core.files import write_whole
from keras_oocore.core.version import __version__

Parsed = TypeVar("Parsed")

# The checksum is the last key and covers the JSON text without it. Every future format keeps this, the format number
# and the version that wrote the file, so that a file of a newer version is not reported as damaged.
_CHECKSUM = re.compile(rb',\s+"crc32": ([0-9]{1,10})(\s*\})\Z')
_CHECKSUM_BYTES = 40  # at most, with the white space around it; only the end of a large file is searched
# What parsing a value raises. A `SyntaxError` is of `numpy.dtype(text)`.
_MALFORMED = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError, SyntaxError)


class RecordError(DataError):
    """A record cannot be read. The message names the file; `reason` says the same without it, for use in brackets."""

    reason = ""

    @classmethod
    def because(cls, message: str, reason: str) -> "RecordError":
        error = cls(message)
        error.reason = reason
        return error


class MissingRecordError(RecordError):
    """The file does not exist."""


class DamagedRecordError(RecordError):
    """The file is not a record of this kind: truncated, changed, or not JSON."""


class NewerRecordError(RecordError):
    """A newer version of keras_oocore wrote the file, in a format that this version cannot read."""

    @classmethod
    def of(cls, path: str | os.PathLike[str], reason: str) -> "RecordError":
        """Return the error for the file `path`. `reason` follows its name."""
        return cls.because(f"{os.fspath(path)!r} {reason}. Upgrade: pip install -U keras_oocore", reason)


@dataclasses.dataclass(frozen=True)
class RecordFormat:
    """One kind of JSON file with a format number and, at its end, a CRC-32 of its text.

    Args:
        version: The format number that is written. Files with a number from `1` to `version` are read.
        remedy: What to do about a damaged file: the last sentence of the error message.
        indent: Spaces per level of indentation. `None` writes one line.
        requires_checksum: Whether a file without a checksum is damaged. Otherwise such a file is read without a check:
            it was written before checksums were.
        unversioned: Whether a file without a format number is read as format `1`.

    >>> notes = RecordFormat(version=1, remedy="Remove it.")
    >>> path = getfixture("tmp_path") / "notes.json"
    >>> notes.write(path, {"num_rows": 3})
    >>> path.read_text()
    '{"format": 1, "num_rows": 3, "crc32": 4289223264}'
    >>> notes.read(path, lambda saved: saved["num_rows"])
    3
    """

    version: int
    remedy: str
    indent: int | None = None
    requires_checksum: bool = False
    unversioned: bool = False

    def encode(self, values: Mapping[str, Any]) -> bytes:
        """Return the text of a record: the format number, `values` (plain JSON) and the checksum."""
        text = json.dumps({"format": self.version, **values}, indent=self.indent).encode()
        before, end = (b", ", b"}") if self.indent is None else (b",\n" + b" " * self.indent, b"\n}")
        return text.removesuffix(end) + before + b'"crc32": %d' % zlib.crc32(text) + end

    def write(self, path: str | os.PathLike[str], values: Mapping[str, Any]) -> None:
        """Write a record to `path`, whole or not at all.

        Raises:
            DestinationError: If the file cannot be written.
        """
        with write_whole(path) as file:
            file.write(self.encode(values))

    def read(self, path: str | os.PathLike[str], parse: Callable[[dict[str, Any]], Parsed]) -> Parsed:
        """Return `parse(values)` for the record stored in `path`.

        Args:
            path: The file.
            parse: Turns the dictionary that was written (with its `"format"`) into an object. If it raises an error
                such as a `KeyError` or a `ValueError`, the file is damaged.

        Raises:
            MissingRecordError: If the file does not exist.
            DamagedRecordError: If the file is damaged.
            NewerRecordError: If a newer version of keras_oocore wrote the file.
            RecordError: If the file cannot be read for another reason, such as its permissions.
        """
        try:
            with open(path, "rb") as file:
                text = file.read()
        except OSError as error:
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            kind, reason = MissingRecordError if missing else RecordError, error.strerror or str(error)
            raise kind.because(f"Cannot read {os.fspath(path)!r}: {reason}.", reason) from error
        return self.decode(text, path, parse)

    def decode(self, text: bytes, path: str | os.PathLike[str], parse: Callable[[dict[str, Any]], Parsed]) -> Parsed:
        """Return `parse(values)` for the text of a record that is stored in `path`, as `read` does."""
        try:
            values = self._decode(text)
            self._require_not_newer(path, values)
            return parse(values)
        except NewerRecordError:
            raise
        except _MALFORMED as error:
            reason = _in_words(error)
            message = f"{os.fspath(path)!r} is damaged ({reason}). {self.remedy}"
            raise DamagedRecordError.because(message, reason) from error

    def _decode(self, text: bytes) -> dict[str, Any]:
        checksum = _CHECKSUM.search(text, max(0, len(text) - _CHECKSUM_BYTES))
        if checksum:
            text = text[: checksum.start()] + checksum[2]
            if zlib.crc32(text) != int(checksum[1]):
                raise ValueError("its checksum does not match")
        elif self.requires_checksum:
            raise ValueError("it is truncated")
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("it is not a JSON object")
        return {"format": 1, **values} if self.unversioned else values

    def _require_not_newer(self, path: str | os.PathLike[str], values: dict[str, Any]) -> None:
        number = values["format"]
        if not isinstance(number, int) or number < 1:
            raise ValueError(f"its format is {number!r}")
        if number > self.version:
            writer = f", written by keras_oocore {values['keras_oocore']}" if "keras_oocore" in values else ""
            reason = (
                f"has format {number}{writer}, but this version of keras_oocore ({__version__}) reads format "
                f"{self.version}"
            )
            raise NewerRecordError.of(path, reason)


def _in_words(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return str(error) if isinstance(error, ValueError) else repr(error)
