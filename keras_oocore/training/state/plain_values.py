"""Python values as JSON and NumPy arrays; this module does not know what the values mean or where they are stored.

None, booleans, integers, finite numbers, strings and lists are written to the JSON unchanged. Everything else is an
object with one key that names its type, so that a dictionary of the user can have any keys:

    {"float": "7ff8000000000000"}   infinities and NaN, as the 8 bytes of a double
    {"int": "0x..."}                integers of more than 64 bits
    {"str": "..."}, {"bytes": ..}   strings with lone surrogates (base64 of their UTF-8), bytes (base64)
    {"tuple": [..]}, {"set": [..]}, {"frozenset": [..]}
    {"dict": {..}}                  all keys are strings
    {"items": [[key, value], ..]}   keys of any type
    {"array": name}                 an array, which is stored separately
    {"scalar": [dtype, hex]}, {"np.str": ..}, {"np.bytes": ..}      a NumPy scalar
"""

import base64
import dataclasses
import itertools
import math
import reprlib
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_oocore.core.errors import DataError, OutOfCoreError
from keras_oocore.training.state.dtypes import dtype_name, named_dtype

MAX_DEPTH = 32
COLLECTIONS: dict[str, type] = {"tuple": tuple, "set": set, "frozenset": frozenset}
PLAIN = (
    "None, bool, int, float, str, bytes, list, tuple, set, frozenset, dict, and arrays and scalars of NumPy, "
    f"nested at most {MAX_DEPTH} deep, and no subclasses of these"
)


class NotPlainError(OutOfCoreError, TypeError):
    """A value that cannot be saved as JSON and arrays. The message says where it is, and its type."""


def to_plain(value: Any, arrays: dict[str, np.ndarray], name: str) -> Any:
    """Return a value as JSON, and add the arrays in it to `arrays`.

    `from_plain` restores every type and every bit. The arrays are not copied. A list that occurs in two places is
    restored as two lists.

    Args:
        value: `None`, booleans, numbers, strings, bytes, collections of these, or arrays and scalars of NumPy.
        arrays: Receives each array, under names that begin with `name`. Unchanged if an error is raised.
        name: Name of the value, for its arrays and for error messages.

    Raises:
        NotPlainError: If the value is of any other type, including subclasses of these types.

    >>> arrays = {}
    >>> to_plain({"rate": 0.5, "shape": (2, 3), "mean": np.float32([1, 2])}, arrays, "scaler")
    {'dict': {'rate': 0.5, 'shape': {'tuple': [2, 3]}, 'mean': {'array': 'scaler.0'}}}
    >>> arrays
    {'scaler.0': array([1., 2.], dtype=float32)}
    >>> to_plain({"log": [object()]}, arrays, "scaler")
    Traceback (most recent call last):
    keras_oocore.training.state.plain_values.NotPlainError: `scaler['log'][0]` is an object. Expected: None, ...
    """
    found, numbers = {}, itertools.count()

    def keep(array: np.ndarray) -> str:
        free = next(key for number in numbers if (key := f"{name}.{number}") not in arrays)
        found[free] = array
        return free

    plain = _plain(value, keep, ValuePath(name))
    arrays.update(found)
    return plain


def from_plain(plain: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the value that `to_plain` saved.

    Args:
        plain: What `to_plain` returned, also after `json.dumps` and `json.loads`.
        arrays: The arrays that it added. They are not copied.

    Raises:
        DataError: If `to_plain` did not return this, or an array is missing.
        MissingExtraError: If a dtype requires ml_dtypes, which is not installed.

    >>> from_plain({"tuple": [1, {"array": "a.0"}]}, {"a.0": np.zeros(2)})
    (1, array([0., 0.]))
    """
    try:
        return _value(plain, arrays, 0)
    except DataError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError, struct.error) as error:
        raise DataError(f"This is not a value saved by keras_oocore ({error!r}): {reprlib.repr(plain)}") from error


# --- to JSON --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class ValuePath:
    """The path to a value: its container, and the step to it (an index, a key, or `...` for a key or member)."""

    name: str
    parent: "ValuePath | None" = None
    container: Any = None
    step: Any = None

    def within(self, container: Any, step: Any) -> "ValuePath":
        return ValuePath(self.name, self, container, step)

    def containers(self) -> list[Any]:
        """Return everything that contains the value, innermost first."""
        return [self.container, *self.parent.containers()] if self.parent else []

    def __str__(self) -> str:
        step = "..." if self.step is ... else reprlib.repr(self.step)
        return f"{self.parent}[{step}]" if self.parent else self.name

    def refused(self, what: str) -> NotPlainError:
        article = "an" if what[:1] in "aeiouAEIOU" else "a"
        return NotPlainError(f"`{self}` is {article} {what}. Expected: {PLAIN}.")


def _plain(value: Any, keep: Callable[[np.ndarray], str], at: ValuePath) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**64 else {"int": hex(value)}  # Python reads at most 4300 decimal digits
    if kind is float:
        return value if math.isfinite(value) else {"float": struct.pack(">d", value).hex()}
    if kind is str:
        return _plain_text(value)
    if kind is bytes:
        return {"bytes": base64.b64encode(value).decode()}
    if kind is np.ndarray:
        if dtype_name(value.dtype) is None:
            raise at.refused(f"numpy array of dtype {value.dtype}")
        return {"array": keep(value)}
    if isinstance(value, np.generic):
        return _plain_scalar(value, at)
    if kind is list or kind is dict or kind in COLLECTIONS.values():
        return _plain_container(value, keep, at)
    raise at.refused(kind.__name__)


def _plain_text(text: str) -> Any:
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON would join two surrogates into one character
        return {"str": base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()}
    return text


def _plain_scalar(value: np.generic, at: ValuePath) -> dict[str, Any]:
    kind = type(value)
    if kind is np.str_:  # these two types keep trailing zero bytes, which a dtype does not
        return {"np.str": _plain_text(str.__str__(value))}
    if kind is np.bytes_:
        return {"np.bytes": base64.b64encode(value).decode()}
    name = dtype_name(value.dtype) if kind is value.dtype.type else None
    if name is None:
        raise at.refused(kind.__name__)
    return {"scalar": [name, value.tobytes().hex()]}


def _plain_container(value: Any, keep: Callable[[np.ndarray], str], at: ValuePath) -> Any:
    kind, around = type(value), at.containers()
    if any(container is value for container in around):
        raise at.refused(f"{kind.__name__} that contains itself")
    if len(around) >= MAX_DEPTH:
        raise at.refused(f"{kind.__name__} nested deeper than {MAX_DEPTH}")
    if kind is dict:
        keys = [_plain(key, keep, at.within(value, ...)) for key in value]
        values = [_plain(item, keep, at.within(value, key)) for key, item in value.items()]
        if all(type(key) is str for key in keys):
            return {"dict": dict(zip(keys, values))}
        return {"items": [list(pair) for pair in zip(keys, values)]}
    ordered = kind in (list, tuple)
    plain = [_plain(item, keep, at.within(value, i if ordered else ...)) for i, item in enumerate(value)]
    return plain if kind is list else {kind.__name__: plain}


# --- from JSON ------------------------------------------------------------------------------------------------------


def _value(plain: Any, arrays: Mapping[str, np.ndarray], depth: int) -> Any:
    if plain is None or type(plain) in (bool, int, float, str):
        return plain
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    if type(plain) is list:
        return [_value(item, arrays, depth + 1) for item in plain]
    ((tag, content),) = plain.items()
    if tag == "array":
        if content not in arrays:
            raise DataError(f"The array {content!r} is missing.")
        return arrays[content]
    if tag in COLLECTIONS:
        return _collected(COLLECTIONS[tag], [_value(item, arrays, depth + 1) for item in _list(content)])
    if tag == "dict":
        return {key: _value(item, arrays, depth + 1) for key, item in content.items()}
    if tag == "items":
        return _collected(dict, [[_value(item, arrays, depth + 1) for item in _list(pair)] for pair in _list(content)])
    if tag in READERS:
        return READERS[tag](content)
    raise ValueError(f"unknown kind {tag!r}")


def _collected(kind: type, items: list) -> Any:
    """Return a collection of these items, which must be distinct."""
    collection = kind(items)
    if len(collection) != len(items):
        raise ValueError(f"a {kind.__name__} with duplicates")
    return collection


def _list(content: Any) -> list:
    if type(content) is not list:
        raise ValueError(f"{content!r} instead of a list")
    return content


def _bytes(content: str) -> bytes:
    return base64.b64decode(content, validate=True)


def _text(content: Any) -> str:
    return content if type(content) is str else _bytes(content["str"]).decode("utf-8", "surrogatepass")


def _scalar(content: list) -> np.generic:
    name, hexadecimal = content
    (scalar,) = np.frombuffer(bytes.fromhex(hexadecimal), np.uint8).view(named_dtype(name))
    return scalar


READERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda content: int(content, 16),
    "float": lambda content: struct.unpack(">d", bytes.fromhex(content))[0],
    "str": lambda content: _bytes(content).decode("utf-8", "surrogatepass"),
    "bytes": _bytes,
    "np.str": lambda content: np.str_(_text(content)),
    "np.bytes": lambda content: np.bytes_(_bytes(content)),
    "scalar": _scalar,
}
