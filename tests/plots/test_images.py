"""`image_grid`: every image under its title, with its own range of values; masks, spectrograms and frames."""

import builtins
import itertools
import sys

import numpy as np
import pytest
from PIL import Image

from keras_oocore.core.errors import MissingExtraError, OutOfCoreError
from keras_oocore.plots.history import plot_history
from keras_oocore.plots.images import Caption, Pictures, image_grid, picture_grid

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


@pytest.mark.parametrize("num_images", [3, 9])
def test_long_titles_do_not_overlap(num_images):
    titles = ["W" * 80, "a class with a name of many words that nobody shortens", "$x_1$ $", "2021-07-09_camera_left"]
    captions = [Caption([titles[i % 4], titles[(i + 1) % 4]]) for i in range(num_images)]
    figure = picture_grid([Pictures(images(num_images)), Pictures(images(num_images), "second input")], captions)
    figure.draw_without_rendering()
    drawn = [axis for axis in figure.axes if axis.images]
    boxes = [axis.title.get_window_extent() for axis in drawn] + [axis.get_window_extent() for axis in drawn]

    assert len(drawn) == 2 * num_images
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)


def test_spectrograms_have_colors_and_the_first_row_at_the_bottom():
    figure = picture_grid([Pictures(np.arange(24.0).reshape(2, 3, 4), is_spectrogram=True)], [Caption([])] * 2)
    shown = figure.axes[0].images[0]

    assert (shown.origin, figure.axes[0].get_aspect(), shown.cmap.name) == ("lower", "auto", "viridis")
    assert shown.get_array().tolist() == np.arange(12.0).reshape(3, 4).tolist()


def test_masks_are_drawn_over_the_image_and_named():
    masks = np.zeros((1, 4, 6), int)
    masks[0, :2] = 2
    figure = picture_grid([Pictures(images(1), masks=masks)], [Caption([])], mask_names={2: "road"})
    mask = figure.axes[0].images[1]

    assert mask.get_array()[0, 0, 3] > 0
    assert mask.get_array()[3, 0, 3] == 0
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["road"]


def test_wrong_predictions_have_a_frame():
    figure = picture_grid([Pictures(images(2))], [Caption(["cat"]), Caption(["cat", "✗ dog"], is_wrong=True)])

    assert [len(axis.patches) for axis in figure.axes] == [0, 1]
    assert [axis.get_title() for axis in figure.axes] == ["cat", "cat\n✗ dog"]
