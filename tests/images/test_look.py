"""How an image looks: contrast, brightness and sharpness."""

import numpy as np
import pytest
from pictures import encoded, picture
from PIL import Image, ImageFilter

from keras_oocore.images.look import grey_levels, look_of, reduced


def look(image):
    return look_of(reduced(grey_levels(np.asarray(image))))


def test_spread_span_and_bright_are_those_of_numpy():
    levels = np.random.default_rng(0).integers(10, 240, (60, 80), np.uint8)

    found = look_of(levels)

    assert found.spread == pytest.approx(levels.std())
    assert found.span == int(levels.max()) - int(levels.min())
    assert (levels <= found.bright).mean() >= 0.95 > (levels < found.bright).mean()


def test_a_few_lamps_do_not_make_a_night_photo_bright():
    night = np.full((100, 100), 8, np.uint8)
    night[:10, :20] = 255

    assert look_of(night).bright == 8


@pytest.mark.parametrize("seed", range(4))
def test_blurred_pictures_are_not_sharp(seed):
    sharp = look(picture(seed, 256, 320)).sharpness
    blurred = look(picture(seed, 256, 320).filter(ImageFilter.GaussianBlur(8))).sharpness

    assert sharp > 0.6
    assert blurred < 0.4


def test_encoding_does_not_change_sharpness_much():
    assert look(encoded(picture(0), 50)).sharpness == pytest.approx(look(picture(0)).sharpness, rel=0.25)


@pytest.mark.parametrize("image", [Image.new("L", (200, 200), 7), picture(0, 30, 200)], ids=["flat", "small"])
def test_sharpness_of_flat_and_small_images_is_not_known(image):
    assert np.isnan(look(image).sharpness)


@pytest.mark.parametrize(("mode", "shape"), [("L", (6, 8)), ("RGB", (6, 8, 3)), ("RGBA", (6, 8, 4))])
def test_grey_levels_of_any_number_of_channels(mode, shape):
    image = picture(0).resize((8, 6)).convert(mode)
    pixels = np.asarray(image)

    assert pixels.shape == shape
    assert grey_levels(pixels).tolist() == np.asarray(image.convert("L")).tolist()
    assert grey_levels(pixels[::-1, ::-1]).shape == (6, 8)  # negative strides of a rotated image


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((100, 3000), (100, 512)), ((256, 512), (128, 256)), ((128, 128), (128, 128)), ((4000, 200), (512, 128))],
)
def test_large_images_are_reduced(shape, expected):
    assert reduced(np.zeros(shape, np.uint8)).shape == expected
