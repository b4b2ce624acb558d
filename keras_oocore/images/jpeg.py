"""Decodes the pixels of an ordinary JPEG with the fastest decoder, and says whether it may be damaged."""

from io import BytesIO

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from keras_oocore.images import codecs
from keras_oocore.images.jpeg_header import JpegHeader, cut_at_stray_marker, parse_jpeg_header, without_metadata
from keras_oocore.images.pillow import PILLOW_MODES, pillow_pixels

COLORSPACES = {"grayscale": "GRAY", "rgb": "RGB", "rgba": "RGBA"}  # of simplejpeg
TINY = 8  # pixels. Up to here, two of the scales M/8 can have the same size, and simplejpeg takes the smaller one.

# Warnings of libjpeg-turbo, jerror.h. After them, all decoders give the same pixels.
DAMAGE = (
    "Corrupt JPEG data",
    "Premature end of JPEG file",
    "Inconsistent progression sequence",
    "Invalid SOS parameters",
)
HARMLESS = ("Warning: unknown JFIF revision", "Unknown Adobe color transform")


def jpeg_pixels(data: bytes, header: JpegHeader, color_mode: str, denominator: int) -> tuple[np.ndarray, str | None]:
    """Decode an ordinary JPEG at scale 1 / `denominator`.

    All decoders use the same library and give the same pixels. simplejpeg also passes on its warnings. OpenCV and
    Pillow decode a damaged file as well as they can and do not say so.

    Args:
        data: Content of the file.
        header: Its header.
        color_mode: `"grayscale"` (the luma channel as it is stored), `"rgb"` or `"rgba"`.
        denominator: 1, 2, 4 or 8.

    Returns:
        The pixels as stored, `uint8` of shape `(height, width)` or `(height, width, channels)`, and why they may be
        wrong, or `None`.
    """
    is_cmyk, doubt = header.num_channels not in (1, 3), None
    has_end = data.rfind(b"\xff\xd9") >= header.scan_start
    if not has_end:
        pixels = _by_pillow(data, header, color_mode, denominator)  # raises, unless it is filled up, such as with zeros
    if codecs.simplejpeg is not None:
        colorspace, scale = ("CMYK", 8) if is_cmyk else (COLORSPACES[color_mode], denominator)
        fast_pixels, doubt = _by_simplejpeg(data, header, colorspace, scale)
        if has_end and fast_pixels is not None and not is_cmyk:  # Pillow converts CMYK differently
            return fast_pixels, doubt
    if not has_end:
        return pixels, doubt
    pixels = None if codecs.cv2 is None or is_cmyk else _by_opencv(data, color_mode, denominator)
    return _by_pillow(data, header, color_mode, denominator) if pixels is None else pixels, doubt


def _by_simplejpeg(
    data: bytes, header: JpegHeader, colorspace: str, denominator: int
) -> tuple[np.ndarray | None, str | None]:
    """The pixels, or `None` to use another decoder, and the first warning of the decoder."""
    size = -(-header.height // denominator), -(-header.width // denominator)
    is_tiny = denominator > 1 and max(header.height, header.width) <= TINY
    scale = {"min_height": size[0], "min_width": size[1], "min_factor": denominator}
    options = {"colorspace": colorspace, **({} if denominator == 1 or is_tiny else scale)}
    doubt = None
    try:
        pixels = codecs.simplejpeg.decode_jpeg(data, **options, strict=True)
    except ValueError as error:
        try:
            pixels = codecs.simplejpeg.decode_jpeg(data, **options, strict=False)
        except ValueError:  # an unusual or a broken file. The other decoders decide.
            return None, None
        doubt = str(error)
        if not doubt.startswith(DAMAGE + HARMLESS):  # an error, after which the pixels are not those of OpenCV
            return None, doubt
    doubt = None if doubt and doubt.startswith(HARMLESS) else doubt
    return (None if is_tiny or pixels.shape[:2] != size else pixels), doubt


def _by_opencv(data: bytes, color_mode: str, denominator: int) -> np.ndarray | None:
    cv2 = codecs.cv2
    if color_mode == "grayscale":
        flag = cv2.IMREAD_GRAYSCALE if denominator == 1 else getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{denominator}")
    else:
        flag = cv2.IMREAD_COLOR_RGB if denominator == 1 else getattr(cv2, f"IMREAD_REDUCED_COLOR_{denominator}")
    pixels = opencv_pixels(data, flag)
    if pixels is None or color_mode == "grayscale":
        return pixels
    if denominator > 1:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)  # there are no reduced flags for RGB
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA) if color_mode == "rgba" else pixels


def opencv_pixels(data: bytes, flag: int) -> np.ndarray | None:
    """The pixels as OpenCV decodes them, without applying an orientation, or `None` if it cannot."""
    try:
        return codecs.cv2.imdecode(np.frombuffer(data, np.uint8), flag | codecs.cv2.IMREAD_IGNORE_ORIENTATION)
    except codecs.cv2.error:
        return None


def _by_pillow(data: bytes, header: JpegHeader, color_mode: str, denominator: int) -> np.ndarray:
    data = without_metadata(data)  # Pillow warns about damaged EXIF blocks
    try:
        return _drafted(data, header, color_mode, denominator)
    except OSError as error:
        # Pillow also fails because of what follows the last row. The other decoders have stopped by then.
        header = parse_jpeg_header(data)
        cut = None if header.is_progressive else cut_at_stray_marker(data, header.scan_start)
        if "broken data stream" not in str(error) or cut is None:
            raise
        return _drafted(cut, header, color_mode, denominator)


def _drafted(data: bytes, header: JpegHeader, color_mode: str, denominator: int) -> np.ndarray:
    image = JpegImageFile(BytesIO(data))
    image.draft(PILLOW_MODES[color_mode], (header.width // denominator, header.height // denominator))
    return pillow_pixels(image, color_mode)
