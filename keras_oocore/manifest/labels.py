"""Labels as a model wants them: integer, one-hot, binary or raw; and the weights of classes. Arrays only."""

from collections.abc import Mapping

import numpy as np

from keras_oocore.core.errors import OptionError

LABEL_MODES = ("int", "categorical", "binary", "raw", None)
MOST_CLASSES = 2**31 - 1  # indices are int32


class Labels:
    """The labels of all samples, given out a batch at a time.

    Args:
        values: `(num_samples,)` class indices, also as `(num_samples, 1)` or one-hot `(num_samples, num_classes)`, as
            blog code saves them; for `"raw"` any array whose first axis is the samples; `None` without labels.
        label_mode: `"int"` gives `int32` of shape `(batch,)`; `"categorical"` one-hot `float32` of shape
            `(batch, num_classes)`; `"binary"` `float32` of shape `(batch, 1)`; `"raw"` rows of `values`;
            `None` no labels.
        class_names: names of the classes, in the order of their indices.

    >>> labels = Labels([2, 0, 1], "categorical", ["cat", "dog", "owl"])
    >>> labels.take(np.array([0, 1]))
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """

    def __init__(self, values, label_mode: str | None, class_names: list[str] | None = None):
        if label_mode not in LABEL_MODES:
            raise OptionError(f"`label_mode` should be one of {LABEL_MODES}. Received: label_mode={label_mode!r}")
        self.label_mode = None if values is None else label_mode
        self.class_names = class_names
        if self.label_mode is None:
            self.values = None
            self.num_classes = 0
        elif self.label_mode == "raw":
            self.values = np.asarray(values)
            if self.values.dtype.kind not in "biufc":
                raise OptionError(
                    f'`label_mode="raw"` wants numbers. Received: labels of dtype {self.values.dtype}. '
                    'Use label_mode="int" for names of classes.'
                )
            self.num_classes = 0
        else:
            indices, one_hot_width = _class_indices(np.asarray(values), self.label_mode)
            self.num_classes = self._count_classes(indices, one_hot_width)
            self.values = indices.astype(np.int32)

    def _count_classes(self, indices: np.ndarray, one_hot_width: int) -> int:
        highest = int(indices.max(initial=-1))
        lowest = int(indices.min(initial=0))
        counted = max(min(highest + 1, MOST_CLASSES), one_hot_width)
        num_classes = len(self.class_names) if self.class_names else counted
        if lowest < 0 or highest >= num_classes:
            raise OptionError(
                f"Labels should be class indices from 0 to {num_classes - 1}. "
                f"Received: labels from {lowest} to {highest}"
            )
        if self.label_mode == "binary" and (num_classes > 2 or (self.class_names and num_classes != 2)):
            raise OptionError(
                f'`label_mode="binary"` wants exactly 2 classes. Received: {num_classes} classes'
                + (f" {self.class_names}" if self.class_names else "")
            )
        return num_classes

    def take(self, samples: np.ndarray) -> np.ndarray | None:
        """The labels of these samples, as `label_mode` says."""
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

    def texts(self, y, num_rows: int) -> list[str]:
        """The rows of a batch's `y` as a person reads them; empty where a transform made something else of it.

        >>> Labels([1, 0], "categorical", ["cat", "dog"]).texts(np.array([[0.0, 1.0]]), 1)
        ['dog']
        """
        if self.label_mode is None or not isinstance(y, np.ndarray) or y.ndim > 2:
            return [""] * num_rows
        return [self._text(label) for label in y[:num_rows]]

    def _text(self, label) -> str:
        if self.label_mode == "raw":
            return str(label)
        index = int(np.argmax(label)) if self.label_mode == "categorical" else int(np.ravel(label)[0])
        return self.class_names[index] if self.class_names else str(index)

    def class_weights(self, class_weight: Mapping[int, float] | str) -> np.ndarray:
        """The weight of every sample, `float32` of shape `(num_samples,)`, from the weights of the classes.

        Args:
            class_weight: `{class index: weight}`, where a class that is left out weighs 1 as in Keras; or
                `"balanced"`: `num_samples / (num_classes * count)`, as in scikit-learn's `compute_class_weight`.
        """
        if self.label_mode in (None, "raw"):
            raise OptionError(
                f"`class_weight` wants class labels. Received: label_mode={self.label_mode!r}. Use `sample_weight`."
            )
        counts = np.bincount(self.values, minlength=self.num_classes)
        if isinstance(class_weight, str):
            if class_weight != "balanced":
                raise OptionError(f'`class_weight` should be a dict or "balanced". Received: {class_weight!r}')
            per_class = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
        elif isinstance(class_weight, Mapping):
            per_class = np.ones(self.num_classes)
            for index, weight in class_weight.items():
                if index not in range(self.num_classes):
                    raise OptionError(
                        f"`class_weight` has a class that does not exist: {index!r}. "
                        f"Expected class indices from 0 to {self.num_classes - 1}."
                    )
                per_class[int(index)] = weight
        else:
            raise OptionError(f'`class_weight` should be a dict or "balanced". Received: {class_weight!r}')
        return per_class.astype(np.float32)[self.values]


def _class_indices(values: np.ndarray, label_mode: str) -> tuple[np.ndarray, int]:
    """`int64` of shape `(num_samples,)` from class indices, a column of them, or one-hot rows; and the rows' width."""
    one_hot_width = 0
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    elif values.ndim == 2 and np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all():
        one_hot_width = values.shape[1]
        values = values.argmax(axis=1)
    if values.ndim != 1 or values.dtype.kind not in "biuf" or (values.dtype.kind == "f" and (values % 1 != 0).any()):
        raise OptionError(
            f'`label_mode="{label_mode}"` wants one class a sample: indices of shape (n,) or (n, 1), or one-hot rows. '
            f"Received: labels of shape {values.shape} and dtype {values.dtype}. "
            'Use label_mode="raw" for multi-label or regression targets.'
        )
    return values.astype(np.int64), one_hot_width
