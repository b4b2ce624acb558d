"""`image_grid`: every image under its title, with its own range of values."""

import builtins
import sys

import numpy as np
import pytest
from PIL import Image

from keras_oocore.core.errors import MissingExtraError, OutOfCoreError
from keras_oocore.plots.history import plot_history
from keras_oocore.plots.images import image_grid

pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")


def titles_and_pixels(figure):
    """The title and the pixels of each axis."""
    return [(axis.get_title(), axis.images[0].get_array()) for axis in figure.axes if axis.images]


def rendered(figure):
    """The rendered pixels of each axis, `uint8` RGBA."""
    return [axis.images[0].to_rgba(axis.images[0].get_array(), bytes=True) for axis in figure.axes if axis.images]


def images(num_images, channels=3, dtype="uint8"):
    """All pixels of image i are 10 * i."""
    levels = np.arange(num_images).reshape(-1, 1, 1, 1) * 10
    return np.broadcast_to(levels, (num_images, 4, 6, channels)).astype(dtype)


@pytest.mark.parametrize("num_images", [1, 3, 8, 9, 17])
def test_titles_and_rows_of_eight(num_images):
    figure = image_grid(images(num_images), [f"class {i}" for i in range(num_images)])

    assert [(title, int(pixels.max())) for title, pixels in titles_and_pixels(figure)] == [
        (f"class {i}", 10 * i) for i in range(num_images)
    ]
    assert figure.axes[0].get_gridspec().ncols == min(8, num_images)
    assert not any(axis.axison for axis in figure.axes)


@pytest.mark.parametrize(
    ("dtype", "scale", "channels"),
    [
        ("uint8", 1, 1),
        ("uint8", 1, 4),
        ("float32", 1, 3),
        ("float32", 1 / 255, 4),
        ("float16", 1 / 255, 1),
        ("int32", 1, 3),
    ],
)
def test_levels_of_any_dtype_and_range(dtype, scale, channels):
    levels = (images(4, channels) * scale).astype(dtype)
    if channels == 4:
        levels[..., 3] = 255 * scale

    for number, pixels in enumerate(rendered(image_grid(levels, [""] * 4))):
        assert abs(int(pixels[0, 0, 0]) - 10 * number) <= 1
        assert pixels[0, 0, 3] == 255


def test_negative_levels_are_black():
    standardised = np.stack([np.full((4, 4, 3), level, "float32") for level in (-1, 0, 1)])

    assert [int(pixels[0, 0, 0]) for pixels in rendered(image_grid(standardised, "abc"))] == [0, 0, 255]


def test_path_saves_a_png(tmp_path):
    path = tmp_path / "new folder" / "batch.png"
    figure = image_grid(images(3), ["a", "b", "c"], path)

    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.size == tuple((figure.get_size_inches() * 120).round().astype(int))
    assert [file.name for file in path.parent.iterdir() if not file.name.startswith(".")] == ["batch.png"]


def test_pyplot_is_not_imported():
    """pyplot would keep a reference to every figure, and choose a backend that opens windows."""
    had_pyplot = "matplotlib.pyplot" in sys.modules
    image_grid(images(2), ["", ""])
    plot_history({"loss": [1.0], "val_loss": [1.0]})

    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot


@pytest.mark.parametrize(
    "draw", [lambda: image_grid(images(2), ["", ""]), lambda: plot_history({"loss": [1.0]})], ids=["grid", "history"]
)
def test_missing_matplotlib_raises(monkeypatch, draw):
    real_import = builtins.__import__

    def without_matplotlib(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)

    with pytest.raises(MissingExtraError, match=r'Plots require matplotlib: pip install "keras_oocore\[plots\]"') as e:
        draw()
    assert isinstance(e.value, ImportError)
    assert isinstance(e.value, OutOfCoreError)
