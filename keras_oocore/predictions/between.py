"""Puts the rows of a table that are left out between the samples of a batch."""

import numpy as np

from keras_oocore.sequences.in_order import LeftOut, Named, ReadBatch

NO_CLASS = -1


class Between:
    """The rows of a batch: its samples, and the rows that are left out before and between them.

    Args:
        read: The samples.
        left_out: The other rows, or `None`.

    Attributes:
        readable: Whether each row was read, `bool` of shape `(num_rows,)`.
        errors: Number of a row → why it cannot be read.
    """

    def __init__(self, read: ReadBatch, left_out: LeftOut | None):
        self._left_out = left_out
        self.readable: np.ndarray = read.readable
        self.errors: dict[int, str] = read.errors
        if left_out is not None:
            readable = np.concatenate([read.readable, np.zeros(len(left_out.reasons), bool)])
            reasons = {**read.errors, **dict(enumerate(left_out.reasons, len(read.readable)))}
            self.readable = readable[left_out.order]
            self.errors = {row: reasons[place] for row, place in enumerate(left_out.order.tolist()) if place in reasons}

    def columns(self, of_samples: Named) -> Named:
        """Return the columns that name the rows, from those of the samples."""
        if self._left_out is None:
            return of_samples
        others = {**self._left_out.others, **self._left_out.columns}  # an id may be called `row`, too
        return {name: self._joined(values, others[name]) for name, values in of_samples.items()}

    def labels(self, of_samples: Named) -> Named:
        """Return the labels of the rows, from those of the samples. The other rows have none."""
        if self._left_out is None:
            return of_samples
        joined = {}
        for name, values in of_samples.items():
            nothing = None if values.dtype == object else np.nan if values.dtype.kind == "f" else NO_CLASS
            joined[name] = self._joined(values, np.full(len(self._left_out.reasons), nothing, values.dtype))
        return joined

    def _joined(self, of_samples: np.ndarray, of_others: np.ndarray) -> np.ndarray:
        return np.concatenate([of_samples, of_others])[self._left_out.order]
