"""How a batch that is not full is filled: with its own rows again, whose weight is 0."""

from typing import Any

import numpy as np

from keras_oocore.batches.options import BatchOptions
from keras_oocore.batches.weights import shaped_weight
from keras_oocore.core.errors import OptionError


class Padding:
    """Fills the last batch of an epoch, and batches with skipped samples, and weighs the rows of all batches.

    Keras divides the loss of a batch by its number of rows B, and the loss of an epoch by its number of batches. So
    that the k samples of a batch count as in a batch of k rows, each weighs B/k. So that all n samples of an epoch of m
    batches count alike, each weighs mB/n.

    Args:
        options: Options of the Sequence. `last_batch` tells which weights it needs.
        num_samples: Number of samples per epoch, n, of all shards together.

    >>> padding = Padding(BatchOptions(batch_size=4, last_batch="pad"), num_samples=7)
    >>> padding.apply(1, np.array([5, 6, 7]), np.array([50, 60, 70]), None, num_rows=3)[2].tolist()
    [1.3333333730697632, 1.3333333730697632, 1.3333333730697632, 0.0]
    """

    def __init__(self, options: BatchOptions, num_samples: int):
        self.num_rows: int = options.batch_size  # of this shard
        self._of_all_shards = options.batch_size * options.num_shards
        self._first = options.batch_size * (options.shard or 0)  # row of the batch of all shards
        self._num_samples = num_samples
        num_batches = -(-num_samples // self._of_all_shards)
        self._weight_of_all = (
            num_batches * self._of_all_shards / num_samples if options.last_batch == "pad_for_evaluation" else None
        )

    def repeated(self, values: np.ndarray) -> np.ndarray:
        """Return rows, repeated from the first one on until the batch is full."""
        return values if len(values) == self.num_rows else values[np.arange(self.num_rows) % len(values)]

    def num_real(self, position: int) -> int:
        """Return how many rows of a batch of this shard do not fill it. They are the first ones."""
        return min(max(self._of_batch(position) - self._first, 0), self.num_rows)

    def _of_batch(self, position: int) -> int:
        """Return the number of samples of a batch of all shards."""
        return min(self._num_samples - position * self._of_all_shards, self._of_all_shards)

    def apply(self, position: int, x: Any, y: Any, weight: np.ndarray | None, num_rows: int) -> tuple[Any, Any, Any]:
        """Return a full batch `(x, y, sample_weight)`.

        Args:
            position: Position of the batch in the epoch.
            x, y, weight: The batch. `x` and `y` may be dictionaries or tuples.
            num_rows: Number of its rows before `transform`. With several shards, it may include padding.

        Raises:
            OptionError: If there is no `y`, or `transform` returned another number of rows.
        """
        if y is None:
            raise no_labels()
        of_batch, real = self._of_batch(position), self.num_real(position)
        if num_rows < real:  # samples were skipped, which shards do not allow
            real = of_batch = num_rows
        factor = self._weight_of_all or self._of_all_shards / of_batch
        weights = np.zeros(self.num_rows, np.float32)
        weights[:real] = factor if weight is None else weight[:real] * factor
        y = self._full(y, num_rows)
        return self._full(x, num_rows), y, shaped_weight(weights, y)

    def _full(self, values: Any, num_rows: int) -> Any:
        """Fill an array, or each array in a dictionary, tuple or list."""
        if isinstance(values, dict):
            return {name: self._full(value, num_rows) for name, value in values.items()}
        if isinstance(values, tuple | list):
            filled = [self._full(value, num_rows) for value in values]
            return tuple(filled) if isinstance(values, tuple) else filled
        shape = np.shape(values)
        if shape[:1] != (num_rows,):
            raise OptionError(
                'With last_batch="pad", `transform` should return as many rows as it received, because each row has a '
                f"weight. Received: an array of shape {shape} for {num_rows} rows"
            )
        return values if num_rows == self.num_rows else self.repeated(np.asarray(values))


def require_labels(has_labels: bool, options: BatchOptions) -> None:
    """Check that batches will have labels, if a last batch is filled. A `transform` may make them.

    Raises:
        OptionError: If they will not.
    """
    if options.pads and not has_labels and options.transform is None:
        raise no_labels()


def no_labels() -> OptionError:
    """Return the error for batches of `x` alone."""
    return OptionError(
        'With last_batch="pad", the padding has the weight 0, and Keras takes weights only with labels. Received: no '
        'labels. Use last_batch="keep" or last_batch="drop". `ko.predict` returns one row per sample in any case.'
    )
