"""Chooses the class of Pillow that reads a file, by the first bytes of the file.

The name of a file does not count. Pillow's `Image.open` would try forty more formats, some of which run programs (EPS),
and would also read what follows the image in a JPEG.
"""

import struct
from collections.abc import Callable
from io import BytesIO
from typing import Any

from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.IcoImagePlugin import IcoImageFile
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TgaImagePlugin import TgaImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from keras_oocore.core.errors import SampleError

try:
    from PIL.AvifImagePlugin import AvifImageFile
except ImportError:  # before Pillow 11.3
    AvifImageFile = None

READERS: dict[bytes, Callable[..., Any]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"GIF8": GifImageFile,
    b"BM": BmpImageFile,
    b"RIFF": WebPImageFile,
    b"II*\0": TiffImageFile,
    b"MM\0*": TiffImageFile,
    b"II+\0": TiffImageFile,
    b"MM\0+": TiffImageFile,
    b"\0\0\0\x0cjP  \r\n\x87\n": Jpeg2KImageFile,
    b"\xff\x4f\xff\x51": Jpeg2KImageFile,
    b"\0\0\1\0": IcoImageFile,
    **{b"P%d" % number: PpmImageFile for number in range(1, 7)},
}
AVIF_BRANDS = (b"avif", b"avis")
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
CONTAINER_BRANDS = (b"mif1", b"msf1")  # of AVIF or HEIC
ENDINGS: dict[str, tuple[str, ...]] = {  # format → usual endings of its files
    "AVIF": (".avif",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "HEIF": (".heic", ".heif"),
    "ICO": (".ico",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "JPEG2000": (".jp2",),
    "PNG": (".png",),
    "PPM": (".ppm", ".pgm"),
    "TGA": (".tga",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
BITS_PER_SAMPLE, PLANAR_CONFIGURATION, SEPARATE = 258, 284, 2  # tags of TIFF 6.0, and a value
JPEG_2000_START = b"\xff\x4f\xff\x51"  # the first two markers of the codestream. ISO/IEC 15444-1, A.5.1
BITS_OFFSET = 42  # from there, of the bits of channel 0, less one


def open_image(data: bytes) -> ImageFile:
    """Open an image file with Pillow, without decoding its pixels.

    Raises:
        SampleError: If the first bytes are not those of an image that can be read. Pillow raises other errors if the
            rest of the header is damaged.
    """
    reader = next((READERS[prefix] for prefix in READERS if data.startswith(prefix)), None)
    if reader is None and data[4:8] == b"ftyp":
        reader = _heif_or_avif(data)
    if reader is None and _looks_like_tga(data):
        reader = TgaImageFile
    if reader is None:
        raise SampleError(f"not an image that can be decoded: it starts with {data[:16]!r}")
    image = reader(BytesIO(data))
    if image.format == "TIFF":
        _name_planes_of_16_bits(image)
    if image.format == "JPEG2000" and not image.mode.startswith("I"):
        _require_8_bits(data)
    return image


def format_name(data: bytes) -> str | None:
    """Return the format of an image file by its first bytes, a key of `ENDINGS`, or `None` if it is not an image.

    >>> format_name(b"GIF89a"), format_name(b"<html>")
    ('GIF', None)
    """
    reader = next((READERS[prefix] for prefix in READERS if data.startswith(prefix)), None)
    if reader is not None and (reader is not WebPImageFile or data[8:12] == b"WEBP"):  # RIFF also begins audio
        return reader.format
    brand = _brand(data) if data[4:8] == b"ftyp" else b""
    if brand in AVIF_BRANDS:
        return "AVIF"
    if brand in HEIC_BRANDS + CONTAINER_BRANDS:
        return "HEIF"
    return "TGA" if _looks_like_tga(data) else None


def _require_8_bits(data: bytes) -> None:
    """Raise a `SampleError` for a color image in JPEG 2000 with more than 8 bits per channel.

    Pillow 13.0.0 rounds to 8 bits without a limit, so 65535 becomes 0 (`libImaging/Jpeg2KDecode.c`, `j2ku_shift`).
    """
    at = data.find(JPEG_2000_START) + BITS_OFFSET
    bits = (data[at] & 0x7F) + 1 if at < len(data) else 8
    if bits > 8:
        raise SampleError(
            f"a color image of {bits} bits per channel in JPEG 2000, whose brightest pixels Pillow turns black. "
            "Save it as PNG or TIFF"
        )


def _name_planes_of_16_bits(image: TiffImageFile) -> None:
    """Let Pillow read uncompressed planes of 16 bits per channel as such. It would read them as if they had 8.

    Raises:
        SampleError: If the planes are not those of RGB or RGBA, the only ones that Pillow can read.
    """
    tags = image.tag_v2
    if tags.get(PLANAR_CONFIGURATION) != SEPARATE or max(tags.get(BITS_PER_SAMPLE, (8,))) <= 8 or len(image.tile) < 2:
        return
    order = "L" if tags.prefix == b"II" else "B"
    for number, tile in enumerate(image.tile):
        codec, box, offset, arguments = tile
        if codec != "raw":  # libtiff does this itself
            return
        if arguments[0] not in ("R", "G", "B", "A") or set(tags[BITS_PER_SAMPLE]) != {16}:
            raise SampleError("a TIFF image with a plane per channel, and not RGB of 8 or 16 bits: interleave them")
        make = getattr(type(tile), "_make", tuple)  # a plain tuple before Pillow 11
        image.tile[number] = make((codec, box, offset, (f"{arguments[0]};16{order}", *arguments[1:])))


def _brand(data: bytes) -> bytes:
    """Return the brand of an ISO container that tells which images it has."""
    (box_bytes,) = struct.unpack_from(">I", data)
    brands = [data[at : at + 4] for at in (8, *range(16, min(box_bytes, 256), 4))]
    if brands[0] in CONTAINER_BRANDS:  # the compatible brands tell which
        brands = [brand for brand in brands if brand in AVIF_BRANDS + HEIC_BRANDS] or brands
    return brands[0]


def _heif_or_avif(data: bytes):
    brand = _brand(data)
    if brand in AVIF_BRANDS:
        if AvifImageFile is None:
            raise SampleError("an AVIF image, which Pillow reads from version 11.3: pip install -U pillow")
        return AvifImageFile
    if brand in HEIC_BRANDS + CONTAINER_BRANDS:
        try:
            from pillow_heif import HeifImageFile
        except ImportError as error:
            raise SampleError("a HEIC image, which requires pillow-heif: pip install pillow-heif") from error
        return HeifImageFile
    return None


def _looks_like_tga(data: bytes) -> bool:
    """Whether the header of a file without a signature could be that of a TGA, whose format has none.

    Its fields are those of the Truevision TGA File Format Specification 2.0, page 6.
    """
    if len(data) < 18:
        return False
    has_palette, kind, width, height, depth = struct.unpack_from("<xBB9xHHB", data)
    depths = {1: (8,), 2: (16, 24, 32), 3: (8, 16)}.get(kind & 7)  # 8 more if compressed
    is_known = kind in (1, 2, 3, 9, 10, 11) and has_palette == (kind & 7 == 1)
    return is_known and depth in depths and width > 0 and height > 0
