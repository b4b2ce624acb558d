"""The arrays of one row: their names in a structured dtype and in a store, and how they become `x` and `y` of a batch.

| names of the arrays | what Keras receives |
|---|---|
| `x` | an array |
| `x0`, `x1`, ... | a tuple of arrays |
| `x_NAME`, ... | a dictionary of arrays, `{"NAME": ...}` |

Samples of different lengths are padded, and `length` is the length of each `x`, and `length_NAME` that of `x_NAME`. It
is not an input: the batch is cut to the longest of its samples.

The same holds for `y`, the answer, which a row may lack. A row of one array, `x`, has a plain dtype. A row of several
has the shape `()` and a structured dtype with these names, so that `rows[i]["x_image"]` is the memory of one array.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_oocore.core.errors import DataError, OptionError

X, Y, LENGTH = "x", "y", "length"
ARRAYS = "arrays"  # key of the fingerprint of a store
IMAGE = "image"  # the input that is the image, if several could be
MOST_CHARACTERS = 100  # of the name of an input, which is part of a file name
_NAME = re.compile(r"[xy](\d+|_\w+)?")


class RowSpec(NamedTuple):
    """Shape and dtype of a row. A row of several arrays has the shape `()` and a structured dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype


def fields_of(spec: RowSpec) -> dict[str, RowSpec]:
    """Return shape and dtype of each array of a row.

    Raises:
        DataError: If the names of a structured dtype say no layout.

    >>> fields_of(RowSpec((2,), np.dtype("uint8")))
    {'x': RowSpec(shape=(2,), dtype=dtype('uint8'))}
    >>> list(fields_of(RowSpec((), np.dtype([("x_image", "u1", (8, 8, 3)), ("x_age", "f4")]))))
    ['x_image', 'x_age']
    """
    names = spec.dtype.names
    if names is None:
        return {X: spec}
    if spec.shape or not _is_layout(names):
        raise DataError(
            "The arrays of a sample should be named x, or x0, x1, ..., or x_NAME, and y, or y0, y1, ..., or y_NAME. "
            f"Received: a structured array of shape {spec.shape} with the fields {', '.join(map(repr, names))}"
        )
    subarrays = (spec.dtype[name].subdtype or (spec.dtype[name], ()) for name in names)
    return {name: RowSpec(shape, dtype) for name, (dtype, shape) in zip(names, subarrays)}


def row_spec(fields: Mapping[str, RowSpec]) -> RowSpec:
    """Return shape and dtype of a row of these arrays.

    >>> row_spec({"x": RowSpec((2,), np.dtype("uint8")), "y": RowSpec((), np.dtype("int64"))}).dtype.names
    ('x', 'y')
    """
    if list(fields) == [X]:
        return fields[X]
    described = [(name, dtype, shape) for name, (shape, dtype) in fields.items()]
    return RowSpec((), np.dtype(described, align=True))


def described_arrays(spec: RowSpec) -> dict[str, list[str]]:
    """Return what a store of such rows has in its fingerprint: `{}` if a row is one array.

    >>> described_arrays(RowSpec((), np.dtype([("x", "u1", (8,)), ("y", "f4")])))
    {'arrays': ['x', 'y']}
    """
    names = spec.dtype.names
    return {} if names is None else {ARRAYS: list(names)}


def stored_spec(
    fields: Mapping[str, tuple[tuple[int, ...], np.dtype]], fingerprint: Mapping[str, Any]
) -> RowSpec | None:
    """Return shape and dtype of the rows of a store, or `None` if it has no samples. It may have other fields.

    Args:
        fields: Name → `(shape, dtype)` of the fields of the store.
        fingerprint: What determines its rows. It names the arrays of a row if there are several.
    """
    names = fingerprint.get(ARRAYS, [X])
    if not (_is_layout(names) and all(name in fields for name in names)):
        return None
    return row_spec({name: RowSpec(*fields[name]) for name in names})


def arrays_of(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return the arrays of rows by name. They share the memory of the rows."""
    names = rows.dtype.names
    return {X: rows} if names is None else {name: rows[name] for name in names}


def arranged(arrays: Any) -> tuple[Any, Any]:
    """Return `x` and `y` of arrays by name, or of one array. `y` is `None` if there is none.

    >>> arranged({"x_age": 1, "x_image": 2, "y": 3}), arranged({"x1": 4, "x0": 5})
    (({'age': 1, 'image': 2}, 3), ((5, 4), None))
    """
    if not isinstance(arrays, Mapping):
        return arrays, None
    return _part(_cut(arrays), X), _part(arrays, Y)


def named(x: Any, y: Any = None) -> dict[str, Any]:
    """Return arrays by name: the reverse of `arranged`.

    Raises:
        OptionError: If there are no arrays, or a name of a dictionary cannot be part of the name of a file.

    >>> named({"image": 1, "age": 2}, y=3)
    {'x_image': 1, 'x_age': 2, 'y': 3}
    """
    return {**_named(X, x), **({} if y is None else _named(Y, y))}


def inputs_of(names: Iterable[str]) -> dict[Any, str]:
    """Return the names of the arrays of `x` by their key in it: `None` if it is one array."""
    x = _part({name: name for name in names}, X)
    if isinstance(x, dict):
        return x
    return dict(enumerate(x)) if isinstance(x, tuple) else {None: x}


def image_key(num_axes: Mapping[Any, int]) -> Any:
    """Return the key of the image among several inputs, whose numbers of axes are given. `None` if there is none.

    It is the input with three axes. If there are several, it is the one that is called "image".

    >>> image_key({"photo": 3, "age": 0}), image_key({"image": 3, "depth": 3}), image_key({0: 3, 1: 3})
    ('photo', 'image', None)
    """
    images = [key for key, number in num_axes.items() if number == 3]
    return IMAGE if IMAGE in images else images[0] if len(images) == 1 else None


def image_field(spec: RowSpec) -> str | None:
    """Return the name of the array of a row that is drawn: `x` if it is one array, else its image, or `None`."""
    fields = fields_of(spec)
    inputs = inputs_of(fields)
    if None in inputs:
        return inputs[None]
    return inputs.get(image_key({key: len(fields[name].shape) for key, name in inputs.items()}))


def has_answer(spec: RowSpec) -> bool:
    """Whether a row contains its answer `y`."""
    return any(name[0] == Y for name in fields_of(spec))


def described(fields: Mapping[Any, RowSpec]) -> str:
    """Return the names, dtypes and shapes of arrays, for messages.

    >>> described({"x_image": RowSpec((8, 8, 3), np.dtype("uint8")), "x_age": RowSpec((), np.dtype("float32"))})
    'x_image uint8 (8, 8, 3), x_age float32 ()'
    """
    return ", ".join(f"{name} {dtype} {shape}" for name, (shape, dtype) in fields.items())


def is_cut(spec: RowSpec) -> bool:
    """Whether an input is cut to the longest sample of each batch."""
    return any(name.startswith(LENGTH) for name in fields_of(spec))


def _cut(arrays: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return arrays whose inputs are as long as the longest sample of the batch, and at least 1."""
    lengths = {name.replace(LENGTH, X, 1): values for name, values in arrays.items() if name.startswith(LENGTH)}
    if not lengths:
        return arrays
    longest = {name: max(1, int(values.max(initial=0))) for name, values in lengths.items()}
    return {
        name: np.ascontiguousarray(values[:, : longest[name]]) if name in longest else values
        for name, values in arrays.items()
    }


def _is_layout(names: Iterable[str]) -> bool:
    names = list(names)
    lengths = [name for name in names if name.startswith(LENGTH)]
    if any(name.replace(LENGTH, X, 1) not in names for name in lengths):
        return False
    names = [name for name in names if name not in lengths]
    kinds = {letter: {_kind(name) for name in names if name[:1] == letter} for letter in (X, Y)}
    valid = all(_NAME.fullmatch(name) for name in names)
    return valid and len(kinds[X]) == 1 and len(kinds[Y]) <= 1 and _are_counted(names)


def _kind(name: str) -> str:
    return "array" if len(name) == 1 else "dict" if name[1] == "_" else "tuple"


def _are_counted(names: list[str]) -> bool:
    """Whether the numbers of the arrays of each tuple are 0, 1, 2, ..."""
    for letter in (X, Y):
        numbers = sorted(name[1:] for name in names if name[0] == letter and name[1:].isdecimal())
        if set(numbers) != {str(number) for number in range(len(numbers))}:
            return False
    return True


def _part(arrays: Mapping[str, Any], letter: str) -> Any:
    if letter in arrays:
        return arrays[letter]
    names = [name for name in arrays if name[0] == letter]
    if not names:
        return None
    if names[0][1] == "_":
        return {name[2:]: arrays[name] for name in names}
    return tuple(arrays[f"{letter}{number}"] for number in range(len(names)))


def _named(letter: str, values: Any) -> dict[str, Any]:
    if isinstance(values, Mapping | tuple) and not values:
        raise OptionError(f"Expected one array or more. Received: {values!r}")
    if isinstance(values, Mapping):
        _check_names(list(values))
        return {f"{letter}_{name}": value for name, value in values.items()}
    if isinstance(values, tuple):
        return {f"{letter}{number}": value for number, value in enumerate(values)}
    return {letter: values}


def _check_names(names: list[Any]) -> None:
    for name in names:
        if not isinstance(name, str) or not f"_{name}".isidentifier() or not 0 < len(name) <= MOST_CHARACTERS:
            raise OptionError(
                "The names of several arrays become names of files, so they should have letters, digits and "
                f"underscores only. Received: {name!r}"
            )
    if len({name.casefold() for name in names}) < len(names):
        raise OptionError(
            "The names of several arrays become names of files, which some systems compare without upper case. "
            f"Received: {', '.join(map(repr, names))}"
        )
