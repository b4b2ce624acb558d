"""Reads one image file, decodes it, and resizes it into a given buffer."""

import operator
import os
from typing import Any, Literal, get_args

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.errors import MissingExtraError, OptionError, SampleError
from keras_oocore.core.stopwatch import stage
from keras_oocore.core.warn import warn_user
from keras_oocore.images import codecs
from keras_oocore.images.decode import decode
from keras_oocore.images.pillow import PILLOW_MODES, ColorMode
from keras_oocore.images.resize import INTERPOLATIONS, Interpolation, centre_crop, fitted_box, resize_into

# Part of the fingerprint of caches. 2: orientation in XMP and in text chunks of a PNG; damaged metadata is ignored.
# 3: TIFF images of 12 bits, and those with planes of 16 bits.
DECODING = 3
Dtype = Literal["uint8", "uint16", "float32"]
DTYPES = get_args(Dtype)
EIGHT_TO_16_BITS = 257  # 255 * 257 = 65535


class ImageReader:
    """Reads image files of any size and format as arrays of one shape and dtype.

    All options and defaults are those of `keras.utils.image_dataset_from_directory`. The results differ as follows:
    pixels are rounded to `uint8` (half up), the orientation in EXIF or XMP is applied, and a JPEG that is much larger
    than `image_size` is decoded at the smallest scale (1/8, 1/4 or 1/2) that is not smaller than `image_size`. Only
    the first frame of an animation is read. 32-bit images are an error, because their range is not defined.

    A reader has no state. It can be shared between threads and pickled.

    Args:
        image_size: Size to resize images to, as `(height, width)` or one integer for both. Defaults to `(256, 256)`.
        color_mode: One of `"grayscale"`, `"rgb"` or `"rgba"`. Images will have 1, 3 or 4 channels. `"rgba"` sets the
            alpha channel of images without alpha to 255. Defaults to `"rgb"`.
        interpolation: Interpolation method, without antialiasing: `"bilinear"`, `"nearest"`, `"bicubic"`, `"area"`,
            `"lanczos3"`, `"lanczos5"`, `"gaussian"` or `"mitchellcubic"`. `"bilinear"` is the fastest. Defaults to
            `"bilinear"`.
        crop_to_aspect_ratio: If `True`, resize the images without aspect ratio distortion, by cropping them to the
            largest centered window with the target aspect ratio. Defaults to `False`.
        pad_to_aspect_ratio: If `True`, resize the images without aspect ratio distortion, by padding them with zeros
            evenly on both sides. Defaults to `False`.
        strict: Whether a JPEG that its decoder warns about is an error. If `False`, such a file is decoded as well as
            possible. Requires simplejpeg (extra `fast`). Defaults to `False`.
        dtype: `"uint8"`: values from 0 to 255. Images of 16 bits per channel keep their upper 8, with a warning.
            `"uint16"`: values from 0 to 65535, which are 257 times those of images of 8 bits. `"float32"`: values
            from 0 to 255, with fractions (`value / 257`) for images of 16 bits. Defaults to `"uint8"`.

    Raises:
        OptionError: If an option does not have one of these values.
        MissingExtraError: If `strict=True` and simplejpeg is not installed.

    >>> import tempfile
    >>> from PIL import Image
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
        color_mode: ColorMode = "rgb",
        interpolation: Interpolation = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        strict: bool = False,
        dtype: Dtype = "uint8",
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
        if dtype not in DTYPES:
            raise OptionError(f"`dtype` should be one of {_listed(DTYPES)}. Received: {dtype=}")
        if strict and codecs.simplejpeg is None:
            raise MissingExtraError(
                '`strict=True` requires simplejpeg, which reports damaged JPEGs: pip install "keras_oocore[fast]"'
            )
        self.image_size: tuple[int, int] = _height_and_width(image_size)
        self.color_mode = color_mode
        self.interpolation = interpolation
        self.crop_to_aspect_ratio: bool = bool(crop_to_aspect_ratio)
        self.pad_to_aspect_ratio: bool = bool(pad_to_aspect_ratio)
        self.strict: bool = bool(strict)
        self.shape: tuple[int, int, int] = (*self.image_size, len(PILLOW_MODES[color_mode]))
        self.options: dict[str, Any] = {
            "image_size": self.image_size,
            "color_mode": color_mode,
            "interpolation": interpolation,
            "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
            "pad_to_aspect_ratio": self.pad_to_aspect_ratio,
            "strict": self.strict,
            "decoding": DECODING,
        }
        self.dtype: np.dtype = np.dtype(dtype)
        self._first_narrowed: dict[str, object] = {}

    def with_dtype(self, dtype: Dtype) -> "ImageReader":
        """Return a reader with the same options and another dtype."""
        options = {name: value for name, value in self.options.items() if name != "decoding"}
        return ImageReader(**options, dtype=dtype)

    def read_into(self, path: str | os.PathLike[str], out: np.ndarray) -> str | None:
        """Decode an image file and write the resized image into `out`.

        Args:
            path: Path of an image file. Its first bytes determine the format, not its name.
            out: C-contiguous array of shape `(height, width, channels)` and of the dtype, such as one row of a batch.

        Returns:
            Why the pixels may be wrong: the warning of the decoder of a damaged JPEG. `None` for a sound file, and for
            every file without simplejpeg.

        Raises:
            SampleError: If the file cannot be read. The message gives the reason; the caller adds the filename.
        """
        return self.read_sized(path, out)[0]

    def read_sized(self, path: str | os.PathLike[str], out: np.ndarray) -> tuple[str | None, int, int]:
        """Read an image as `read_into` does. Returns the warning, and the height and width of the image in the file.

        The height and width are those of the upright image at full scale.
        """
        if out.shape != self.shape or out.dtype != self.dtype or not out.flags.c_contiguous:
            raise ValueError(  # OpenCV would not write into such an array
                f"`out` should be a C-contiguous {self.dtype} array of shape {self.shape}. "
                f"Received: shape={out.shape}, dtype={out.dtype}"
            )
        data = read_bytes(path)
        with stage("decoding"):
            image = decode(data, self.color_mode, self._target_size, wide=self.dtype != np.uint8)
        if image.doubt and self.strict:
            raise SampleError(f"damaged: {image.doubt}")
        if image.narrowed:
            self._warn_of_narrowed(path, image.narrowed)
        with stage("resizing"):
            self._fit(image.pixels, image.height, image.width, out)
        return image.doubt, image.height, image.width

    def _fit(self, pixels: np.ndarray, height: int, width: int, out: np.ndarray) -> None:
        """Resize `pixels` into `out`. `height` and `width` are the size of the image at full scale."""
        if self.crop_to_aspect_ratio:
            pixels = centre_crop(pixels, *self.image_size)
        if self.pad_to_aspect_ratio:
            top, left, fitted_height, fitted_width = fitted_box(height, width, *self.image_size)
            out[:] = 0
            out = out[top : top + fitted_height, left : left + fitted_width]
        if pixels.dtype == out.dtype:
            self._resize(pixels, out)
            return
        resized = np.empty(out.shape, pixels.dtype)
        self._resize(pixels, resized)
        if out.dtype == np.uint16:
            np.multiply(resized, EIGHT_TO_16_BITS, out=out, dtype=np.uint16)
        elif resized.dtype == np.uint16:
            np.divide(resized, EIGHT_TO_16_BITS, out=out, dtype=np.float32)
        else:
            out[:] = resized

    def _resize(self, pixels: np.ndarray, out: np.ndarray) -> None:
        if pixels.shape == out.shape or codecs.cv2 is None or self.interpolation != "bilinear":
            resize_into(pixels, out, self.interpolation)
        else:
            size = (out.shape[1], out.shape[0])
            codecs.cv2.resize(pixels, size, dst=out, interpolation=codecs.cv2.INTER_LINEAR)

    def _warn_of_narrowed(self, path: str | os.PathLike[str], remedy: str) -> None:
        """Warn once that bits are dropped."""
        token = object()
        if self._first_narrowed.setdefault(remedy, token) is token:  # so that one of several threads warns
            warn_user(
                f"{os.fspath(path)!r} has more than 8 bits per channel, of which the upper 8 are kept. Other such "
                f"files are not named. To keep all bits, {remedy}.",
                kind=remedy,
            )

    def _target_size(self, height: int, width: int) -> tuple[int, int]:
        """The size that an image of `height` and `width` will be resized to, without padding."""
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


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of an image file.

    Raises:
        SampleError: If the file cannot be read or is empty.
    """
    try:
        with storage.open_file(path, buffered=False) as file:
            data = file.read()
    except FileNotFoundError as error:
        raise SampleError.unproven("file not found") from error
    except PermissionError as error:
        raise SampleError.unproven("permission denied") from error
    except OSError as error:
        raise SampleError.unproven(f"cannot be read: {error.strerror or error}") from error
    if not data:
        raise SampleError("empty file")
    return data
