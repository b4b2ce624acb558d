"""Pictures of batches: each image in its place, in its own range, and a clear line without matplotlib."""

import builtins
import sys

import numpy as np
import pytest
from PIL import Image

from keras_oocore.errors import MissingExtraError, OutOfCoreError
from keras_oocore.plots import image_grid

pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")


def shown(figure):
    """What each axis shows: its title and its pixels as the figure was given them."""
    return [(axis.get_title(), axis.images[0].get_array()) for axis in figure.axes if axis.images]


def rendered(figure):
    """The levels that each axis shows, `uint8` RGBA."""
    return [axis.images[0].to_rgba(axis.images[0].get_array(), bytes=True) for axis in figure.axes if axis.images]


def images(num_images, channels=3, dtype="uint8"):
    """Image i is of level 10 * i."""
    levels = np.arange(num_images).reshape(-1, 1, 1, 1) * 10
    return np.broadcast_to(levels, (num_images, 4, 6, channels)).astype(dtype)


@pytest.mark.parametrize("num_images", [1, 3, 8, 9, 17])
def test_every_image_has_its_title_and_rows_are_of_eight(num_images):
    figure = image_grid(images(num_images), [f"class {i}" for i in range(num_images)])

    assert [(title, int(pixels.max())) for title, pixels in shown(figure)] == [
        (f"class {i}", 10 * i) for i in range(num_images)
    ]
    assert figure.axes[0].get_gridspec().ncols == min(8, num_images)
    assert not any(axis.axison for axis in figure.axes)


@pytest.mark.parametrize(
    ("dtype", "scale"), [("uint8", 1), ("float32", 1), ("float32", 1 / 255), ("float16", 1 / 255), ("int32", 1)]
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_levels_are_those_of_the_image_whatever_its_dtype_and_range(dtype, scale, channels):
    levels = (images(4, channels) * scale).astype(dtype)
    if channels == 4:
        levels[..., 3] = 255 * scale

    for number, pixels in enumerate(rendered(image_grid(levels, [""] * 4))):
        assert abs(int(pixels[0, 0, 0]) - 10 * number) <= 1
        assert pixels[0, 0, 3] == 255


def test_levels_below_zero_are_black():
    standardised = np.stack([np.full((4, 4, 3), level, "float32") for level in (-1, 0, 1)])

    assert [int(pixels[0, 0, 0]) for pixels in rendered(image_grid(standardised, "abc"))] == [0, 0, 255]


def test_a_picture_is_saved_whole_as_png(tmp_path):
    path = tmp_path / "of all" / "batch.png"
    figure = image_grid(images(3), ["a", "b", "c"], path)

    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.size == tuple((figure.get_size_inches() * 120).round().astype(int))
    assert [file.name for file in path.parent.iterdir() if not file.name.startswith(".")] == ["batch.png"]


def test_no_window_and_no_list_of_figures():
    """pyplot would keep every figure, and pick a backend with a window."""
    had_pyplot = "matplotlib.pyplot" in sys.modules
    image_grid(images(2), ["", ""])

    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot


def test_without_matplotlib_the_error_holds_the_line_that_installs_it(monkeypatch):
    real_import = builtins.__import__

    def without_matplotlib(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)

    with pytest.raises(MissingExtraError, match=r'Pictures want matplotlib: pip install "keras_oocore\[plots\]"') as e:
        image_grid(images(2), ["", ""])
    assert isinstance(e.value, ImportError)
    assert isinstance(e.value, OutOfCoreError)
