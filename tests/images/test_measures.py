"""The measures of images, which are stored beside cached rows."""

import numpy as np
import pytest

from keras_oocore.images.look import grey_levels, look_of, reduced
from keras_oocore.images.measures import MEASURES_SPEC, measures_of
from keras_oocore.images.picture_hash import grey_square, signatures

SIZES = [(1, 1), (7, 5), (28, 28), (100, 75), (129, 191), (192, 300), (225, 383), (40, 1000), (130, 1500), (260, 1500)]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_measures_do_not_depend_on_the_other_images(size, channels):
    images = np.random.default_rng(0).integers(0, 256, (5, *size, channels), np.uint8)
    images[3] = 9

    together = measures_of(images)

    assert (together.shape[1:], together.dtype) == MEASURES_SPEC
    assert together.tobytes() == np.concatenate([measures_of(image[None]) for image in images]).tobytes()


def test_measures_are_the_look_and_the_signature():
    images = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), np.uint8)

    for image, measures in zip(images, measures_of(images)):
        grey = reduced(grey_levels(image))
        assert grey.shape == (112, 112)
        assert measures[:4].tolist() == np.float16(look_of(grey)).tolist()
        assert measures[4:].tolist() == signatures(grey_square(grey)[None])[0].tolist()


def test_no_images():
    assert measures_of(np.empty((0, 8, 8, 3), np.uint8)).shape == (0, *MEASURES_SPEC[0])
