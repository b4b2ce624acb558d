"""Pictures of batches (each image in its place, in its own range) and of trainings (each number at its epoch)."""

import builtins
import io
import itertools
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from keras_oocore.core.errors import MissingExtraError, OptionError, OutOfCoreError
from keras_oocore.plots.history import plot_history
from keras_oocore.plots.images import image_grid

pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")


def display_path(figure):
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

    assert [(title, int(pixels.max())) for title, pixels in display_path(figure)] == [
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
    plot_history({"loss": [1.0], "val_loss": [1.0]})

    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot


@pytest.mark.parametrize(
    "draw", [lambda: image_grid(images(2), ["", ""]), lambda: plot_history({"loss": [1.0]})], ids=["grid", "history"]
)
def test_without_matplotlib_the_error_holds_the_line_that_installs_it(monkeypatch, draw):
    real_import = builtins.__import__

    def without_matplotlib(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)

    with pytest.raises(MissingExtraError, match=r'Pictures want matplotlib: pip install "keras_oocore\[plots\]"') as e:
        draw()
    assert isinstance(e.value, ImportError)
    assert isinstance(e.value, OutOfCoreError)


def panels(figure):
    """What each panel shows: metric -> curve -> its (epoch, number) points."""
    return {
        axis.get_title(loc="left"): {
            line.get_label(): list(zip(*(np.asarray(part).tolist() for part in line.get_data())))
            for line in axis.lines
            if line.get_label() in ("training", "validation")
        }
        for axis in figure.axes
    }


def boundaries(axis, style):
    """Where the vertical lines of that style are."""
    lines = [line for line in axis.lines if line.get_label() not in ("training", "validation")]
    return [line.get_xdata()[0] for line in lines if line.get_linestyle() == style]


def names(axis):
    """The texts inside a panel, each with the epoch that it stands over."""
    return [(text.get_text(), text.get_position()[0]) for text in axis.texts]


def test_a_panel_a_metric_loss_first_with_the_validation_beside_it():
    history = {"accuracy": [0.5, 0.7], "loss": [2.0, 1.0], "val_accuracy": [0.4, 0.6], "val_loss": [2.5, 1.5]}
    figure = plot_history(history)

    assert panels(figure) == {
        "loss": {"training": [(1, 2.0), (2, 1.0)], "validation": [(1, 2.5), (2, 1.5)]},
        "accuracy": {"training": [(1, 0.5), (2, 0.7)], "validation": [(1, 0.4), (2, 0.6)]},
    }
    assert [*panels(figure)] == ["loss", "accuracy"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training", "validation"]


def test_one_curve_wants_no_legend():
    assert not plot_history({"loss": [2.0, 1.0]}).legends


@pytest.mark.parametrize(
    ("num_metrics", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 2), (5, 2, 3), (7, 3, 3)]
)
def test_panels_are_at_most_three_in_a_row(num_metrics, rows, columns):
    figure = plot_history({"loss": [1.0]} | {f"metric_{i}": [1.0] for i in range(num_metrics - 1)})

    assert len(figure.axes) == num_metrics
    assert figure.axes[0].get_gridspec().get_geometry() == (rows, columns)
    assert tuple(figure.get_size_inches()) == (4 * columns, 3 * rows)


def test_a_keras_history_names_its_epochs():
    """As `fit(initial_epoch=5, epochs=8)` returns it."""
    history = SimpleNamespace(history={"loss": [3.0, 2.0, 1.0]}, epoch=[5, 6, 7])

    assert panels(plot_history(history))["loss"]["training"] == [(6, 3.0), (7, 2.0), (8, 1.0)]


@pytest.mark.parametrize("epoch", [[0], [0, 1, 0]])
def test_a_history_that_several_calls_of_fit_wrote_is_counted_through(epoch):
    history = SimpleNamespace(history={"loss": [3.0, 2.0, 1.0]}, epoch=epoch)

    assert panels(plot_history(history))["loss"]["training"] == [(1, 3.0), (2, 2.0), (3, 1.0)]


@pytest.mark.parametrize("num_epochs", [1, 2, 3, 12, 30, 31, 200])
def test_ticks_are_whole_epochs_and_few_epochs_have_dots(num_epochs):
    figure = plot_history({"loss": np.linspace(1, 0, num_epochs)})
    figure.draw_without_rendering()
    axis = figure.axes[0]
    ticks = [tick for tick in axis.get_xticks() if axis.get_xlim()[0] <= tick <= axis.get_xlim()[1]]

    assert ticks
    assert all(tick == int(tick) and 1 <= tick <= num_epochs for tick in ticks)
    assert axis.lines[0].get_markevery() == ([*range(num_epochs)] if num_epochs <= 30 else [])
    assert axis.lines[0].get_marker() == "o"


def test_a_number_between_gaps_keeps_its_dot_however_many_the_epochs():
    """A line needs two neighbours: validated in every second epoch, nothing else would be seen."""
    gaps = [np.nan, 1.0] * 20
    figure = plot_history({"loss": [1.0] * 40, "val_loss": gaps})
    training, validation = figure.axes[0].lines

    assert training.get_markevery() == []
    assert validation.get_markevery() == [*range(1, 40, 2)]


@pytest.mark.parametrize(
    ("num_epochs", "num_validated", "epochs"),
    [
        (10, 5, [2, 4, 6, 8, 10]),
        (10, 2, [5, 10]),
        (7, 3, [2, 4, 6]),  # every second, and stopped at the seventh
        (3, 1, [3]),
        (5, 4, [2, 3, 4, 5]),  # no `validation_freq` leaves four: the last are likeliest
    ],
)
def test_validation_of_every_kth_epoch_stands_at_that_epoch(num_epochs, num_validated, epochs):
    history = {"loss": [1.0] * num_epochs, "val_loss": [2.0] * num_validated}

    assert [epoch for epoch, _ in panels(plot_history(history))["loss"]["validation"]] == epochs


def test_epochs_that_keras_validates_are_those_that_its_number_divides():
    """`fit(initial_epoch=3, epochs=9, validation_freq=2)` validates after the epochs 4, 6 and 8, counted from 1."""
    history = SimpleNamespace(history={"loss": [1.0] * 6, "val_loss": [1.0, 2.0, 3.0]}, epoch=[*range(3, 9)])

    assert panels(plot_history(history))["loss"]["validation"] == [(4, 1.0), (6, 2.0), (8, 3.0)]


def test_what_is_not_one_number_an_epoch_is_left_out():
    history = {
        "per_class": [[0.1, 0.2], [0.3, 0.4]],
        "ragged": [[0.1], [0.3, 0.4]],
        "array": [np.ones(3), np.ones(3)],
        "text": ["a", "b"],
        "loss": [np.float32(2.0), 1],
        "val_f1": [None, 0.5],
    }
    drawn = panels(plot_history(history))

    assert [*drawn] == ["loss", "f1"]
    assert np.isnan(drawn["f1"]["validation"][0][1])
    assert drawn["f1"]["validation"][1] == (2, 0.5)


def test_a_learning_rate_that_changes_has_the_last_panel_with_a_logarithmic_scale():
    figure = plot_history({"learning_rate": [1e-2, 1e-3], "loss": [2.0, 1.0], "accuracy": [0.5, 0.7]})

    assert [*panels(figure)] == ["loss", "accuracy", "learning_rate"]
    assert [axis.get_yscale() for axis in figure.axes] == ["linear", "linear", "log"]
    assert figure.axes[2].lines[0].get_drawstyle() == "steps-mid"


def test_a_learning_rate_that_stays_has_no_panel_and_one_that_begins_at_zero_no_logarithm():
    assert [*panels(plot_history({"loss": [2.0, 1.0], "learning_rate": [1e-2, 1e-2]}))] == ["loss"]

    assert [*panels(plot_history({"learning_rate": [1e-2, 1e-2]}))] == ["learning_rate"]  # better than an empty figure
    figure = plot_history({"loss": [2.0, 1.0], "learning_rate": [0.0, 1e-2]})
    assert figure.axes[1].get_yscale() == "linear"


def test_phases_are_parted_in_every_panel_and_named_in_the_first_row():
    phases = ["head only"] * 3 + ["all layers"] * 3
    history = {"loss": [1.0] * 6, "phase": phases} | {name: [1.0] * 6 for name in "abcd"}
    figure = plot_history(history)

    assert [*panels(figure)] == ["loss", "a", "b", "c", "d"]
    assert [boundaries(axis, "--") for axis in figure.axes] == [[3.5]] * 5
    assert [names(axis) for axis in figure.axes] == [[("head only", 2.0), ("all layers", 5.0)]] * 3 + [[]] * 2


@pytest.mark.parametrize("rates", [[1.0, 1.0, 1.0, 1.0], [1.0, 0.1, 0.01, 1e-9]])
def test_names_of_phases_stand_above_the_curves(rates):
    figure = plot_history({"loss": [3.0, 2.0, 1.0, 0.0], "learning_rate": rates, "phase": ["one", "one", "two", "two"]})
    figure.draw_without_rendering()

    for axis in figure.axes:
        highest = max(axis.lines[0].get_transform().transform(axis.lines[0].get_xydata())[:, 1])
        for text in axis.texts:
            box = text.get_window_extent()
            assert highest < box.y0
            assert axis.bbox.x0 <= box.x0 < box.x1 <= axis.bbox.x1
            assert box.y1 <= axis.bbox.y1


def test_a_phase_that_comes_again_is_named_again_and_a_name_without_room_is_shortened():
    name = "every layer of the model, slowly, with a name that nobody would want to type"
    figure = plot_history({"loss": [1.0] * 20, "phase": ["a"] * 9 + ["unreadably short"] + ["a"] * 2 + [name] * 8})
    texts = [text for text, _ in names(figure.axes[0])]

    assert texts[:3] == ["a", "", "a"]
    assert texts[3].endswith("…")
    assert name.startswith(texts[3][:-1])
    assert len(texts[3]) >= 8


def test_names_of_neighbouring_phases_do_not_touch():
    phases = [f"phase {1 + epoch // 4} of several" for epoch in range(16)]
    figure = plot_history({"loss": [1.0] * 16, "phase": phases})
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]

    assert len(boxes) == 4
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_dollars_in_names_are_dollars():
    figure = plot_history({"loss": [1.0], "$\\nonsense$": [1.0], "phase": ["$\\nonsense$"]})

    figure.draw_without_rendering()  # matplotlib would read a formula, and raise


def test_few_partitions_are_parted_by_lines_many_are_shaded_and_too_many_are_not_shown():
    def drawn(num_changes):
        num_epochs = num_changes + 1
        axis = plot_history({"loss": [1.0] * num_epochs, "partition": [*range(num_epochs)]}).axes[0]
        return boundaries(axis, "-"), [patch.get_x() for patch in axis.patches], names(axis)

    assert drawn(3) == ([1.5, 2.5, 3.5], [], [])
    assert drawn(13) == ([], [1.5, 3.5, 5.5, 7.5, 9.5, 11.5, 13.5], [])
    assert drawn(200) == ([], [], [])


def test_partitions_of_several_epochs_are_parted_where_they_change():
    figure = plot_history({"loss": [1.0] * 6, "partition": [0, 0, 1, 1, 0, 0]})

    assert [*panels(figure)] == ["loss"]
    assert boundaries(figure.axes[0], "-") == [2.5, 4.5]


@pytest.mark.parametrize(("partitions", "boundary"), [([0, 0, 0, 1], 3.5), ([0, 1], 3.5), ([5, 5, 0, 0, 0, 1], 3.5)])
def test_partitions_are_those_of_the_last_epochs_whatever_their_number(partitions, boundary):
    figure = plot_history({"loss": [1.0] * 4, "partition": partitions})

    assert boundaries(figure.axes[0], "-") == [boundary]


def test_gaps_are_drawn_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plot_history({"loss": [np.nan] * 3, "a": [1.0, np.inf, np.nan], "learning_rate": [np.nan, 1e-3, 1e-4]})
        figure.draw_without_rendering()

    assert [*panels(figure)] == ["loss", "a", "learning_rate"]


def test_a_history_is_saved_and_shows_itself(tmp_path):
    path = tmp_path / "of all" / "history.png"
    figure = plot_history({"loss": [2.0, 1.0]}, path)

    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("PNG", (480, 360))
    with Image.open(io.BytesIO(figure._repr_png_())) as picture:
        assert (picture.format, picture.size) == ("PNG", (400, 300))


@pytest.mark.parametrize("history", [{}, {"loss": []}, {"phase": ["a"]}, SimpleNamespace(history={}, epoch=[])])
def test_a_history_without_epochs_is_refused(history):
    with pytest.raises(OptionError, match=r"`history` holds no epochs\. Pass what `fit` returned"):
        plot_history(history)


@pytest.mark.parametrize("history", [None, [1.0], "loss", SimpleNamespace(history=None)])
def test_what_is_no_history_is_refused(history):
    with pytest.raises(OptionError, match=r"what `fit` returned, a keras\.callbacks\.History.*Received: "):
        plot_history(history)
