"""`plot_history`: every number at its epoch, in the panel of its metric."""

import io
import itertools
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from keras_oocore.core.errors import OptionError
from keras_oocore.plots.history import plot_history

pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")


def panels(figure):
    """The curves of each panel: metric → curve → list of (epoch, number)."""
    return {
        axis.get_title(loc="left"): {
            line.get_label(): list(zip(*(np.asarray(part).tolist() for part in line.get_data())))
            for line in axis.lines
            if line.get_label() in ("training", "validation")
        }
        for axis in figure.axes
    }


def boundaries(axis, style):
    """The positions of the vertical lines of a style."""
    lines = [line for line in axis.lines if line.get_label() not in ("training", "validation")]
    return [line.get_xdata()[0] for line in lines if line.get_linestyle() == style]


def names(axis):
    """The strings in a panel, each with its epoch."""
    return [(text.get_text(), text.get_position()[0]) for text in axis.texts]


def test_one_panel_per_metric_with_training_and_validation():
    history = {"accuracy": [0.5, 0.7], "loss": [2.0, 1.0], "val_accuracy": [0.4, 0.6], "val_loss": [2.5, 1.5]}
    figure = plot_history(history)

    assert panels(figure) == {
        "loss": {"training": [(1, 2.0), (2, 1.0)], "validation": [(1, 2.5), (2, 1.5)]},
        "accuracy": {"training": [(1, 0.5), (2, 0.7)], "validation": [(1, 0.4), (2, 0.6)]},
    }
    assert [*panels(figure)] == ["loss", "accuracy"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training", "validation"]


def test_no_legend_without_validation():
    assert not plot_history({"loss": [2.0, 1.0]}).legends


@pytest.mark.parametrize(
    ("num_metrics", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 2), (5, 2, 3), (7, 3, 3)]
)
def test_panels_form_rows_of_at_most_three(num_metrics, rows, columns):
    figure = plot_history({"loss": [1.0]} | {f"metric_{i}": [1.0] for i in range(num_metrics - 1)})

    assert len(figure.axes) == num_metrics
    assert figure.axes[0].get_gridspec().get_geometry() == (rows, columns)
    assert tuple(figure.get_size_inches()) == (4 * columns, 3 * rows)


def test_initial_epoch():
    """The History of `fit(initial_epoch=5, epochs=8)`."""
    history = SimpleNamespace(history={"loss": [3.0, 2.0, 1.0]}, epoch=[5, 6, 7])

    assert panels(plot_history(history))["loss"]["training"] == [(6, 3.0), (7, 2.0), (8, 1.0)]


@pytest.mark.parametrize("epoch", [[0], [0, 1, 0]])
def test_history_of_several_calls_of_fit(epoch):
    history = SimpleNamespace(history={"loss": [3.0, 2.0, 1.0]}, epoch=epoch)

    assert panels(plot_history(history))["loss"]["training"] == [(1, 3.0), (2, 2.0), (3, 1.0)]


@pytest.mark.parametrize("num_epochs", [1, 2, 3, 12, 30, 31, 200])
def test_ticks_are_integers_and_few_epochs_have_dots(num_epochs):
    figure = plot_history({"loss": np.linspace(1, 0, num_epochs)})
    figure.draw_without_rendering()
    axis = figure.axes[0]
    ticks = [tick for tick in axis.get_xticks() if axis.get_xlim()[0] <= tick <= axis.get_xlim()[1]]

    assert ticks
    assert all(tick == int(tick) and 1 <= tick <= num_epochs for tick in ticks)
    assert axis.lines[0].get_markevery() == ([*range(num_epochs)] if num_epochs <= 30 else [])
    assert axis.lines[0].get_marker() == "o"


def test_number_between_gaps_has_a_dot():
    """With validation in every second epoch, no two numbers are next to each other, so no line is drawn."""
    gaps = [np.nan, 1.0] * 20
    figure = plot_history({"loss": [1.0] * 40, "val_loss": gaps})
    training, validation = figure.axes[0].lines[:2]

    assert training.get_markevery() == []
    assert validation.get_markevery() == [*range(1, 40, 2)]


@pytest.mark.parametrize(
    ("num_epochs", "num_validated", "epochs"),
    [
        (10, 5, [2, 4, 6, 8, 10]),
        (10, 2, [5, 10]),
        (7, 3, [2, 4, 6]),  # every second epoch, and stopped after the seventh
        (3, 1, [3]),
        (5, 4, [2, 3, 4, 5]),  # no `validation_freq` gives four values, so these are the last epochs
    ],
)
def test_validation_freq(num_epochs, num_validated, epochs):
    history = {"loss": [1.0] * num_epochs, "val_loss": [2.0] * num_validated}

    assert [epoch for epoch, _ in panels(plot_history(history))["loss"]["validation"]] == epochs


def test_validation_freq_with_initial_epoch():
    """`fit(initial_epoch=3, epochs=9, validation_freq=2)` validates after epochs 4, 6 and 8, counted from 1."""
    history = SimpleNamespace(history={"loss": [1.0] * 6, "val_loss": [1.0, 2.0, 3.0]}, epoch=[*range(3, 9)])

    assert panels(plot_history(history))["loss"]["validation"] == [(4, 1.0), (6, 2.0), (8, 3.0)]


def test_values_that_are_not_numbers_are_skipped():
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


def test_learning_rate_has_the_last_panel_and_a_logarithmic_scale():
    figure = plot_history({"learning_rate": [1e-2, 1e-3], "loss": [2.0, 1.0], "accuracy": [0.5, 0.7]})

    assert [*panels(figure)] == ["loss", "accuracy", "learning_rate"]
    assert [axis.get_yscale() for axis in figure.axes] == ["linear", "linear", "log"]
    assert figure.axes[2].lines[0].get_drawstyle() == "steps-mid"


def test_constant_learning_rate_has_no_panel():
    assert [*panels(plot_history({"loss": [2.0, 1.0], "learning_rate": [1e-2, 1e-2]}))] == ["loss"]

    assert [*panels(plot_history({"learning_rate": [1e-2, 1e-2]}))] == ["learning_rate"]  # the only panel
    figure = plot_history({"loss": [2.0, 1.0], "learning_rate": [0.0, 1e-2]})
    assert figure.axes[1].get_yscale() == "linear"


def test_phases_are_separated_and_named_in_the_first_row():
    phases = ["head only"] * 3 + ["all layers"] * 3
    history = {"loss": [1.0] * 6, "phase": phases} | {name: [1.0] * 6 for name in "abcd"}
    figure = plot_history(history)

    assert [*panels(figure)] == ["loss", "a", "b", "c", "d"]
    assert [boundaries(axis, "--") for axis in figure.axes] == [[3.5]] * 5
    assert [names(axis) for axis in figure.axes] == [[("head only", 2.0), ("all layers", 5.0)]] * 3 + [[]] * 2


@pytest.mark.parametrize("rates", [[1.0, 1.0, 1.0, 1.0], [1.0, 0.1, 0.01, 1e-9]])
def test_phase_names_are_above_the_curves(rates):
    figure = plot_history({"loss": [3.0, 2.0, 1.0, 0.0], "learning_rate": rates, "phase": ["one", "one", "two", "two"]})
    figure.draw_without_rendering()

    for axis in figure.axes:
        highest = max(axis.lines[0].get_transform().transform(axis.lines[0].get_xydata())[:, 1])
        for text in axis.texts:
            box = text.get_window_extent()
            assert highest < box.y0
            assert axis.bbox.x0 <= box.x0 < box.x1 <= axis.bbox.x1
            assert box.y1 <= axis.bbox.y1


def test_long_phase_names_are_shortened():
    name = "every layer of the model, with a very small learning rate for many epochs"
    figure = plot_history({"loss": [1.0] * 20, "phase": ["a"] * 9 + ["unreadably short"] + ["a"] * 2 + [name] * 8})
    texts = [text for text, _ in names(figure.axes[0])]

    assert texts[:3] == ["a", "", "a"]
    assert texts[3].endswith("…")
    assert name.startswith(texts[3][:-1])
    assert len(texts[3]) >= 8


def test_phase_names_do_not_overlap():
    phases = [f"phase {1 + epoch // 4} of several" for epoch in range(16)]
    figure = plot_history({"loss": [1.0] * 16, "phase": phases})
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]

    assert len(boxes) == 4
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_names_are_not_parsed_as_math():
    figure = plot_history({"loss": [1.0], "$\\nonsense$": [1.0], "phase": ["$\\nonsense$"]})

    figure.draw_without_rendering()  # parsed as math, this would raise an error


def test_number_of_partitions_decides_how_they_are_shown():
    def drawn(num_changes):
        num_epochs = num_changes + 1
        axis = plot_history({"loss": [1.0] * num_epochs, "partition": [*range(num_epochs)]}).axes[0]
        return boundaries(axis, "-"), [patch.get_x() for patch in axis.patches], names(axis)

    assert drawn(3) == ([1.5, 2.5, 3.5], [], [])
    assert drawn(13) == ([], [1.5, 3.5, 5.5, 7.5, 9.5, 11.5, 13.5], [])
    assert drawn(200) == ([], [], [])


def test_partitions_of_several_epochs():
    figure = plot_history({"loss": [1.0] * 6, "partition": [0, 0, 1, 1, 0, 0]})

    assert [*panels(figure)] == ["loss"]
    assert boundaries(figure.axes[0], "-") == [2.5, 4.5]


@pytest.mark.parametrize(("partitions", "boundary"), [([0, 0, 0, 1], 3.5), ([0, 1], 3.5), ([5, 5, 0, 0, 0, 1], 3.5)])
def test_partitions_belong_to_the_last_epochs(partitions, boundary):
    figure = plot_history({"loss": [1.0] * 4, "partition": partitions})

    assert boundaries(figure.axes[0], "-") == [boundary]


def test_nan_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plot_history({"loss": [np.nan] * 3, "a": [1.0, np.inf, np.nan], "learning_rate": [np.nan, 1e-3, 1e-4]})
        figure.draw_without_rendering()

    assert [*panels(figure)] == ["loss", "a", "learning_rate"]


def test_path_saves_a_png_and_repr_png(tmp_path):
    path = tmp_path / "new folder" / "history.png"
    figure = plot_history({"loss": [2.0, 1.0]}, path)

    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("PNG", (480, 360))
    with Image.open(io.BytesIO(figure._repr_png_())) as picture:
        assert (picture.format, picture.size) == ("PNG", (400, 300))


@pytest.mark.parametrize("history", [{}, {"loss": []}, {"phase": ["a"]}, SimpleNamespace(history={}, epoch=[])])
def test_history_without_epochs_raises(history):
    with pytest.raises(OptionError, match=r"`history` contains no epochs\. Pass the History that `fit` returns"):
        plot_history(history)


@pytest.mark.parametrize("history", [None, [1.0], "loss", SimpleNamespace(history=None)])
def test_other_objects_raise(history):
    with pytest.raises(OptionError, match=r"should be a keras\.callbacks\.History.*Received: "):
        plot_history(history)


def best_of(figure):
    """The position of the ring and the string on the right, of each panel."""
    rings = [
        [line.get_xydata().tolist()[0] for line in axis.lines if line.get_label() == "best"] for axis in figure.axes
    ]
    return list(zip(rings, (axis.get_title(loc="right") for axis in figure.axes)))


def test_best_epoch_is_that_of_val_loss_in_every_panel():
    history = {"loss": [3.0, 2.0, 1.0], "acc": [0.1, 0.2, 0.3], "val_loss": [3.0, 2.5, 2.8], "val_acc": [0.2, 0.3, 0.4]}

    assert best_of(plot_history(history)) == [([[2, 2.5]], "best epoch 2: 2.5"), ([[2, 0.3]], "epoch 2: 0.3")]


def test_best_epoch_without_val_loss():
    assert best_of(plot_history({"loss": [1.0, 2.0], "val_auc": [0.2, 0.3]}))[1] == ([[2, 0.3]], "epoch 2: 0.3")
    assert best_of(plot_history({"loss": [1.0, 2.0]})) == [([[1, 1.0]], "best epoch 1: 1")]


def test_best_epoch_with_validation_in_every_second_epoch():
    figure = plot_history({"loss": [4.0, 3.0, 2.0, 1.0], "val_loss": [1.5, 1.7]})

    assert best_of(figure) == [([[2, 1.5]], "best epoch 2: 1.5")]


def test_no_best_epoch_of_one_epoch_or_without_numbers():
    assert best_of(plot_history({"loss": [1.0]})) == [([], "")]
    assert best_of(plot_history({"loss": [np.nan, np.nan]})) == [([], "")]


def test_long_names_of_metrics_do_not_overlap():
    names = [f"segmentation_head_sparse_categorical_accuracy_{i}_of_a_very_long_list_of_metrics" for i in range(2)]
    figure = plot_history({name: [0.123456789, 0.5] for name in names} | {"val_loss": [1.23456e-7, 1.0]})
    figure.draw_without_rendering()
    boxes = [title.get_window_extent() for axis in figure.axes for title in (axis._left_title, axis._right_title)]

    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
