"""One image file, decoded and resized into a given `uint8` buffer; knows nothing of batches, labels or Keras.

OpenCV decodes what it decodes exactly as Pillow does, and faster: ordinary JPEGs and 8-bit PNGs; libspng decodes the
PNGs among them that are plain RGB in four fifths of OpenCV's time. Everything else, and every file that these refuse,
goes to Pillow, whose verdict is the one reported.
"""

import operator
import os
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

from keras_oocore.core.errors import OptionError, SampleError
from keras_oocore.core.stopwatch import stage
from keras_oocore.images.jpeg_header import JpegHeader, exif_orientation, parse_jpeg_header
from keras_oocore.images.resize import INTERPOLATIONS, centre_crop, fitted_box, resize_into

try:
    import cv2
except ImportError:  # the `fast` extra is not installed
    cv2 = None
try:
    from imagecodecs import spng_decode
except ImportError:
    spng_decode = None

RGB_COLOR_TYPE = 2  # in a PNG's header
PILLOW_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}

# Chosen by a file's first bytes, whatever its name. Pillow's own `Image.open` would try forty more formats, some of
# them programs to run (EPS), and read what follows the picture of a JPEG.
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


class ImageReader:
    """Reads image files of any size and kind as `uint8` arrays of one shape.

    The meaning of every option, and its default, is that of `keras.utils.image_dataset_from_directory`. Where the
    result differs on purpose: levels are rounded to `uint8` (half up), EXIF orientation is applied, and a JPEG far
    larger than `image_size` is decoded at the smallest scale (1/8, 1/4, 1/2) that still covers it. Of an animation, the
    first frame is read. Images of 16 bits keep their high byte; 32-bit ones, whose range nothing tells, are refused.

    A reader holds no file and no state: any number of threads may share it, and it pickles.

    Args:
        image_size: `(height, width)` of the result, or one integer for both.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`: 1, 3 or 4 channels. Alpha is dropped where there is no channel
            for it, and 255 where the file has none.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"area"`, `"lanczos3"`, `"lanczos5"`, `"gaussian"` or
            `"mitchellcubic"`, without antialiasing. Bilinear is the fast one.
        crop_to_aspect_ratio: keep the aspect ratio by cutting off what does not fit, evenly on both sides.
        pad_to_aspect_ratio: keep the aspect ratio by adding zeros, evenly on both sides.

    Raises:
        OptionError: when an option is not one of these.

    >>> import tempfile
    >>> reader = ImageReader(image_size=(2, 4), interpolation="nearest")
    >>> reader.shape, reader.dtype
    ((2, 4, 3), dtype('uint8'))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (60, 30), (10, 20, 30)).save(f"{folder}/blue.png")
    ...     out = np.empty(reader.shape, reader.dtype)
    ...     reader.read_into(f"{folder}/blue.png", out)
    >>> out[0, 0].tolist()
    [10, 20, 30]
    """

    def __init__(
        self,
        image_size: int | tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
    ):
        if color_mode not in tuple(PILLOW_MODES):
            raise OptionError(f"`color_mode` should be one of {_listed(PILLOW_MODES)}. Received: {color_mode=}")
        if interpolation not in INTERPOLATIONS:
            raise OptionError(f"`interpolation` should be one of {_listed(INTERPOLATIONS)}. Received: {interpolation=}")
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise OptionError(
                "Only one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` can be `True`. "
                f"Received: {crop_to_aspect_ratio=}, {pad_to_aspect_ratio=}"
            )
        self.image_size = _height_and_width(image_size)
        self.color_mode = color_mode
        self.interpolation = interpolation
        self.crop_to_aspect_ratio = bool(crop_to_aspect_ratio)
        self.pad_to_aspect_ratio = bool(pad_to_aspect_ratio)
        self.shape = (*self.image_size, len(PILLOW_MODES[color_mode]))
        self.options = {
            "image_size": self.image_size,
            "color_mode": color_mode,
            "interpolation": interpolation,
            "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
            "pad_to_aspect_ratio": self.pad_to_aspect_ratio,
        }
        self.dtype = np.dtype("uint8")

    def read_into(self, path: str | os.PathLike, out: np.ndarray) -> None:
        """Decode the file `path` and write it, resized, over `out`.

        Args:
            path: an image file; its first bytes tell its format, not its name.
            out: `(height, width, channels)` as in `shape`, `uint8` and C-contiguous, such as one row of a batch.

        Raises:
            SampleError: when it cannot be read; the message says why and leaves the name to the caller.
        """
        if out.shape != self.shape or out.dtype != self.dtype or not out.flags.c_contiguous:
            raise ValueError(  # OpenCV would leave such an `out` as it was
                f"`out` should be a C-contiguous uint8 array of shape {self.shape}. "
                f"Received: shape={out.shape}, dtype={out.dtype}"
            )
        data = read_bytes(path)
        with stage("decoding"):
            pixels, height, width = decode(data, self.color_mode, self._fitted_size)
        with stage("resizing"):
            self._fit(pixels, height, width, out)

    def _fit(self, pixels: np.ndarray, height: int, width: int, out: np.ndarray) -> None:
        """Write the pixels of an image that is `height` by `width` at full scale, resized, over `out`."""
        if self.crop_to_aspect_ratio:
            pixels = centre_crop(pixels, *self.image_size)
        if self.pad_to_aspect_ratio:
            top, left, fitted_height, fitted_width = fitted_box(height, width, *self.image_size)
            out[:] = 0
            out = out[top : top + fitted_height, left : left + fitted_width]
        if cv2 is not None and self.interpolation == "bilinear":
            cv2.resize(pixels, (out.shape[1], out.shape[0]), dst=out, interpolation=cv2.INTER_LINEAR)
        else:
            resize_into(pixels, out, self.interpolation)

    def _fitted_size(self, height: int, width: int) -> tuple[int, int]:
        """The size at which an image of `height` and `width` will be seen: its decoding need not be finer."""
        return fitted_box(height, width, *self.image_size)[2:] if self.pad_to_aspect_ratio else self.image_size


def _height_and_width(image_size: int | tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = image_size if np.iterable(image_size) else (image_size, image_size)
        if min(height, width) > 0 and not isinstance(height, bool) and not isinstance(width, bool):
            return operator.index(height), operator.index(width)
    except (TypeError, ValueError):
        pass
    raise OptionError(f"`image_size` should be (height, width), two positive integers. Received: {image_size=}")


def _listed(words) -> str:
    return ", ".join(f'"{word}"' for word in words)


def read_bytes(path: str | os.PathLike) -> bytes:
    """The whole content of a file that should hold an image."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError as error:
        raise SampleError("file not found") from error
    except PermissionError as error:
        raise SampleError("permission denied") from error
    except OSError as error:
        raise SampleError(f"cannot be read: {error.strerror or error}") from error
    if not data:
        raise SampleError("empty file")
    return data


def decode(data: bytes, color_mode: str, seen_at: Callable[[int, int], tuple[int, int]]) -> tuple[np.ndarray, int, int]:
    """An image file's pixels, upright.

    Args:
        data: the whole file.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`.
        seen_at: from an image's `(height, width)` to those it will be shown at; a JPEG may be decoded at a smaller
            scale that covers them.

    Returns:
        Pixels of shape `(height, width, channels)`, `uint8` (a view, at times with negative strides), then the
        height and width that the whole image has at full scale.

    Raises:
        SampleError: when it is not an image, or damaged, or too large to be one.
    """
    try:
        header = parse_jpeg_header(data)
        if header is not None:
            return _decode_jpeg(data, header, color_mode, seen_at)
        pixels = _decode_other(data, color_mode)
        return pixels, *pixels.shape[:2]
    except (SampleError, MemoryError):
        raise
    except Image.DecompressionBombError as error:  # of a GIF or WebP, which Pillow checks while it opens them
        raise SampleError(f"more than PIL.Image.MAX_IMAGE_PIXELS allows: {error}") from error
    except Exception as error:  # damaged files raise every kind of exception from within Pillow
        what = "truncated" if "truncated" in str(error).lower() else "not an image that can be decoded"
        raise SampleError(f"{what}: {str(error) or type(error).__name__}") from error


def _decode_jpeg(data: bytes, header: JpegHeader, color_mode: str, seen_at) -> tuple[np.ndarray, int, int]:
    _require_sane_size("JPEG", header.height, header.width)
    orientation = exif_orientation(data[header.exif][4:])  # behind its marker and length
    height, width = (header.height, header.width) if orientation < 5 else (header.width, header.height)
    seen_height, seen_width = seen_at(height, width)
    scale = min(height // seen_height, width // seen_width)
    denominator = next((choice for choice in (8, 4, 2) if scale >= choice), 1)
    pixels = _opencv_jpeg(data, header, color_mode, denominator)
    if pixels is None:
        # Pillow looks for a resolution in the EXIF block, and warns when that is damaged.
        image = JpegImageFile(BytesIO(data[: header.exif.start] + data[header.exif.stop :]))
        image.draft(PILLOW_MODES[color_mode], (header.width // denominator, header.height // denominator))
        pixels = _pillow_pixels(image, color_mode)
    return _upright(pixels, orientation), height, width


def _opencv_jpeg(data: bytes, header: JpegHeader, color_mode: str, denominator: int) -> np.ndarray | None:
    """The pixels, or `None` where Pillow should judge: no OpenCV, CMYK, or no end-of-image marker after the scan."""
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
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)  # the reduced flags know no RGB
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA) if color_mode == "rgba" else pixels


def _opencv_pixels(data: bytes, flag: int) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None


def _decode_other(data: bytes, color_mode: str) -> np.ndarray:
    """A file that is not an ordinary JPEG."""
    if color_mode == "rgb" and _is_plain_png(data):
        width, height, _, color_type = struct.unpack_from(">IIBB", data, 16)
        _require_sane_size("PNG", height, width)
        pixels = _plain_png(data, color_type)
        if pixels is not None:
            return pixels
    reader = next((PILLOW_READERS[prefix] for prefix in PILLOW_READERS if data.startswith(prefix)), None)
    if reader is None:
        raise SampleError(f"not an image that can be decoded: it starts with {data[:16]!r}")
    image = reader(BytesIO(data))
    _require_sane_size(image.format, image.height, image.width)
    image.draft(PILLOW_MODES[color_mode], None)  # the luma of odd JPEGs; nothing for other formats
    pixels = _pillow_pixels(image, color_mode)
    return _upright(pixels, exif_orientation(image.info.get("exif", b"")))  # a TIFF is turned by Pillow already


def _plain_png(data: bytes, color_type: int) -> np.ndarray | None:
    """The RGB pixels of a PNG that `_is_plain_png`, or `None` where Pillow should judge."""
    if spng_decode is not None and color_type == RGB_COLOR_TYPE:
        try:
            pixels = spng_decode(data)
        except Exception:  # imagecodecs has an exception class a codec
            return None
        return pixels[:, :, :3]  # a transparent colour comes as a fourth channel
    return None if cv2 is None else _opencv_pixels(data, cv2.IMREAD_COLOR_RGB)


def _is_plain_png(data: bytes) -> bool:
    """Whether a PNG is whole, of 8 bits without a palette, and holds nothing that decoders differ on."""
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
        raise SampleError(f"32-bit pixels (Pillow's mode {image.mode!r}) of unknown range: save it with 8 or 16 bits")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # straight to RGB, Pillow warns
    if image.mode != PILLOW_MODES[color_mode]:
        image = image.convert(PILLOW_MODES[color_mode])
    return np.asarray(image)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """`(height, width, channels)`, turned and mirrored as EXIF orientation 1 to 8 tells; a view."""
    pixels = np.atleast_3d(pixels)
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _require_sane_size(kind: str, height: int, width: int) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and height * width > limit:
        raise SampleError(
            f"a {kind} of {width}x{height} pixels, more than PIL.Image.MAX_IMAGE_PIXELS = {limit}: "
            "could be a decompression bomb"
        )
