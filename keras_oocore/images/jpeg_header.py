"""What a JPEG says before its pixels: size, channels, where its EXIF block is; knows nothing of decoding them.

Opening the file with Pillow to learn the same costs a twentieth of decoding it.
"""

import struct
from typing import NamedTuple

HUFFMAN_FRAMES = frozenset(b"\xc0\xc1\xc2")  # baseline, extended, progressive: what every decoder reads
STANDALONE = frozenset(b"\x01\xd0\xd1\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xff")  # markers without a length, and fill bytes
EXIF, START_OF_SCAN = 0xE1, 0xDA
ORIENTATION_TAG, SHORT = 0x0112, 3


class JpegHeader(NamedTuple):
    """The few facts that decide how a JPEG is decoded; `exif` is its first EXIF segment, marker and all."""

    height: int
    width: int
    num_channels: int
    scan_start: int
    exif: slice


def parse_jpeg_header(data: bytes) -> JpegHeader | None:
    """The header of an ordinary JPEG: 8 bits, Huffman-coded, its segments one after the other.

    The segments are those of ITU-T T.81, annex B.

    Returns:
        `None` for anything else, be it an odd JPEG, a broken one or no JPEG at all: a full decoder should judge those.

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
    """How a camera was held: the EXIF orientation, 1 to 8; 1 (upright) where there is none or it cannot be read.

    Read by hand because Pillow's reader warns of every damaged block, and a block that it cannot read is no reason to
    refuse a picture. The layout is that of TIFF 6.0, section 2.

    Args:
        exif: a TIFF header and directory, with or without the `Exif\\0\\0` that some formats put before it.

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
    except struct.error:  # the block ends early
        pass
    return 1
