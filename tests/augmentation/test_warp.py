"""`warp`: OpenCV, Pillow and NumPy map an image alike, as SciPy does."""

import numpy as np
import pytest
from scipy import ndimage

from keras_oocore.augmentation import warp
from keras_oocore.images import codecs

MODES = {"reflect": "reflect", "constant": "constant", "nearest": "nearest", "wrap": "grid-wrap"}  # ours → SciPy's
TURNED = np.array([[0.9, 0.4, -3.3], [-0.35, 1.1, 5.7]])
FAR = np.array([[1.9, 0.1, -31.0], [0.2, 2.3, -12.4]])  # zooms out


def image_of(channels, dtype="uint8"):
    rows, columns = np.mgrid[0:23, 0:31]
    waves = [128 + 100 * np.sin(rows / (3 + number)) * np.cos(columns / (2 + number)) for number in range(channels)]
    return np.stack(waves, axis=-1).astype(dtype)


def by_scipy(image, matrix, height, width, mode, fill):
    """SciPy counts rows before columns, and interpolates with the fill value outside only in this mode."""
    linear, offset = matrix[::-1, 1::-1], matrix[::-1, 2]
    if mode == "constant":
        image, offset = np.pad(image, ((9, 9), (9, 9), (0, 0)), constant_values=fill), offset + 9
    channels = [
        ndimage.affine_transform(
            image[..., channel].astype(float), linear, offset, (height, width), order=1, mode=MODES[mode], cval=fill
        )
        for channel in range(image.shape[2])
    ]
    return np.stack(channels, axis=-1)


IMPLEMENTATIONS = [
    pytest.param(
        warp.warped_by_opencv,
        marks=pytest.mark.skipif(
            codecs.cv2 is None or codecs.cv2.__version__ < "5", reason="requires OpenCV 5, of the extra `fast`"
        ),
    ),
    warp.warped_by_pillow,
    warp.warped_by_numpy,
]


@pytest.mark.parametrize("matrix", [TURNED, FAR], ids=["turned", "far"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_images_are_mapped_as_by_scipy(implementation, channels, mode, matrix):
    image = image_of(channels)

    mapped = implementation(image, matrix, 20, 27, mode, 50, "bilinear")

    assert (mapped.dtype, mapped.shape) == (np.uint8, (20, 27, channels))
    assert np.abs(mapped - by_scipy(image, matrix, 20, 27, mode, 50)).max() <= 1 + 1e-9


@pytest.mark.parametrize("implementation", [IMPLEMENTATIONS[0], warp.warped_by_numpy])
def test_float_images_are_mapped_without_rounding(implementation):
    image = image_of(3, "float32") / 255

    mapped = implementation(image, TURNED, 23, 31, "reflect", 0, "bilinear")

    assert mapped.dtype == np.float32
    np.testing.assert_allclose(mapped, by_scipy(image, TURNED, 23, 31, "reflect", 0), atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_whole_pixels_are_copied_exactly(implementation, mode):
    image = image_of(3)
    moved = implementation(image, np.array([[1.0, 0, -2], [0, 1, 3]]), 23, 31, mode, 7, "nearest")

    np.testing.assert_array_equal(moved[:20, 2:], image[3:, :-2])
    outside = {"reflect": image[3:, 1::-1], "constant": 7, "nearest": image[3:, :1], "wrap": image[3:, -2:]}
    np.testing.assert_array_equal(moved[:20, :2], np.broadcast_to(outside[mode], (20, 2, 3)))


def test_an_image_may_have_any_number_of_channels_and_any_size():
    image = image_of(7)

    np.testing.assert_array_equal(
        warp.warped(image, TURNED, 23, 31)[..., :3],
        warp.warped_by_numpy(image[..., :3], TURNED, 23, 31, "reflect", 0, "bilinear"),
    )
    pixel = np.full((1, 1, 3), 9, np.uint8)
    for implementation in (warp.warped, warp.warped_by_pillow, warp.warped_by_numpy):
        assert (implementation(pixel, FAR, 5, 4, "reflect", 0, "bilinear") == 9).all()
