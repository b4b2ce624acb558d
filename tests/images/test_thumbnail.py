"""Thumbnails of image files: small, and none for a file that cannot be read."""

import base64
import io
import os

import numpy as np
import pytest
from PIL import Image

from keras_oocore.images import thumbnail as module
from keras_oocore.images.thumbnail import preview_of_file, thumbnail, thumbnail_of_file


def opened(uri):
    prefix, _, data = uri.partition(",")
    assert prefix == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16", "1"])
def test_any_image_is_a_small_square(tmp_path, mode):
    Image.new(mode, (300, 200)).save(tmp_path / "a.png")
    image = opened(thumbnail_of_file(tmp_path / "a.png"))

    assert (image.size, image.mode) == ((96, 96), "RGB")


def test_the_middle_of_a_wide_image_is_shown(tmp_path):
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = 200
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)

    assert np.asarray(opened(thumbnail_of_file(tmp_path / "a.jpg"))).min() > 180


@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 1), (8, 6, 3), (8, 6, 4), (1, 500, 3)])
def test_pixels_of_any_shape(shape):
    assert opened(thumbnail(np.full(shape, 7, np.uint8))).size == (min(shape[:2]),) * 2


def test_a_file_that_cannot_be_read_has_no_thumbnail(tmp_path, monkeypatch):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("text")
    Image.effect_noise((50, 50), 50).save(tmp_path / "large.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "large.png").read_bytes()[:90])
    os.mkfifo(tmp_path / "pipe.png")  # reading it would wait for ever
    monkeypatch.setattr(module, "MOST_FILE_BYTES", 100)

    for name in ("empty.png", "text.png", "cut.png", "large.png", "pipe.png", "missing.png", "", "a\0b", "\ud800"):
        assert thumbnail_of_file(tmp_path / name) is None


def test_a_preview_has_the_edges_of_the_image_and_its_size(tmp_path):
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, :20] = 200
    Image.fromarray(pixels).save(tmp_path / "a.png")
    preview = preview_of_file(tmp_path / "a.png")
    small = np.asarray(opened(preview.uri))

    assert small.shape == (53, 160, 3)
    assert small[:, :8].min() > 150
    assert (preview.height, preview.width) == (100, 300)
    assert preview.size_bytes == (tmp_path / "a.png").stat().st_size


def test_a_preview_of_a_large_jpeg_states_its_full_size(tmp_path):
    Image.new("L", (3000, 2000)).save(tmp_path / "a.jpg")
    preview = preview_of_file(tmp_path / "a.jpg")

    assert (preview.height, preview.width) == (2000, 3000)
    assert opened(preview.uri).size == (160, 107)


def test_a_small_image_is_not_enlarged_and_a_missing_one_has_no_preview(tmp_path):
    Image.new("RGBA", (5, 3)).save(tmp_path / "a.png")

    assert opened(preview_of_file(tmp_path / "a.png").uri).size == (5, 3)
    assert preview_of_file(tmp_path / "b.png") is None
