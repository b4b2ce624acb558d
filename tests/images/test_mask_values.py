"""Masks of all formats: their values are those of the file."""

import io

import numpy as np
import pytest
from mask_files import gray_png
from PIL import Image

from keras_oocore.core.errors import SampleError
from keras_oocore.images.mask_values import mask_values

VALUES = np.arange(24, dtype="uint8").reshape(3, 8)


def encoded(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def with_palette(values):
    image = Image.fromarray(values)
    image.putpalette([level for number in range(256) for level in (255 - number, number, 7)])
    return image


FILES = {
    "gray PNG": encoded(Image.fromarray(VALUES)),
    "palette PNG": encoded(with_palette(VALUES)),
    "palette PNG with transparency": encoded(with_palette(VALUES), transparency=3),
    "PNG of 16 bits": encoded(Image.fromarray(VALUES.astype("uint16"))),
    "GIF": encoded(with_palette(VALUES), "GIF"),
    "gray BMP": encoded(Image.fromarray(VALUES), "BMP"),
    "palette BMP": encoded(with_palette(VALUES), "BMP"),
    "TIFF": encoded(Image.fromarray(VALUES), "TIFF"),
    "palette TIFF": encoded(with_palette(VALUES), "TIFF", compression="tiff_deflate"),
    "TIFF of 16 bits": encoded(Image.fromarray(VALUES.astype("uint16")), "TIFF"),
    "TIFF of 32 bits": encoded(Image.fromarray(VALUES.astype("int32")), "TIFF"),
    "PGM": encoded(Image.fromarray(VALUES), "PPM"),
    "PGM whose largest value is 30": b"P5\n8 3\n30\n" + VALUES.tobytes(),
    "TGA": encoded(Image.fromarray(VALUES), "TGA"),
}


@pytest.mark.parametrize("name", FILES)
def test_values_are_those_of_the_file(name):
    values = mask_values(FILES[name])

    assert values.dtype.kind in "iu"
    np.testing.assert_array_equal(values[..., 0], VALUES)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_gray_png_of_few_bits_has_small_values(bits):
    values = VALUES % 2**bits

    np.testing.assert_array_equal(mask_values(gray_png(values, bits))[..., 0], values)


def test_a_mask_of_one_bit_has_the_values_0_and_1():
    one_bit = Image.fromarray((VALUES % 2 * 255).astype("uint8")).convert("1")
    for form in ("PNG", "TIFF", "BMP"):
        np.testing.assert_array_equal(mask_values(encoded(one_bit, form))[..., 0], VALUES % 2)


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the first row is on the right
    values = mask_values(encoded(Image.fromarray(VALUES), exif=exif.tobytes()))

    np.testing.assert_array_equal(values[..., 0], np.rot90(VALUES, -1))


@pytest.mark.parametrize(
    ("image", "form", "message"),
    [
        (Image.new("RGB", (4, 3), (128, 0, 0)), "PNG", r"in color .*'RGB'.*Give each color a number"),
        (Image.new("RGB", (4, 3), (9, 9, 9)), "PNG", r"Its channels are equal.*getchannel\(0\)"),
        (Image.new("RGBA", (4, 3), (9, 9, 9, 30)), "PNG", r"'RGBA'.*Its channels are equal"),
        (Image.new("LA", (4, 3), (9, 30)), "PNG", r"'LA'.*Its channels are equal"),
        (Image.new("L", (4, 3)), "JPEG", "a mask as JPEG, which changes values.*Make the mask again as PNG"),
        (Image.new("F", (4, 3)), "TIFF", "a mask of floats"),
    ],
)
def test_files_without_one_class_per_pixel_are_refused(image, form, message):
    with pytest.raises(SampleError, match=message):
        mask_values(encoded(image, form))


def test_damaged_files_are_refused():
    for data, message in ((FILES["gray PNG"][:50], "truncated"), (b"no image", "not an image"), (b"", "not an image")):
        with pytest.raises(SampleError, match=message):
            mask_values(data)
