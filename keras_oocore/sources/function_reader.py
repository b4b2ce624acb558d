"""A reader made of a function of the user, which returns an array, several inputs, or inputs and the answer."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_oocore.core import storage
from keras_oocore.core.errors import FormError, OptionError, SampleError
from keras_oocore.core.fingerprint import described
from keras_oocore.sources.layout import RowSpec, arrays_of, named, row_spec

HOW_TO_PAD = 'For arrays of different lengths, pass pad="batch", or pad_to=LENGTH.'

RETURNED = "`reader` returned"


class FunctionReader:
    """Makes a reader from a function that takes a path and returns arrays of fixed shapes.

    As a batch of Keras, a tuple that the function returns is `(x, y)`, and `x` is an array, a dictionary of arrays, or
    a tuple of arrays. `y` may be `None`.

    Args:
        function: Function that takes a path and returns an array, a dictionary of arrays, or a tuple `(x, y)`.
        path: Path of the file that defines shapes and dtypes, usually the first one.

    Attributes:
        fields: Shape and dtype of each array, by its name in `sources/layout`.

    >>> import numpy as np
    >>> reader = FunctionReader(lambda path: ({"image": np.zeros((8, 8, 3), "uint8"), "age": 4.0}, 1), "1.png")
    >>> list(reader.fields)
    ['x_image', 'x_age', 'y']
    """

    def __init__(self, function: Callable[[str], Any], path: str | os.PathLike[str]):
        self.function: Callable[[str], Any] = function
        self.fields: dict[str, RowSpec] = {}
        for name, array in self.load(storage.local_path(path)).items():
            if array.dtype.kind not in "biufc":
                what = f"for {name}: an" if name != "x" else "an"
                raise SampleError(f"`reader` should return numbers. Received: {what} array of dtype {array.dtype}")
            self.fields[name] = RowSpec(array.shape, array.dtype)
        spec = row_spec(self.fields)
        self.shape: tuple[int, ...] = spec.shape
        self.dtype: np.dtype = spec.dtype
        self.options: dict[str, Any] = {"reader": described(function)}

    def load(self, path: str) -> dict[str, np.ndarray]:
        """Return the arrays that the function returns for `path`, by name.

        Raises:
            OptionError: If it returns a tuple that is not `(x, y)`, or names that no file can have.
        """
        return {name: np.asarray(values) for name, values in returned(self.function(storage.local_path(path))).items()}

    def read_into(self, path: str, out: np.ndarray) -> None:
        """Fill `out` with the arrays that the function returns for `path`."""
        arrays, targets = self.load(path), arrays_of(out)
        require_alike(arrays, self.fields)
        for name, array in arrays.items():
            if array.shape != self.fields[name].shape:
                is_longer = array.shape[1:] == self.fields[name].shape[1:]
                raise _other_array(name, array, self.fields[name], HOW_TO_PAD if is_longer else "")
            targets[name][...] = array


def returned(result: Any) -> dict[str, Any]:
    """Return what a function of the user returned, by the names in `sources/layout`.

    Raises:
        OptionError: If it is a tuple that is not `(x, y)`.

    >>> returned((1, 2)), returned(((1, 2), None)), returned({"image": 1})
    ({'x': 1, 'y': 2}, {'x0': 1, 'x1': 2}, {'x_image': 1})
    """
    if not isinstance(result, tuple):
        return named(result)
    if len(result) != 2 or result[0] is None:
        raise OptionError(
            "A tuple that a `reader` returns is `(x, y)`, as a batch of Keras. For several inputs, return a "
            "dictionary, or ((first, second), y), where y may be None. For weights, pass `sample_weight` to the "
            f"Sequence. Received: a tuple of {len(result)}"
        )
    return named(*result)


def require_alike(arrays: Mapping[str, np.ndarray], fields: Mapping[str, RowSpec], returned: str = RETURNED) -> None:
    """Check the names, dtypes and numbers of axes of arrays. `returned` begins the message.

    Raises:
        FormError: If they differ from those of the first file.
    """
    if arrays.keys() != fields.keys():
        raise FormError(
            f"`reader` returned {', '.join(arrays)}; for the first file it was {', '.join(fields)} (x are the inputs, "
            "and y is the answer)"
        )
    for name, array in arrays.items():
        spec = fields[name]
        floats = array.dtype.kind == spec.dtype.kind == "f"  # converting them loses at most precision
        if array.ndim != len(spec.shape) or not (floats or np.can_cast(array.dtype, spec.dtype, "safe")):
            raise _other_array(name, array, spec, returned=returned)


def _other_array(name: str, array: np.ndarray, spec: RowSpec, remedy: str = "", returned: str = RETURNED) -> FormError:
    which = "" if name == "x" else f"{name}: "
    return FormError(
        f"{which}{returned} an array of shape {array.shape} and dtype {array.dtype}; "
        f"for the first file it was {spec.shape} and {spec.dtype}" + (f". {remedy}" if remedy else "")
    )
