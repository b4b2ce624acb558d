"""Interpolation, cropping and padding, compared with TensorFlow."""

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from image_files import noise
from needs_tensorflow import needs_tensorflow

from keras_oocore.images.resize import INTERPOLATIONS, centre_crop, fitted_box, resize_into

FIVE_LEVELS = [0, 100, 200, 50, 250]


RESIZED_TO_3_AND_8 = {  # computed with tf.image.resize of TensorFlow 2.21, and rounded half up
    "bilinear": ([33, 200, 183], [0, 44, 106, 169, 153, 59, 163, 250]),
    "nearest": ([0, 200, 250], [0, 0, 100, 200, 200, 50, 250, 250]),
    "bicubic": ([24, 200, 190], [0, 34, 107, 187, 160, 50, 163, 255]),
    "area": ([40, 150, 170], [0, 40, 100, 180, 170, 50, 170, 250]),
    "lanczos3": ([18, 200, 184], [0, 26, 111, 205, 150, 48, 159, 255]),
    "lanczos5": ([9, 200, 182], [0, 15, 115, 220, 139, 47, 158, 255]),
    "gaussian": ([34, 173, 182], [6, 44, 105, 165, 151, 87, 162, 238]),
    "mitchellcubic": ([29, 186, 184], [0, 39, 107, 177, 154, 69, 162, 253]),
}


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_interpolation_is_pinned(interpolation):
    for axis in (0, 1):
        for expected in RESIZED_TO_3_AND_8[interpolation]:
            pixels = np.array(FIVE_LEVELS, "uint8").reshape([(5, 1, 1), (1, 5, 1)][axis])
            out = np.empty([(len(expected), 1, 1), (1, len(expected), 1)][axis], "uint8")
            resize_into(pixels, out, interpolation)
            assert out.ravel().tolist() == expected


SIZES = [
    (1, 1, 7, 5),
    (2, 3, 1, 1),
    (40, 56, 20, 28),
    (61, 61, 61, 61),
    (31, 100, 224, 7),
    (300, 7, 33, 60),
    (700, 900, 50, 96),
]


@pytest.mark.backend
@needs_tensorflow
@pytest.mark.parametrize(
    ("interpolation", "channels"),
    [(interpolation, 3) for interpolation in INTERPOLATIONS] + [("bilinear", 1), ("bicubic", 4)],
)
def test_interpolation_equals_tensorflow(interpolation, channels):
    import tensorflow as tf

    for height, width, new_height, new_width in SIZES:
        pixels = noise(height, width, channels)
        out = np.empty((new_height, new_width, channels), "uint8")
        resize_into(pixels, out, interpolation)
        expected = np.clip(tf.image.resize(pixels, (new_height, new_width), method=interpolation), 0, 255)
        assert np.abs(out - expected).max() <= (0 if interpolation == "nearest" else 0.501)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 255))
@examples(30)
def test_constant_image_stays_constant(interpolation, height, width, new_height, new_width, level):
    out = np.empty((new_height, new_width, 2), "uint8")
    resize_into(np.full((height, width, 2), level, "uint8"), out, interpolation)
    assert (out == level).all()


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 300), st.integers(1, 300))
def test_crop_and_padded_box_are_inside_and_centered(in_height, in_width, height, width):
    pixels = np.broadcast_to(np.uint8(0), (in_height, in_width, 3))
    crop_height, crop_width = centre_crop(pixels, height, width).shape[:2]
    assert crop_height in (1, in_height) or crop_width in (1, in_width)
    assert abs(crop_height * width - crop_width * height) < max(height, width) or 1 in (crop_height, crop_width)
    top, left, fitted_height, fitted_width = fitted_box(in_height, in_width, height, width)
    assert abs(height - fitted_height - 2 * top) <= 2
    assert abs(width - fitted_width - 2 * left) <= 2
    assert fitted_height >= height - 1 or fitted_width >= width - 1
    assert min(top, left) >= 0
    assert top + fitted_height <= height
    assert left + fitted_width <= width


def test_uneven_crop_starts_at_the_lower_index():
    assert centre_crop(np.arange(4)[None, :, None], 1, 1).ravel().tolist() == [1]
    assert centre_crop(np.arange(7)[:, None, None], 4, 1).ravel().tolist() == [1, 2, 3, 4]
