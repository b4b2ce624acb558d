"""Reads image files with every combination of decoders."""

import numpy as np
import pytest

from keras_oocore.images import decode as decode_module
from keras_oocore.images import reader as reader_module
from keras_oocore.images.reader import ImageReader


@pytest.fixture(params=["fast", "opencv", "pillow"])
def decoder(request, monkeypatch):
    """Every test that reads a file runs with the extra `fast`, with OpenCV alone, and with Pillow alone."""
    if request.param != "fast":
        monkeypatch.setattr(decode_module, "spng_decode", None)
    elif decode_module.spng_decode is None:
        pytest.skip("imagecodecs is not installed")
    if request.param == "pillow":
        monkeypatch.setattr(decode_module, "cv2", None)
        monkeypatch.setattr(reader_module, "cv2", None)
    elif decode_module.cv2 is None:
        pytest.skip("OpenCV is not installed")
    return request.param


@pytest.fixture
def read(decoder, tmp_path):
    """A function that reads the content of an image file, by default at the size of the image of `card`."""

    def read_content(data, name="image.jpg", image_size=(40, 56), interpolation="nearest", **options):
        path = tmp_path / name
        path.write_bytes(data)
        reader = ImageReader(image_size, interpolation=interpolation, **options)
        out = np.full(reader.shape, 77, "uint8")
        reader.read_into(str(path), out)
        return out

    return read_content
