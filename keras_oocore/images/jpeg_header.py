"""Parses the size, number of channels and EXIF orientation of a JPEG, without decoding it.

Opening the file with Pillow for the same information takes a twentieth of the time of decoding it.
"""

import struct
from typing import NamedTuple

HUFFMAN_FRAMES = frozenset(b"\xc0\xc1\xc2")  # baseline, extended, progressive: every decoder reads these
STANDALONE = frozenset(b"\x01\xd0\xd1\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xff")  # markers without a length, and fill bytes
EXIF, START_OF_SCAN = 0xE1, 0xDA
ORIENTATION_TAG, SHORT = 0x0112, 3


class JpegHeader(NamedTuple):
    """The properties that determine how a JPEG is decoded. `exif` is its first EXIF segment, with the marker."""

    height: int
    width: int
    num_channels: int
    scan_start: int
    exif: slice


def parse_jpeg_header(data: bytes) -> JpegHeader | None:
    """Parse the header of an ordinary JPEG: 8 bits, Huffman-coded, with consecutive segments (ITU-T T.81, annex B).

    Returns:
        The header, or `None` for an unusual JPEG, a damaged JPEG, or another file, which need a full decoder.

    >>> frame = bytes.fromhex("ffc0 000b 08 0078 00a0 01 01 11 00")
    >>> scan = bytes.fromhex("ffda 0008 01 01 00 00 3f 00")
    >>> parse_jpeg_header(bytes.fromhex("ffd8") + frame + scan)
    JpegHeader(height=120, width=160, num_channels=1, scan_start=25, exif=slice(0, 0, None))
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    frame, exif, position = None, slice(0, 0), 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        end = position + 2 + (data[position + 2] << 8 | data[position + 3])
        if marker in HUFFMAN_FRAMES and position + 10 <= len(data):
            frame = struct.unpack_from(">BHHB", data, position + 4)
        elif marker == EXIF and not exif.stop and data.startswith(b"Exif\0\0", position + 4):
            exif = slice(position, end)
        elif marker == START_OF_SCAN:
            if frame and frame[0] == 8 and frame[1] and frame[2]:
                return JpegHeader(*frame[1:], scan_start=end, exif=exif)
            return None
        position = end
    return None


def exif_orientation(exif: bytes) -> int:
    """The EXIF orientation, 1 to 8, or 1 (upright) if there is no orientation or it cannot be read.

    This does not use Pillow, which warns about damaged EXIF blocks: the image can still be read. The layout of the
    block is described in TIFF 6.0, section 2.

    Args:
        exif: A TIFF header and directory, with or without the prefix `Exif\\0\\0` of some formats.

    >>> exif_orientation(b"Exif\\0\\0" + bytes.fromhex("4d4d002a 00000008 0001 0112 0003 00000001 0006 0000"))
    6
    >>> exif_orientation(b"")
    1
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (num_entries,) = struct.unpack_from(order + "H", exif, directory)
        for entry in range(num_entries):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, directory + 2 + 12 * entry)
            if tag == ORIENTATION_TAG:
                return value if kind == SHORT and 1 <= value <= 8 else 1
    except struct.error:  # the block is truncated
        pass
    return 1
