"""Finds the orientation that an image file states, in EXIF or XMP, and turns pixels upright.

The rule is that of `PIL.ImageOps.exif_transpose`: the EXIF block comes first; without one, a PNG may have it as text;
XMP counts if neither states an orientation. This does not use Pillow, which warns about damaged EXIF blocks: the image
can still be read.
"""

import re
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

ORIENTATION_TAG = 0x0112
INTEGERS = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}  # types of EXIF values that Pillow reads as integers
RAW_PROFILE, PNG_XMP = "Raw profile type exif", "XML:com.adobe.xmp"  # text of a PNG
XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def stated_orientation(info: Mapping[str, Any]) -> int:
    """The orientation, 1 to 8, or 1 (upright) if there is no orientation or it cannot be read.

    Args:
        info: The `info` of an image of Pillow, or a dictionary with the same keys: `exif`, `xmp`, and the texts of PNG.

    >>> stated_orientation({"xmp": b'<rdf:Description tiff:Orientation="8"/>'})
    8
    >>> stated_orientation({})
    1
    """
    exif = info.get("exif")
    if exif is None and RAW_PROFILE in info:
        exif = _from_raw_profile(info[RAW_PROFILE])
    orientation = exif_orientation(exif) if exif else None
    if orientation is None:
        xmp = info.get(PNG_XMP) or info.get("xmp") or b""
        found = XMP_ORIENTATION.search(xmp.encode(errors="replace") if isinstance(xmp, str) else xmp)
        orientation = int(found[1]) if found else 1
    return orientation if 1 <= orientation <= 8 else 1


def exif_orientation(exif: bytes) -> int | None:
    """The orientation of an EXIF block, or `None` if the block has no orientation or cannot be read.

    The layout of the block is described in TIFF 6.0, section 2. As in Pillow, the last of several entries counts.

    Args:
        exif: A TIFF header and directory, with or without the prefix `Exif\\0\\0` of some formats.

    >>> exif_orientation(b"Exif\\0\\0" + bytes.fromhex("4d4d002a 00000008 0001 0112 0003 00000001 0006 0000"))
    6
    >>> exif_orientation(b"") is None
    True
    """
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return None
    orientation = None
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (num_entries,) = struct.unpack_from(order + "H", exif, directory)
        for at in range(directory + 2, directory + 2 + 12 * num_entries, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", exif, at)
            if tag == ORIENTATION_TAG and kind in INTEGERS and count == 1:
                (orientation,) = struct.unpack_from(order + INTEGERS[kind], exif, at + 8)
    except struct.error:  # the block is truncated
        pass
    return orientation


def _from_raw_profile(text: str | bytes) -> bytes:
    """The EXIF block in the text of a PNG, as ImageMagick writes it: name, length, and hexadecimal digits."""
    text = text.decode("latin-1") if isinstance(text, bytes) else text
    try:
        return bytes.fromhex("".join(text.split("\n")[3:]))
    except ValueError:
        return b""


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Rotate and mirror pixels according to orientation 1 to 8, as a view.

    Args:
        pixels: Array of shape `(height, width)` or `(height, width, channels)`.
        orientation: How the pixels are stored, as in EXIF.

    Returns:
        Array of shape `(height, width, channels)`.

    >>> upright(np.array([[1, 2], [3, 4]]), 6)[:, :, 0].tolist()
    [[3, 1], [4, 2]]
    """
    pixels = np.atleast_3d(pixels)
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
