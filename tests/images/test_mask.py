"""MaskReader: the geometry of masks is that of their images, and values outside the classes are named."""

import numpy as np
import pytest
from mask_files import save_mask
from PIL import Image

from keras_oocore.core.errors import OptionError, SampleError
from keras_oocore.images.mask import MaskReader
from keras_oocore.images.reader import ImageReader


def read(path, values, image_size=(4, 6), image=None, num_classes=None, ignore_class=None, **options):
    """The mask of an image of the same height and width, unless `image` gives others."""
    save_mask(path / "mask.png", values)
    reader = MaskReader(ImageReader(image_size, **options), num_classes, ignore_class)
    out = np.full(reader.shape, 77, reader.dtype)
    reader.read_into(path / "mask.png", out, *(image or np.shape(values)))
    return out[..., 0]


@pytest.mark.parametrize("size", [(40, 60), (60, 40), (9, 31), (3, 2)])
@pytest.mark.parametrize("options", [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}], ids=str)
def test_a_mask_has_the_geometry_of_its_image(tmp_path, size, options):
    """The pixels of a mask are those of an image of the same values that is resized with the nearest neighbor."""
    values = np.random.default_rng(0).integers(1, 256, size).astype("uint8")
    mask = read(tmp_path, values, **options)
    reader = ImageReader((4, 6), "grayscale", "nearest", **options)
    image = np.empty(reader.shape, reader.dtype)
    reader.read_into(tmp_path / "mask.png", image)

    np.testing.assert_array_equal(mask, image[..., 0])


def test_edges_of_classes_are_those_of_the_bilinear_image(tmp_path):
    """Half of a pixel at most, as far as one pixel of a small image can say."""
    values = np.zeros((97, 131), "uint8")
    values[20:70, 30:101] = 1
    mask = read(tmp_path, values, image_size=(31, 43))
    Image.fromarray(values * 200).save(tmp_path / "image.png")
    reader = ImageReader((31, 43), "grayscale")
    image = np.empty(reader.shape, reader.dtype)
    reader.read_into(tmp_path / "image.png", image)

    certain = (image < 40) | (image > 160)
    np.testing.assert_array_equal(mask[certain[..., 0]], (image > 100)[certain])


def test_padding_is_0_or_ignore_class(tmp_path):
    values = np.ones((8, 4))

    assert read(tmp_path, values, pad_to_aspect_ratio=True)[0].tolist() == [0, 0, 1, 1, 0, 0]
    padded = read(tmp_path, values, pad_to_aspect_ratio=True, ignore_class=255, num_classes=2)
    assert padded[0].tolist() == [255, 255, 1, 1, 255, 255]


def test_a_mask_may_have_another_scale_and_not_another_shape(tmp_path):
    assert read(tmp_path, np.ones((214, 320)), image=(427, 640)).tolist() == np.ones((4, 6)).tolist()
    with pytest.raises(
        SampleError, match=r"50x40 pixels, and the image has 100x90. A mask has the aspect ratio of its"
    ):
        read(tmp_path, np.ones((40, 50)), image=(90, 100))
    with pytest.raises(SampleError, match="turned by its EXIF orientation, and the mask is not: save the mask upright"):
        read(tmp_path, np.ones((40, 50)), image=(50, 40))


def test_values_outside_the_classes_are_named(tmp_path):
    values = np.zeros((3, 5), "uint8")
    values[1, 2], values[2, 4] = 7, 9

    assert read(tmp_path, values, num_classes=10).shape == (4, 6)
    with pytest.raises(
        SampleError, match=r"values 7, 9 \(the first in row 1, column 2\), but num_classes=3 allows 0 to 2\."
    ):
        read(tmp_path, values, num_classes=3)
    with pytest.raises(SampleError, match=r"value 9 \(the first in row 2, column 4\), but num_classes=9 allows 0 to 8"):
        read(tmp_path, values, num_classes=9)
    with pytest.raises(SampleError, match="values 7, 9"):  # that no pixel of the small mask has
        read(tmp_path, values, num_classes=3, image_size=(1, 1))


def test_values_of_255_say_what_to_type(tmp_path):
    values = np.zeros((3, 5), "uint8")
    values[0, 0] = 255

    assert set(read(tmp_path, values, num_classes=2, ignore_class=255).ravel().tolist()) == {0, 255}
    with pytest.raises(SampleError, match=r"value 255 .*pass ignore_class=255.*If 255 is class 1.*y // 255"):
        read(tmp_path, values, num_classes=2)
    values[0, 1] = 1
    with pytest.raises(SampleError, match=r"pass ignore_class=255, also to the loss.$"):
        read(tmp_path, values, num_classes=2)


def test_values_above_255_are_refused(tmp_path):
    Image.fromarray(np.full((4, 6), 300, "uint16")).save(tmp_path / "mask.png")
    reader = MaskReader(ImageReader((4, 6)))

    with pytest.raises(SampleError, match=r"value 300 \(the first in row 0, column 0\), but values .* from 0 to 255"):
        reader.read_into(tmp_path / "mask.png", np.empty((4, 6, 1), "uint8"), 4, 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(num_classes=0), "`num_classes` should be a positive integer. Received: num_classes=0"),
        (dict(num_classes=2.0), "`num_classes` should be a positive integer. Received: num_classes=2.0"),
        (dict(num_classes=257), "`num_classes` should be at most 256, because masks are uint8"),
        (dict(ignore_class=-1), "`ignore_class` should be a value of a mask, from 0 to 255. Received: ignore_class=-1"),
        (dict(ignore_class=256), "`ignore_class` should be a value of a mask, from 0 to 255"),
    ],
)
def test_invalid_options_are_errors(options, message):
    with pytest.raises(OptionError, match=message):
        MaskReader(ImageReader((4, 6)), **options)
