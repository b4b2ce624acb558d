"""Decodes a mask: an image file whose pixels are numbers of classes, which must stay as they are."""

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from keras_oocore.core.errors import SampleError
from keras_oocore.images.damage import explained_damage
from keras_oocore.images.formats import BITS_PER_SAMPLE, open_image
from keras_oocore.images.orientation import stated_orientation, upright
from keras_oocore.images.pillow import require_allowed_size
from keras_oocore.images.png_chunks import parse_png

FULL = 255  # Pillow stretches gray levels of 2 or 4 bits, and of a PGM, to this range
INTEGER_MODES = ("1", "L", "P", "I")  # of Pillow. Those of 16 bits begin with "I;16"
LOSSY_FORMATS = ("JPEG", "JPEG2000")
LOSSY = (
    "a mask as JPEG, which changes values, most of all next to edges. Make the mask again as PNG. If it has two "
    "classes: PIL.Image.fromarray((numpy.asarray(PIL.Image.open(path).convert('L')) > 127).astype('uint8'))"
    ".save('NAME.png')"
)
ONE_CHANNEL = "Its channels are equal. Save one of them: PIL.Image.open(path).getchannel(0).save('NAME.png')"
COLORS = (
    "Give each color a number: mask[(pixels == (128, 0, 0)).all(axis=-1)] = 1 for each class, in an array of zeros, "
    "and PIL.Image.fromarray(mask).save('NAME.png')"
)


def mask_values(data: bytes) -> np.ndarray:
    """Decode a mask and apply its orientation.

    A palette gives its indices, an image of 1 bit 0 and 1, and a gray image its levels, as the file has them: an image
    of 2 bits has levels from 0 to 3.

    Args:
        data: Content of an image file.

    Returns:
        Array of integers of shape `(height, width, 1)`, possibly a view with negative strides.

    Raises:
        SampleError: If the file is not such an image.
    """
    with explained_damage():
        png = parse_png(data)
        image = open_image(data if png is None else png.data)
        require_allowed_size(image.format, image.height, image.width)
        if image.format in LOSSY_FORMATS:
            raise SampleError(LOSSY)
        values = _values(image)
        info = image.info if png is None else png.info
    # Pillow applies the orientation of TIFF files itself.
    return upright(values, 1 if image.format == "TIFF" else stated_orientation(info))


def _values(image: ImageFile) -> np.ndarray:
    """Return the pixels of an opened image, of shape `(height, width)`.

    Raises:
        SampleError: If a pixel is not one integer.
    """
    num_levels = _num_levels(image)
    image.load()
    if image.mode not in INTEGER_MODES and not image.mode.startswith("I;16"):
        raise SampleError(_why_no_classes(image))
    values = np.asarray(image)
    if image.mode == "1":
        return values.astype(np.uint8)
    if image.mode != "L" or num_levels == FULL + 1:
        return values
    return ((values.astype(np.uint16) * (num_levels - 1) * 2 + FULL) // (2 * FULL)).astype(np.uint8)


def _num_levels(image: ImageFile) -> int:
    """Return the number of levels that a gray image has in its file."""
    if image.mode != "L":
        return FULL + 1
    arguments = image.tile[0][3] if image.tile else ""
    if image.format == "PPM" and isinstance(arguments, tuple) and isinstance(arguments[-1], int):
        return min(arguments[-1] or FULL, FULL) + 1  # the largest value, which the file states
    if image.format == "TIFF":
        return 2 ** min(8, *image.tag_v2.get(BITS_PER_SAMPLE, (8,)))
    layout = arguments if isinstance(arguments, str) else arguments[0] if arguments else ""
    return {"L;2": 4, "L;4": 16}.get(layout, FULL + 1)


def _why_no_classes(image: Image.Image) -> str:
    if image.mode == "F":
        return "a mask of floats, whose values are not numbers of classes. Save it as an array of uint8"
    channels = np.atleast_3d(np.asarray(image))
    colors = channels[..., :-1] if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") else channels
    are_equal = image.mode != "PA" and bool((colors == colors[..., :1]).all())
    return (
        f"a mask in color or with transparency (mode {image.mode!r} of Pillow), where one number of a class per pixel "
        f"is expected. {ONE_CHANNEL if are_equal else COLORS}"
    )
