"""Bytes of a CSV file as UTF-8 for pyarrow, and back where they cannot be decoded."""

import codecs
import contextlib
from typing import Any

import numpy as np

try:
    import pyarrow as pa
except ImportError:  # the `csv` extra is not installed
    pa = None

EVERY_BYTE = "latin-1"  # an encoding in which every byte is a character


def as_utf8(data: bytes | memoryview, encoding: str) -> bytes | memoryview:
    """Convert text to UTF-8. Bytes that are invalid in `encoding` are kept, which makes them invalid in UTF-8 too."""
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii"):
        return data
    return str(data, encoding, "surrogateescape").encode("utf-8", "surrogateescape")


def is_utf8(data: bytes | memoryview) -> bool:
    """Return whether data can be decoded. This takes 1 ms per 4 MB, and a tenth of that if it is ASCII."""
    if np.frombuffer(data, np.uint8).max(initial=0) < 128:
        return True
    ends = pa.py_buffer(np.array([0, len(data)]))
    try:
        pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(data)]).cast(pa.large_string())
    except pa.ArrowInvalid:
        return False
    return True


def from_every_byte(data: bytes | memoryview) -> bytes:
    """Decode bytes as `EVERY_BYTE`, and encode them as UTF-8. pyarrow would do so, but its block would be too small."""
    return str(data, EVERY_BYTE).encode()


def as_bytes(cells: Any) -> Any:
    """Return a pyarrow array of cells that were decoded as `EVERY_BYTE` as the bytes that they were."""
    return pa.array([None if cell is None else cell.encode(EVERY_BYTE) for cell in cells.to_pylist()], pa.binary())


def decoded(cell: str | bytes) -> str | bytes:
    """Return a cell as a string, or as bytes if it cannot be decoded."""
    with contextlib.suppress(UnicodeDecodeError):
        return cell.decode() if isinstance(cell, bytes) else cell
    return cell


def decoded_or_none(cell: bytes | None) -> str | None:
    """Return a cell as a string, or `None` if it is missing or cannot be decoded."""
    text = None if cell is None else decoded(cell)
    return text if isinstance(text, str) else None
