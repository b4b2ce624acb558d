"""`ko.plot_confusion` and `ko.show_wrong`: what the figures show."""

import itertools
import pickle

import numpy as np
import pytest
from PIL import Image
from stub_models import Returns, StubModel

import keras_oocore as ko

pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")


def cells(figure):
    """The numbers of the cells: (true, predicted) → text."""
    axis = figure.axes[0]
    return {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in axis.texts}


def names(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


@pytest.fixture
def animals(tmp_path):
    """Images of one gray level each, in the folders `cat` and `dog`."""
    for number in range(6):
        path = tmp_path / "animals" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (40 * number,) * 3).save(path)
    return ko.ImageFolderSequence(tmp_path / "animals", image_size=8, seed=0, rescale=1 / 255)


def bright_is_dog():
    """A model for which images are dogs as far as they are bright."""
    return Returns(lambda means: np.stack([1 - means, means], axis=1))


# plot_confusion


def test_cells_are_percentages_of_the_true_class():
    true, found = ["cat"] * 4 + ["dog"] * 200 + ["owl"], ["cat"] * 3 + ["dog"] + ["dog"] * 199 + ["cat"] + ["owl"]

    figure = ko.plot_confusion({"label": true, "class": found})

    assert names(figure) == ["cat", "dog", "owl"]
    assert cells(figure) == {(0, 0): "75", (0, 1): "25", (1, 0): "<1", (1, 1): ">99", (2, 2): "100"}
    title = figure.get_suptitle()
    assert "99.0% of 205 right, mean of classes 91.5%" in title.replace("\n", " ")
    assert "cat → dog (1)" in title.replace("\n", " ")
    image = figure.axes[0].images[0].get_array()
    assert image[0, 2].tolist() == [255, 255, 255]
    assert image[0, 0, 2] > image[0, 0, 0]  # blue
    assert image[0, 1, 0] > image[0, 1, 2]  # orange


@pytest.mark.parametrize("num_classes", [2, 20, 21, 100])
def test_names_do_not_overlap_and_numbers_are_left_out_where_they_would(num_classes):
    classes = [f"species number {number:03d}" for number in range(num_classes)]
    figure = ko.plot_confusion({"label": classes, "class": classes[::-1]})
    figure.draw_without_rendering()

    assert bool(figure.axes[0].texts) == (num_classes <= 20)
    renderer = figure._get_renderer()
    boxes = [label.get_window_extent(renderer) for label in figure.axes[0].get_yticklabels()]
    assert all(upper.y0 >= lower.y1 - 1 for upper, lower in itertools.pairwise(boxes))
    assert min(box.x0 for box in boxes) >= 0
    assert figure._suptitle.get_window_extent(renderer).x1 <= figure.bbox.x1
    assert figure.get_figwidth() < 18


def test_classes_are_in_the_order_of_the_model_also_those_that_never_come(animals):
    table = ko.predict(StubModel(3), animals, class_names=["owl", "dog", "cat"])

    assert names(ko.plot_confusion(table)) == ["owl", "dog", "cat"]


def test_digits_are_sorted_by_value_and_long_names_are_shortened():
    figure = ko.plot_confusion({"label": [10, 9, 2], "class": [10, 9, 2]})
    assert names(figure) == ["2", "9", "10"]
    long = "a very long name of a class that does not fit beside the matrix"
    assert "…" in names(ko.plot_confusion({"label": [long], "class": [long]}))[0]


def test_rows_without_label_or_prediction_are_left_out_with_a_note():
    figure = ko.plot_confusion({"label": ["cat", None, "dog"], "class": ["cat", "cat", float("nan")]})

    assert "2 rows without a label or prediction left out" in figure.get_suptitle().replace("\n", " ")
    assert cells(figure) == {(0, 0): "100"}


def test_a_data_frame_and_a_file_are_drawn_like_the_table(animals, tmp_path):
    import pandas as pd

    table = ko.predict(bright_is_dog(), animals)
    path = ko.predict(bright_is_dog(), animals, to=tmp_path / "animals.csv")

    for other in (table.to_pandas(), pd.read_csv(path), dict(table)):
        assert cells(ko.plot_confusion(other)) == cells(ko.plot_confusion(table))


def test_a_table_without_labels_says_what_to_predict(animals):
    table = ko.predict(bright_is_dog(), animals, columns=["file", "class"])

    with pytest.raises(ko.OptionError, match=r"column 'label'. Predict a Sequence with labels"):
        ko.plot_confusion(table)
    with pytest.raises(ko.OptionError, match=r"should have a column 'label'.*Received: 3"):
        ko.plot_confusion(3)
    with pytest.raises(ko.OptionError, match="no row with both"):
        ko.plot_confusion({"label": [None], "class": ["a"]})


@pytest.mark.parametrize("draw", [ko.plot_confusion, ko.show_wrong])
def test_a_model_in_place_of_a_table_says_what_to_type(animals, draw):
    with pytest.raises(ko.OptionError, match=r"ko\.predict\(model, sequence\)"):
        draw(bright_is_dog(), animals)


def test_the_figure_is_saved(tmp_path):
    ko.plot_confusion({"label": ["a"], "class": ["a"]}, tmp_path / "confusion.png")

    assert Image.open(tmp_path / "confusion.png").width > 200


# show_wrong


def captions(figure):
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


def test_wrong_images_are_drawn_with_the_most_certain_first(animals):
    figure = ko.show_wrong(ko.predict(bright_is_dog(), animals))

    texts = [text.replace("\n", " ") for text in captions(figure)]
    assert texts == ["dog ✗ cat 84% dog/1.png", "cat ✗ dog 63% cat/4.png", "dog ✗ cat 53% dog/3.png"]
    levels = [axis.images[0].get_array()[0, 0, 0] for axis in figure.axes if axis.images]
    assert levels == [40, 160, 120]  # without rescale


def test_at_most_so_many_images_are_drawn(animals):
    table = ko.predict(bright_is_dog(), animals)

    assert len(captions(ko.show_wrong(table, 2))) == 2
    with pytest.raises(ko.OptionError, match="`num_images`"):
        ko.show_wrong(table, 0)


def test_if_nothing_is_wrong_the_figure_says_so(animals, tmp_path):
    right = ko.ArraySequence(np.zeros((3, 8, 8, 3), "uint8"), [0, 0, 0], class_names=["cat", "dog"])

    figure = ko.show_wrong(ko.predict(bright_is_dog(), right), path=tmp_path / "none.png")

    assert figure.texts[0].get_text() == "None of 3 predictions is wrong."
    assert (tmp_path / "none.png").exists()


def test_rows_of_an_array_are_drawn_and_other_samples_are_refused():
    table = ko.predict(
        bright_is_dog(), ko.ArraySequence(np.zeros((3, 8, 8), "uint8"), [0, 1, 0], class_names=["cat", "dog"])
    )
    assert captions(ko.show_wrong(table)) == ["dog\n✗ cat 100%\nrow 1"]
    rows = ko.ArraySequence(np.zeros((3, 5), "float32"), [0, 1, 0], class_names=["cat", "dog"])
    with pytest.raises(ko.OptionError, match=r"`show_wrong` draws images.*shape \(5,\)"):
        ko.show_wrong(ko.predict(bright_is_dog(), rows))


def test_a_copy_without_images_is_refused(animals):
    table = ko.predict(bright_is_dog(), animals)

    with pytest.raises(ko.OptionError, match="without its images"):
        ko.show_wrong(pickle.loads(pickle.dumps(table)))
    with pytest.raises(ko.OptionError, match="should be what"):
        ko.show_wrong(dict(table))
