"""Decodes the content of an image file into upright `uint8` pixels.

OpenCV decodes the files that it decodes exactly as Pillow does, only faster: ordinary JPEGs and 8-bit PNGs. libspng
decodes plain RGB PNGs in four fifths of OpenCV's time. Pillow decodes all other files and all files that these
decoders reject, and its error is the one that is reported.
"""

import struct
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from keras_oocore.core.errors import SampleError
from keras_oocore.images.jpeg_header import JpegHeader, exif_orientation, parse_jpeg_header

try:
    import cv2
except ImportError:  # the `fast` extra is not installed
    cv2 = None
try:
    from imagecodecs import spng_decode
except ImportError:
    spng_decode = None

RGB_COLOR_TYPE = 2  # in the header of a PNG
PILLOW_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}

# The first bytes of a file determine its format, not its name. Pillow's `Image.open` would try forty more formats, some
# of which run programs (EPS), and would also read what follows the image in a JPEG.
PILLOW_READERS = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"GIF8": GifImageFile,
    b"BM": BmpImageFile,
    b"RIFF": WebPImageFile,
    b"II*\0": TiffImageFile,
    b"MM\0*": TiffImageFile,
    b"II+\0": TiffImageFile,
    b"MM\0+": TiffImageFile,
}


def decode(
    data: bytes, color_mode: str, target_size: Callable[[int, int], tuple[int, int]]
) -> tuple[np.ndarray, int, int]:
    """Decode an image file and apply its EXIF orientation.

    Args:
        data: Content of the file.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`.
        target_size: Function from the `(height, width)` of the image to the size it will be resized to. A JPEG may be
            decoded at a smaller scale that is not smaller than this size.

    Returns:
        `(pixels, height, width)`: `uint8` pixels of shape `(height, width, channels)`, possibly a view with negative
        strides, and the height and width of the image at full scale.

    Raises:
        SampleError: If the file is not an image, is damaged, or has too many pixels.
    """
    try:
        header = parse_jpeg_header(data)
        if header is not None:
            return _decode_jpeg(data, header, color_mode, target_size)
        pixels = _decode_other(data, color_mode)
        return pixels, *pixels.shape[:2]
    except (SampleError, MemoryError):
        raise
    except Image.DecompressionBombError as error:  # Pillow checks the size of GIF and WebP files when it opens them
        raise SampleError(f"more than PIL.Image.MAX_IMAGE_PIXELS allows: {error}") from error
    except Exception as error:  # damaged files raise every kind of exception from within Pillow
        what = "truncated" if "truncated" in str(error).lower() else "not an image that can be decoded"
        raise SampleError(f"{what}: {str(error) or type(error).__name__}") from error


def _decode_jpeg(data: bytes, header: JpegHeader, color_mode: str, target_size) -> tuple[np.ndarray, int, int]:
    _require_allowed_size("JPEG", header.height, header.width)
    orientation = exif_orientation(data[header.exif][4:])  # after the marker and the length
    height, width = (header.height, header.width) if orientation < 5 else (header.width, header.height)
    target_height, target_width = target_size(height, width)
    scale = min(height // target_height, width // target_width)
    denominator = next((choice for choice in (8, 4, 2) if scale >= choice), 1)
    pixels = _opencv_jpeg(data, header, color_mode, denominator)
    if pixels is None:
        # Pillow reads the resolution from the EXIF block, and warns if the block is damaged.
        image = JpegImageFile(BytesIO(data[: header.exif.start] + data[header.exif.stop :]))
        image.draft(PILLOW_MODES[color_mode], (header.width // denominator, header.height // denominator))
        pixels = _pillow_pixels(image, color_mode)
    return _upright(pixels, orientation), height, width


def _opencv_jpeg(data: bytes, header: JpegHeader, color_mode: str, denominator: int) -> np.ndarray | None:
    """The pixels, or `None` to use Pillow: without OpenCV, for CMYK, or if there is no end-of-image marker."""
    if cv2 is None or header.num_channels not in (1, 3) or data.rfind(b"\xff\xd9") < header.scan_start:
        return None
    if color_mode == "grayscale":  # the luma channel as it is stored
        flag = cv2.IMREAD_GRAYSCALE if denominator == 1 else getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{denominator}")
    else:
        flag = cv2.IMREAD_COLOR_RGB if denominator == 1 else getattr(cv2, f"IMREAD_REDUCED_COLOR_{denominator}")
    pixels = _opencv_pixels(data, flag)
    if pixels is None or color_mode == "grayscale":
        return pixels
    if denominator > 1:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)  # there are no reduced flags for RGB
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA) if color_mode == "rgba" else pixels


def _opencv_pixels(data: bytes, flag: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None


def _decode_other(data: bytes, color_mode: str) -> np.ndarray:
    """Decode a file that is not an ordinary JPEG."""
    if color_mode == "rgb" and _is_plain_png(data):
        width, height, _, color_type = struct.unpack_from(">IIBB", data, 16)
        _require_allowed_size("PNG", height, width)
        pixels = _plain_png(data, color_type)
        if pixels is not None:
            return pixels
    reader = next((PILLOW_READERS[prefix] for prefix in PILLOW_READERS if data.startswith(prefix)), None)
    if reader is None:
        raise SampleError(f"not an image that can be decoded: it starts with {data[:16]!r}")
    image = reader(BytesIO(data))
    _require_allowed_size(image.format, image.height, image.width)
    image.draft(PILLOW_MODES[color_mode], None)  # reads the luma of unusual JPEGs; does nothing for other formats
    pixels = _pillow_pixels(image, color_mode)
    return _upright(pixels, exif_orientation(image.info.get("exif", b"")))  # Pillow rotates TIFF files itself


def _plain_png(data: bytes, color_type: int) -> np.ndarray | None:
    """The RGB pixels of a plain PNG, or `None` to use Pillow."""
    if spng_decode is not None and color_type == RGB_COLOR_TYPE:
        try:
            pixels = spng_decode(data)
        except Exception:  # imagecodecs has one exception class per codec
            return None
        return pixels[:, :, :3]  # a transparent colour adds a fourth channel
    return None if cv2 is None else _opencv_pixels(data, cv2.IMREAD_COLOR_RGB)


def _is_plain_png(data: bytes) -> bool:
    """Whether a PNG is complete, has 8 bits and no palette, and contains nothing that decoders handle differently."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or data[24:25] != b"\x08" or data[25:26] not in b"\x00\x02\x04\x06":
        return False
    position, name = 8, b""
    while name != b"IEND" and position + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        if name in (b"eXIf", b"acTL"):  # orientation, animation
            return False
        position += 12 + length
    return name == b"IEND" and position <= len(data)


def _pillow_pixels(image: Image.Image, color_mode: str) -> np.ndarray:
    image.load()
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):  # "I" before Pillow 11
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))  # Pillow would clip, not scale
    elif image.mode in ("I", "F"):
        raise SampleError(
            f"32-bit pixels (Pillow mode {image.mode!r}) have no defined range; save the image with 8 or 16 bits"
        )
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns if it is converted directly to RGB
    if image.mode != PILLOW_MODES[color_mode]:
        image = image.convert(PILLOW_MODES[color_mode])
    return np.asarray(image)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Rotate and mirror pixels of shape `(height, width, channels)` according to EXIF orientation 1 to 8, as a view."""
    pixels = np.atleast_3d(pixels)
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _require_allowed_size(kind: str, height: int, width: int) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and height * width > limit:
        raise SampleError(
            f"a {kind} of {width}x{height} pixels, more than PIL.Image.MAX_IMAGE_PIXELS = {limit}, could be a "
            "decompression bomb"
        )
