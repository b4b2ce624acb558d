"""`per_sample`: a transform of one sample, whose random numbers do not depend on the batch that the sample is in."""

from typing import Any

import numpy as np

from keras_oocore.batches.keyed_generator import KeyedGenerator
from keras_oocore.batches.transform import Draws, Transform, TransformFunction, checked_pair, require_arguments
from keras_oocore.core.errors import OptionError
from keras_oocore.core.threads import end_if_unwanted


def per_sample(function: TransformFunction) -> Transform:
    """Make a `transform` for a Sequence from a function of one sample.

    The random numbers of a sample depend on seed, epoch and sample. They are equal for any `batch_size`, number of
    workers, partition or number of processes. Those of a plain `transform`, which receives a whole batch, depend on
    seed, epoch and batch: with another `batch_size`, the samples are transformed differently.

    The function is called in Python once per sample. A plain `transform` of whole arrays is faster.

    Args:
        function: Function `f(x, y, rng)` of one sample that returns `(x, y)`. `x` has the shape and dtype of a sample
            after `rescale` and `dtype`, and may be changed in place. With several inputs, it is a dictionary or a
            tuple. `y` is the label, or `None` without labels. `rng` is a `numpy.random.Generator`, to be used within
            the call only. Shape and dtype of the results may differ from those of the arguments, but not within a
            batch.

    Returns:
        An object for the argument `transform` or `val_transform`. Calling it calls `function`.

    Raises:
        OptionError: If `function` is not a function. When a batch is made: if the function does not return `(x, y)`, or
            its results have different shapes or dtypes within a batch.

    >>> import keras_oocore as ko
    >>> @ko.per_sample
    ... def jitter(x, y, rng):
    ...     return x + rng.integers(100), y
    >>> small, large = (
    ...     ko.ArraySequence(np.zeros(6, int), labels=None, batch_size=size, transform=jitter, seed=0, shuffle=False)
    ...     for size in (2, 6)
    ... )
    >>> np.concatenate(list(small)).tolist() == large[0].tolist()
    True
    """
    return PerSample(function)


class PerSample(Transform):
    """A function `f(x, y, rng)` of one sample, or of its image alone."""

    def __init__(self, function: TransformFunction, of_images: bool = False):
        if not callable(function) or isinstance(function, Transform):
            raise OptionError(f"`per_sample` requires a function of one sample. Received: {function!r}")
        require_arguments(function, "function")
        self.function = function
        self.of_images: bool = of_images

    def __call__(self, x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        return self.function(x, y, rng)

    def __repr__(self) -> str:
        return f"per_sample({getattr(self.function, '__name__', repr(self.function))})"

    def apply(self, x: Any, y: Any, draws: Draws) -> tuple[Any, Any]:
        generator, xs, ys = KeyedGenerator(), _Results(draws, "x", x), _Results(draws, "y")
        for row, key in enumerate(draws.keys()):
            end_if_unwanted()
            try:
                result = self.function(_row(x, row), _row(y, row), generator.at(key))
                new_x, new_y = checked_pair(result, "per_sample function")
            except Exception as error:
                error.add_note(f"Raised by the function of `per_sample` for {draws.name(int(draws.samples[row]))}")
                raise
            xs.put(row, new_x)
            ys.put(row, new_y)
        return xs.stacked(), ys.stacked()


class _Results:
    """The results for the rows of a batch: an array, or a dictionary or tuple of arrays, filled row by row.

    Args:
        draws: The `Draws` of the batch.
        name: What the results are, for messages.
        into: Array whose memory is used if its rows have the shape and dtype of the results.
    """

    def __init__(self, draws: Draws, name: str, into: Any = None):
        self._draws, self._name, self._into = draws, name, into
        self._kind = None  # of the first result, which all others must have
        self.array = self.parts = None
        self._is_tuple = False

    def put(self, row: int, value: Any) -> None:
        """Copy the result for a row, so that a function may return the same memory every time.

        Raises:
            OptionError: If it has another shape or dtype than the first result.
        """
        if not (value is None or isinstance(value, dict | tuple)):
            value = np.asarray(value)
        if self._kind is None:
            self._kind = _kind(value)
            self._make(value)
        elif _kind(value) != self._kind:
            first, this = (self._draws.name(int(self._draws.samples[number])) for number in (0, row))
            raise OptionError(
                "The function of `per_sample` should return the same shape and dtype for every sample of a batch. "
                f"Received: {self._name} is {self._kind} for {first}, and {_kind(value)} for {this}"
            )
        if self.parts is not None:
            for key, part in self.parts.items():
                part.put(row, value[key])
        elif self.array is not None:
            self.array[row] = value

    def _make(self, first: Any) -> None:
        if isinstance(first, dict | tuple):
            names = first if isinstance(first, dict) else range(len(first))
            inputs = self._into if isinstance(self._into, dict) else {}
            self._is_tuple = isinstance(first, tuple)
            self.parts = {key: _Results(self._draws, f"{self._name}[{key!r}]", inputs.get(key)) for key in names}
        elif first is not None:
            shape, into = (len(self._draws.samples), *first.shape), self._into
            fits = isinstance(into, np.ndarray) and (into.shape, into.dtype) == (shape, first.dtype)
            self.array = into if fits else np.empty(shape, first.dtype)

    def stacked(self) -> Any:
        """Return the results of all rows."""
        if self.parts is None:
            return self.array
        stacked = {key: part.stacked() for key, part in self.parts.items()}
        return tuple(stacked.values()) if self._is_tuple else stacked


def _row(values: Any, row: int) -> Any:
    """Return one row of an array, or of each array in a dictionary or a tuple."""
    if isinstance(values, dict):
        return {name: _row(value, row) for name, value in values.items()}
    if isinstance(values, tuple):
        return tuple(_row(value, row) for value in values)
    return None if values is None else values[row]


def _kind(value: Any) -> str:
    """Return what must be equal within a batch, in words."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    if isinstance(value, dict):
        return f"a dict of {', '.join(map(str, sorted(value)))}"
    return "None" if value is None else f"a tuple of {len(value)}"
