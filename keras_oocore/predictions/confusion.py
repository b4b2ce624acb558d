"""`ko.plot_confusion`: how often samples of each class are predicted as each class."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import counted, listed, shown
from keras_oocore.plots.confusion import confusion_figure
from keras_oocore.predictions.table import Predictions
from keras_oocore.tables.targets import sorted_classes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_confusion(
    table: Any, path: str | os.PathLike[str] | None = None, label: str = "label", predicted: str = "class"
) -> "Figure":
    """Draw a confusion matrix: a row per true class, and a column per predicted class.

    Each row is normalized: its numbers are percentages of the samples of the class, and its colors are their shares.
    With more than 20 classes, there are only colors. Above are the accuracy, its mean over the classes, and the most
    frequent confusions. Beside each row is the number of its samples. Rows without a label or prediction are left out.

    Args:
        table: What `ko.predict` returned for a Sequence with labels; or a dictionary or `DataFrame` with these columns,
            such as `pandas.read_csv("predictions.csv")`.
        path: Path of a `.png` file to save the figure to, or `None`.
        label: Column of the true classes.
        predicted: Column of the predicted classes, such as `"species/class"` for a model with several outputs.

    Returns:
        A `matplotlib.figure.Figure`, which a notebook displays.

    Raises:
        OptionError: If the table has no such columns, or no row with a label and a prediction.
        MissingExtraError: If matplotlib is not installed.

    >>> figure = plot_confusion({"label": ["cat", "cat", "dog"], "class": ["cat", "dog", "dog"]})
    >>> print(figure.get_suptitle().splitlines()[0])
    66.7% of 3 right, mean of classes 75.0%
    """
    true, found = labelled_columns(table, label, predicted)
    known = np.array([one is not None and other is not None for one, other in zip(true, found)], bool)
    if not known.any():
        raise OptionError(f"`table` has no row with both {label!r} and {predicted!r}.")
    names = _class_names(table, predicted, {*true[known], *found[known]})
    index = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, ([index[name] for name in true[known]], [index[name] for name in found[known]]), 1)
    left_out = int((~known).sum())
    note = f"{counted(left_out, 'row')} without a label or prediction left out" if left_out else ""
    return confusion_figure(counts, names, path, note)


def labelled_columns(table: Any, label: str, predicted: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the true and the predicted classes as strings, of dtype `object`. `None` stands for a missing one.

    Raises:
        OptionError: If the table has no such columns.
    """
    columns = list(table) if isinstance(table, Mapping) else list(getattr(table, "columns", ()))
    for name in (label, predicted):
        if name not in columns:
            hint = (
                " Predict a Sequence with labels, such as a folder with a folder per class."
                if name == label and predicted in columns
                else ""
            )
            hint = hint if columns else " Pass what `ko.predict` returns: ko.predict(model, sequence)."
            received = f"the columns {listed(map(str, columns))}" if columns else shown(table)
            raise OptionError(f"`table` should have a column {name!r}.{hint} Received: {received}")
    true, found = (np.array([_class(value) for value in table[name]], object) for name in (label, predicted))
    return true, found


def _class(value: Any) -> str | None:
    """Return a cell as the name of a class. Of pandas and CSV, empty cells and NaN are missing."""
    if value is None or value == "" or value != value:
        return None
    return str(value)


def _class_names(table: Any, predicted: str, seen: set[str]) -> list[str]:
    """Return the classes in the order of the model, if the table has it, and otherwise sorted."""
    prefix = predicted.rpartition("class")[0]
    if isinstance(table, Predictions):
        groups = [group.names for group in table.rows.groups if group.predicted and group.values.ndim == 2]
        names = [name.removeprefix(prefix).removeprefix("probability/") for names in groups for name in names]
        if seen <= set(names):
            return names
    return sorted_classes(seen)
