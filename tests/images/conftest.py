"""Reads image files with every combination of decoders."""

import numpy as np
import pytest

from keras_oocore.images import codecs
from keras_oocore.images.reader import ImageReader


@pytest.fixture(params=["fast", "opencv", "pillow"])
def decoder(request, monkeypatch):
    """Every test that reads a file runs with the extra `fast`, with OpenCV alone, and with Pillow alone."""
    if request.param != "fast":
        monkeypatch.setattr(codecs, "spng_decode", None)
        monkeypatch.setattr(codecs, "simplejpeg", None)
    elif codecs.spng_decode is None or codecs.simplejpeg is None:
        pytest.skip("the extra `fast` is not installed")
    if request.param == "pillow":
        monkeypatch.setattr(codecs, "cv2", None)
    elif codecs.cv2 is None:
        pytest.skip("OpenCV is not installed")
    return request.param


@pytest.fixture
def read(decoder, tmp_path):
    """A function that reads the content of an image file, by default at the size of the image of `card`."""

    def read_content(data, name="image.jpg", image_size=(40, 56), interpolation="nearest", **options):
        path = tmp_path / name
        path.write_bytes(data)
        reader = ImageReader(image_size, interpolation=interpolation, **options)
        out = np.full(reader.shape, 77, reader.dtype)
        reader.read_into(str(path), out)
        return out

    return read_content
