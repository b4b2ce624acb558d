"""Converts labels to the form that a model expects (integer, one-hot, binary or raw), and computes class weights."""

import copy
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np

from keras_oocore.core.checks import require_numbers
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import shown
from keras_oocore.manifest.label_strings import label_strings

LabelMode = Literal["int", "categorical", "binary", "raw"]
LABEL_MODES = (*get_args(LabelMode), None)
MAX_CLASSES = 2**31 - 1  # indices are int32


class Labels:
    """The labels of all samples, which `take` returns for the samples of a batch.

    Args:
        values: Class indices of shape `(num_samples,)` or `(num_samples, 1)`, or one-hot rows of shape
            `(num_samples, num_classes)`. For `label_mode="raw"`, any array whose first axis is the samples. `None` if
            there are no labels.
        label_mode: Type of the labels of a batch:
            - `"int"`: `int32` of shape `(batch_size,)`.
            - `"categorical"`: one-hot `float32` of shape `(batch_size, num_classes)`.
            - `"binary"`: `float32` of shape `(batch_size, 1)`.
            - `"raw"`: rows of `values`.
            - `None`: no labels.
        class_names: List of class names in the order of their indices, or `None`.

    Raises:
        OptionError: If `label_mode` is unknown, or the labels do not fit `label_mode` or `class_names`.

    >>> labels = Labels([2, 0, 1], "categorical", ["cat", "dog", "owl"])
    >>> labels.take(np.array([0, 1]))
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """

    def __init__(self, values: Any, label_mode: LabelMode | None, class_names: list[str] | None = None):
        if label_mode not in LABEL_MODES:
            raise OptionError(f"`label_mode` should be one of {LABEL_MODES}. Received: label_mode={label_mode!r}")
        self.label_mode = None if values is None else label_mode
        self.class_names = class_names
        self.values: np.ndarray | None = None
        self.num_classes: int = 0
        if self.label_mode is None:
            return
        if self.label_mode == "raw":
            self.values = np.asarray(values)
            if self.values.dtype.kind in "mM":
                require_numbers(self.values.dtype, "`labels`")
            if self.values.dtype.kind not in "biufc":
                raise OptionError(
                    f'`label_mode="raw"` requires numbers. Received: labels of dtype {self.values.dtype}. '
                    'For class names, use label_mode="int".'
                )
        else:
            indices, one_hot_width = _class_indices(np.asarray(values), self.label_mode)
            self.num_classes = self._count_classes(indices, one_hot_width)
            self.values = indices.astype(np.int32)

    def _count_classes(self, indices: np.ndarray, one_hot_width: int) -> int:
        highest = int(indices.max(initial=-1))
        lowest = int(indices.min(initial=0))
        counted = max(min(highest + 1, MAX_CLASSES), one_hot_width)
        num_classes = len(self.class_names) if self.class_names else counted
        if lowest < 0 or highest >= num_classes:
            raise OptionError(
                f"Labels should be class indices from 0 to {num_classes - 1}. "
                f"Received: labels from {lowest} to {highest}"
            )
        if self.label_mode == "binary" and (num_classes > 2 or (self.class_names and num_classes != 2)):
            raise OptionError(
                f'`label_mode="binary"` requires exactly 2 classes. Received: {num_classes} classes'
                + (f" {self.class_names}" if self.class_names else "")
            )
        return num_classes

    def select(self, samples: np.ndarray) -> "Labels":
        """The labels of only the given samples. The number of classes stays the same, even if one is missing."""
        selected = copy.copy(self)
        selected.values = None if self.values is None else self.values[samples]
        return selected

    def take(self, samples: np.ndarray) -> np.ndarray | None:
        """The labels of the given samples in the form of `label_mode`, or `None` if there are no labels."""
        if self.label_mode is None:
            return None
        values = self.values[samples]
        if self.label_mode == "binary":
            return values.astype(np.float32)[:, np.newaxis]
        if self.label_mode == "categorical":
            one_hot = np.zeros((len(values), self.num_classes), np.float32)
            one_hot[np.arange(len(values)), values] = 1
            return one_hot
        return values

    def display_strings(self, y: Any, num_rows: int) -> list[str]:
        """Each row of a batch's `y` as a string to display: class names, shares of soft labels, or numbers.

        The strings are empty if a `transform` has replaced `y` by something other than labels.

        >>> Labels([1, 0], "categorical", ["cat", "dog"]).display_strings(np.array([[0.0, 1.0]]), 1)
        ['dog']
        """
        if self.label_mode is None or not isinstance(y, np.ndarray) or y.ndim > 2:
            return [""] * num_rows
        return label_strings(y[:num_rows], self.class_names, self.label_mode)

    def class_weights(self, class_weight: Mapping[int, float] | Literal["balanced"]) -> np.ndarray:
        """The weight of each sample, `float32` of shape `(num_samples,)`, from the weights of the classes.

        Args:
            class_weight: Dictionary mapping class indices to weights; as in Keras, other classes have a weight of 1.
                Or `"balanced"`: the weights are `num_samples / (num_classes * count)`, as in scikit-learn's
                `compute_class_weight`.

        Raises:
            OptionError: If the labels are not classes, or `class_weight` is not one of the above.
        """
        if self.label_mode in (None, "raw"):
            raise OptionError(
                f"`class_weight` requires class labels. Received: label_mode={self.label_mode!r}. Use `sample_weight`."
            )
        counts = np.bincount(self.values, minlength=self.num_classes)
        if isinstance(class_weight, str):
            if class_weight != "balanced":
                raise OptionError(f'`class_weight` should be a dict or "balanced". Received: {shown(class_weight)}')
            per_class = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
        elif isinstance(class_weight, Mapping):
            per_class = np.ones(self.num_classes)
            for index, weight in class_weight.items():
                if index not in range(self.num_classes):
                    raise OptionError(
                        f"`class_weight` should map class indices from 0 to {self.num_classes - 1} to weights. "
                        f"Received: class {index!r}{self._instead_of_name(index, weight)}"
                    )
                per_class[int(index)] = weight
        else:
            raise OptionError(f'`class_weight` should be a dict or "balanced". Received: {shown(class_weight)}')
        return per_class.astype(np.float32)[self.values]

    def _instead_of_name(self, index: Any, weight: float) -> str:
        """What to type instead of the name of a class, for the message about an index."""
        names = self.class_names or []
        if index not in names:
            return ""
        number = names.index(index)
        return f". Its index is {number}: class_weight={{{number}: {weight}}}"


def _class_indices(values: np.ndarray, label_mode: str) -> tuple[np.ndarray, int]:
    """Class indices, `int64` of shape `(num_samples,)`, and the width of one-hot rows (0 for other labels)."""
    one_hot_width = 0
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    elif values.ndim == 2 and np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all():
        one_hot_width = values.shape[1]
        values = values.argmax(axis=1)
    if values.ndim != 1 or values.dtype.kind not in "biuf" or (values.dtype.kind == "f" and (values % 1 != 0).any()):
        raise OptionError(
            f'`label_mode="{label_mode}"` requires one class per sample: indices of shape (n,) or (n, 1), or one-hot '
            f"rows. Received: labels of shape {values.shape} and dtype {values.dtype}. "
            'For multi-label or regression targets, use label_mode="raw".'
        )
    return values.astype(np.int64), one_hot_width
