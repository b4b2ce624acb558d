"""`ko.show_wrong`: the pictures whose predicted class is wrong."""

import os
from typing import TYPE_CHECKING

import numpy as np

from keras_oocore.core.checks import positive
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import shown
from keras_oocore.plots.figure import empty_figure, finished
from keras_oocore.plots.images import Caption, Pictures, picture_grid
from keras_oocore.predictions.confusion import labelled_columns
from keras_oocore.predictions.table import Predictions
from keras_oocore.sequences.batch_figure import WRONG, is_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = ("file", "row")


def show_wrong(
    table: Predictions,
    num_images: int = 16,
    path: str | os.PathLike[str] | None = None,
    label: str = "label",
    predicted: str = "class",
) -> "Figure":
    """Draw the images whose predicted class is wrong, with the true class and, after ✗, the predicted one.

    The predictions that were most certain come first: among them are most of the wrong labels. Images are read again.

    Args:
        table: What `ko.predict` returned for a Sequence of images with labels.
        num_images: The largest number of images.
        path: Path of a `.png` file to save the figure to, or `None`.
        label: Column of the true classes.
        predicted: Column of the predicted classes, such as `"species/class"` for a model with several outputs.

    Returns:
        A `matplotlib.figure.Figure`, which a notebook displays. If no prediction is wrong, it says so.

    Raises:
        OptionError: If the table has no labels, or its samples are not images.
        SampleError: If a file cannot be read any more.
        MissingExtraError: If matplotlib is not installed.

    >>> import keras
    >>> import keras_oocore as ko
    >>> images = np.full((3, 8, 8, 3), 200, "uint8")
    >>> model = keras.Sequential([keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(2), keras.layers.Softmax()])
    >>> table = ko.predict(model, ko.ArraySequence(images, [0, 1, 0], class_names=["cat", "dog"]))
    >>> wrong = show_wrong(table)
    """
    if not isinstance(table, Predictions):
        raise OptionError(
            "`table` should be what `ko.predict` returned: ko.show_wrong(ko.predict(model, sequence)). "
            f"Received: {shown(table)}"
        )
    num_images = positive(num_images, "num_images")
    true, found = labelled_columns(table, label, predicted)
    known = np.array([one is not None and other is not None for one, other in zip(true, found)], bool)
    wrong = np.flatnonzero(known & (true != found))
    if not len(wrong):
        return _nothing_wrong(int(known.sum()), path)
    column = f"{predicted.rpartition('class')[0]}probability"
    probability = table.get(column)
    if probability is not None:
        wrong = wrong[np.argsort(-probability[wrong], kind="stable")]
    wrong = wrong[:num_images].tolist()
    names = next((table[name] for name in NAMES if name in table), None)
    captions = []
    for row in wrong:
        share = "" if probability is None else f" {probability[row]:.0%}"
        name = [] if names is None else [f"row {names[row]}" if "file" not in table else str(names[row])]
        captions.append(Caption([true[row], f"{WRONG} {found[row]}{share}", *name]))
    return picture_grid([Pictures(_pixels(table, wrong))], captions, path)


def _pixels(table: Predictions, rows: list[int]) -> np.ndarray:
    found = [table.picture(row) for row in rows]
    pictures = [picture for picture in found if picture is not None]
    if len(pictures) < len(found):
        raise OptionError("This table was copied or loaded, without its images. Pass what `ko.predict` returned.")
    pixels = np.stack(pictures)
    if not is_picture(pixels.shape[1:]):
        raise OptionError(
            "`show_wrong` draws images: samples of shape (height, width, 1, 3 or 4), or (height, width). "
            f"Received: samples of shape {pixels.shape[1:]}"
        )
    return pixels


def _nothing_wrong(num_rows: int, path: str | os.PathLike[str] | None) -> "Figure":
    figure = empty_figure(4, 0.6)
    figure.text(0.5, 0.5, f"None of {num_rows:,} predictions is wrong.", ha="center", va="center", fontsize=9)
    return finished(figure, path)
