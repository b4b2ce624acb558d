"""Parses a PNG: its header, its orientation, and the chunks that determine its pixels, without decoding it.

Decoders differ in what they do about a damaged or unusual chunk that does not change the pixels: some ignore it, some
reject the file. Without these chunks, all of them read the same files.
"""

import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass, field

from keras_oocore.images.orientation import PNG_XMP, RAW_PROFILE

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAYSCALE, RGB, PALETTE = 0, 2, 3  # color types. Those with alpha are 4 (grayscale) and 6 (RGB).
# Other color types cannot have it.
TRANSPARENCY_BYTES: dict[int, Collection[int]] = {GRAYSCALE: (2,), RGB: (6,), PALETTE: range(1, 257)}
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
MAX_TEXT_BYTES = 2**20  # of a compressed text; an orientation needs far less


@dataclass
class Png:
    """The parts of a PNG that matter.

    Attributes:
        height, width: Size in pixels.
        bit_depth: Number of bits per channel.
        color_type: As in the PNG specification: 0, 2, 3, 4 or 6.
        info: EXIF and XMP as `stated_orientation` expects them.
        data: The file without chunks that do not change the pixels of the first frame.
        is_whole: Whether the file has an end.
    """

    height: int
    width: int
    bit_depth: int
    color_type: int
    info: dict[str, bytes] = field(default_factory=dict)
    data: bytes = b""
    is_whole: bool = False


def parse_png(data: bytes) -> Png | None:
    """Parse the chunks of a PNG.

    Returns:
        The PNG, or `None` for another file or if the header is damaged.

    >>> parse_png(b"GIF89a") is None
    True
    """
    if not data.startswith(SIGNATURE) or data[8:16] != b"\0\0\0\x0dIHDR" or len(data) < 33:
        return None
    width, height, bit_depth, color_type = struct.unpack_from(">IIBB", data, 16)
    png = Png(height, width, bit_depth, color_type)
    pieces, kept_from, position, name = [], 0, 8, b""
    while position + 12 <= len(data) and name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            break
        if not _is_kept(data, name, position, end, color_type):
            if name == b"eXIf" or name in TEXTS:
                _note_metadata(png.info, data, name, position, end)
            pieces.append(data[kept_from:position])
            kept_from = end
        position = end
    png.is_whole = name == b"IEND" and position <= len(data) and end == position
    png.data = b"".join([*pieces, data[kept_from : position if png.is_whole else None]]) if pieces else data
    return png


def _is_kept(data: bytes, name: bytes, start: int, end: int, color_type: int) -> bool:
    """Whether a chunk determines the pixels of the first frame."""
    if name == b"PLTE":
        return color_type == PALETTE  # otherwise, it is only a suggestion
    if name == b"tRNS":
        return end - start - 12 in TRANSPARENCY_BYTES.get(color_type, ()) and _is_intact(data, start, end)
    return not name[0] & 0x20  # upper case: a critical chunk


def _is_intact(data: bytes, start: int, end: int) -> bool:
    return zlib.crc32(data[start + 4 : end - 4]) == struct.unpack_from(">I", data, end - 4)[0]


def _note_metadata(info: dict[str, bytes], data: bytes, name: bytes, start: int, end: int) -> None:
    """Add an EXIF block, or a text that contains one or XMP. The last chunk of a kind counts, as in Pillow."""
    content = data[start + 8 : end - 4]
    if name == b"eXIf":
        if _is_intact(data, start, end):
            info["exif"] = content
        return
    keyword, _, text = content.partition(b"\0")
    key = keyword.decode("latin-1")
    if key not in (RAW_PROFILE, PNG_XMP) or not _is_intact(data, start, end):
        return
    is_compressed = name == b"zTXt"
    if name == b"iTXt":  # compression flag, method, language, translated keyword
        is_compressed, text = text[:1] == b"\1", text[2:].split(b"\0", 2)[-1]
    elif is_compressed:
        text = text[1:]  # after the method
    if is_compressed:
        try:
            text = zlib.decompressobj().decompress(text, MAX_TEXT_BYTES)
        except zlib.error:
            return
    info[key] = text
