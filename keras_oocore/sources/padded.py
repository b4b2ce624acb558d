"""Arrays of different lengths as rows of one shape: each is padded to the most, and its length is kept beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from keras_oocore.core.checks import choice, is_integer
from keras_oocore.core.errors import FormError, OptionError
from keras_oocore.core.text import shown
from keras_oocore.sources.function_reader import require_alike
from keras_oocore.sources.layout import LENGTH, RowSpec, arrays_of, described, inputs_of, row_spec

Pad = Literal["batch"]
ARRAY, LENGTHS = "array", "lengths"  # the inputs of a model, if the lengths are an input, too
LENGTH_SPEC = RowSpec((), np.dtype(np.int32))


class LoadingReader(Protocol):
    """A reader that can return arrays of other shapes than those of the first file."""

    fields: dict[str, RowSpec]
    options: dict[str, Any]

    def load(self, path: str) -> dict[str, np.ndarray]:
        """Return the arrays of a file by name."""


@dataclass(frozen=True)
class PadOptions:
    """How arrays of different lengths become arrays of one shape. Arguments are those of `NpyManifestSequence`.

    Raises:
        OptionError: If an argument is not valid.
    """

    pad: Pad | None = None
    pad_to: Any = None
    pad_value: float = 0
    lengths: bool = False

    def __post_init__(self) -> None:
        if self.pad is not None:
            choice(self.pad, "pad", ("batch",))
        if self.pad_to is not None:
            given = list(self.pad_to.values()) if isinstance(self.pad_to, Mapping) else [self.pad_to]
            if not given or not all(_is_length(value) for value in given):
                raise OptionError(
                    "`pad_to` should be the largest length, such as pad_to=1000, or a shape, such as "
                    'pad_to=(1000, 40), or for several inputs a dictionary, such as pad_to={"audio": 1000}. '
                    f"Received: pad_to={shown(self.pad_to)}"
                )
        elif not self.pads and (self.lengths or self.pad_value):
            name = "lengths" if self.lengths else "pad_value"
            raise OptionError(
                f'`{name}` is for arrays that are padded: pass pad="batch" or pad_to=LENGTH, too. '
                f"Received: {name}={getattr(self, name)!r}"
            )

    @property
    def pads(self) -> bool:
        """Whether arrays are padded."""
        return self.pad is not None or self.pad_to is not None


def _is_length(value: Any) -> bool:
    axes = value if isinstance(value, tuple | list) else [value]
    return bool(axes) and all(is_integer(axis) and axis > 0 for axis in axes)


class PaddedReader:
    """Pads the arrays that another reader loads.

    Args:
        reader: Reads one file.
        options: How its arrays are padded.
        longest: The largest length of an array `x` of all files, if `pad_to` does not say it.

    Raises:
        OptionError: If the options do not fit the arrays.
    """

    def __init__(self, reader: LoadingReader, options: PadOptions, longest: int | None = None):
        self.reader: LoadingReader = reader
        self.pad_value: float = options.pad_value
        self.most: dict[str, tuple[int, ...]] = _most(reader.fields, options, longest)
        self._lengths: dict[str, list[str]] = {}  # name of a padded array → the arrays that have its length
        self._names: dict[str, str] = {name: name for name in reader.fields}
        if options.lengths:
            self._add_lengths(reader.fields)
        padded = {
            self._names[name]: RowSpec(self.most.get(name, spec.shape), spec.dtype)
            for name, spec in reader.fields.items()
        }
        for name in self.most:
            if options.lengths:
                self._lengths.setdefault(name, []).append(f"x_{LENGTHS}")
            if options.pad is not None:
                self._lengths.setdefault(name, []).append(LENGTH + self._names[name][1:])
            _check_value(options.pad_value, reader.fields[name].dtype)
        lengths = {length: LENGTH_SPEC for of_array in self._lengths.values() for length in of_array}
        inputs = [name for name in padded if name[0] == "x"]
        answer = [name for name in padded if name[0] != "x"]
        fields = {name: padded[name] for name in inputs} | lengths | {name: padded[name] for name in answer}
        spec = row_spec(fields)
        self.shape: tuple[int, ...] = spec.shape
        self.dtype: np.dtype = spec.dtype
        shapes = {name: list(shape) for name, shape in self.most.items()}
        self.options: dict[str, Any] = {**reader.options, "pad_to": shapes, "pad_value": float(options.pad_value)}

    def _add_lengths(self, fields: Mapping[str, RowSpec]) -> None:
        if len(self.most) > 1 or "x0" in fields or f"x_{LENGTHS}" in fields:
            raise OptionError(
                "`lengths=True` adds the input `lengths`, for one padded array. Return a dictionary with one padded "
                f"array, or with lengths of your own, from the `reader`. Received: {described(fields)}"
            )
        if "x" in fields:
            self._names["x"] = f"x_{ARRAY}"

    def read_into(self, path: str, out: np.ndarray) -> None:
        """Fill `out` with the arrays of a file, padded, and their lengths."""
        arrays, targets = self.reader.load(path), arrays_of(out)
        require_alike(arrays, self.reader.fields, "the file contains")
        for name, array in arrays.items():
            target = targets[self._names[name]]
            if name not in self.most:
                if array.shape != target.shape:
                    raise FormError(
                        f"{name} has the shape {array.shape}; for the first file it was {target.shape}. "
                        "Pass its largest length, too, in `pad_to`"
                    )
                target[...] = array
                continue
            if any(length > most for length, most in zip(array.shape, target.shape)):
                raise FormError(
                    f"its array has the shape {array.shape}, which is larger than pad_to={target.shape}. Pass the "
                    "largest shape of all files, or cut the array in a `reader`"
                )
            target[...] = self.pad_value
            target[tuple(map(slice, array.shape))] = array
            for length in self._lengths.get(name, ()):
                targets[length][...] = len(array)


def _most(fields: Mapping[str, RowSpec], options: PadOptions, longest: int | None) -> dict[str, tuple[int, ...]]:
    """Return the shape to which each array is padded, by name."""
    pad_to = longest if options.pad_to is None else options.pad_to
    inputs = inputs_of(fields)
    if pad_to is None:
        raise OptionError(
            'With a `reader`, pad="batch" requires the largest length of all files: pass pad_to=LENGTH, too. '
            "Received: pad_to=None"
        )
    if not isinstance(pad_to, Mapping):
        if None not in inputs:
            raise OptionError(
                "With several inputs, `pad_to` is a dictionary, by the name of each input that is padded. "
                f"Received: pad_to={shown(pad_to)} for {described(fields)}"
            )
        pad_to = {None: pad_to}
    if unknown := [key for key in pad_to if key not in inputs]:
        raise OptionError(
            f"`pad_to` names an input that does not exist. Expected: {', '.join(map(repr, inputs))}. "
            f"Received: {unknown[0]!r}"
        )
    return {inputs[key]: _shape(most, fields[inputs[key]]) for key, most in pad_to.items()}


def _shape(most: Any, spec: RowSpec) -> tuple[int, ...]:
    if not spec.shape:
        raise OptionError(f"`pad_to` is for arrays with axes. Received: numbers of dtype {spec.dtype}")
    if is_integer(most):
        return (int(most), *spec.shape[1:])
    if len(most) != len(spec.shape):
        raise OptionError(
            f"`pad_to` should have one length per axis, {len(spec.shape)} of them, or be the length of the first axis. "
            f"Received: pad_to={tuple(most)} for an array of shape {spec.shape}"
        )
    return tuple(int(axis) for axis in most)


def _check_value(value: Any, dtype: np.dtype) -> None:
    try:
        same = np.isclose(float(np.array(value).astype(dtype)), float(value), rtol=1e-3, equal_nan=True)
    except (TypeError, ValueError, OverflowError):
        same = False
    if not same:
        raise OptionError(f"`pad_value` should be a value of dtype {dtype}. Received: pad_value={value!r}")
