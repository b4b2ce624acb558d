"""Names and checksums of functions, objects and arrays that are the same in the next run."""

import functools
import inspect
import itertools
import re
import types
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

NAMES_PER_CHECKSUM = 65_536  # limits the memory for one joined string
SOURCE_TRIES = 5
MAX_DEPTH = 8  # of objects within objects; deeper ones are not examined


def described(value: Any, max_pieces: int | None = None) -> str:
    """Return the name of a function, method or object, and a checksum of its source code and of its values.

    The checksum covers the source, default arguments, the variables of a closure, the global variables that the
    function names if they are plain values or arrays, the arguments of a `functools.partial`, and the attributes of an
    object. It does not cover functions that are called.

    Args:
        value: A function, method or object.
        max_pieces: The largest number of values to examine, for objects that may refer to a model. `None` for all.

    >>> def scaled(path, factor=1): return factor
    >>> one = described(scaled); scaled.__defaults__ = (2,); one == described(scaled)
    False
    >>> described(functools.partial(scaled, factor=3)) == described(functools.partial(scaled, factor=3))
    True
    """
    checksum = 0
    for piece in itertools.islice(_pieces(value, 0), max_pieces):
        checksum = zlib.crc32(piece, checksum)
    return f"{name_of(value)} (CRC-32 {checksum:08x})"


def name_of(value: Any) -> str:
    """Return the name of a function or method, or of the class of an object, with its module.

    >>> name_of(functools.partial(of_array, None))
    'keras_oocore.core.fingerprint.of_array'
    """
    while isinstance(value, functools.partial):
        value = value.func
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def of_names(names: np.ndarray) -> str:
    """Return the number of names and a checksum of them, in their order.

    >>> of_names(np.array(["1.png", "2.png"]))
    '2 names with CRC-32 4f71fc0d'
    """
    checksum = 0
    for start in range(0, len(names), NAMES_PER_CHECKSUM):
        joined = "\0".join(names[start : start + NAMES_PER_CHECKSUM].tolist())
        checksum = zlib.crc32(joined.encode(errors="surrogateescape"), checksum)  # names need not be valid UTF-8
    return f"{len(names):,} names with CRC-32 {checksum:08x}"


def of_array(array: np.ndarray) -> str:
    """Return the shape and dtype of an array and a checksum of its bytes.

    >>> of_array(np.zeros(2, "int32"))
    '(2,) int32 with CRC-32 6522df69'
    """
    checksum = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return f"{array.shape} {array.dtype} with CRC-32 {checksum:08x}"


def array_spec(array: np.ndarray) -> dict[str, Any]:
    """Return the dtype, with its byte order, and the shape of an array, as plain JSON. A checksum of bytes needs both.

    >>> array_spec(np.zeros((2, 3), ">f4"))
    {'dtype': '>f4', 'shape': [2, 3]}
    """
    return {"dtype": array.dtype.str, "shape": list(array.shape)}


def _pieces(value, depth: int) -> Iterator[bytes]:
    """Yield the bytes that the checksum covers."""
    yield f"<{type(value).__qualname__}>".encode()
    if depth > MAX_DEPTH or isinstance(value, types.ModuleType):
        return
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        yield f"{value.dtype}{value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
        return
    if isinstance(value, functools.partial):
        parts = [value.func, value.args, value.keywords]
    elif inspect.ismethod(value):
        parts = [value.__func__, value.__self__]
    elif inspect.isfunction(value):
        yield _code(value)
        parts = [value.__defaults__, value.__kwdefaults__, *_named_values(value)]
    elif isinstance(value, dict):
        parts = [part for pair in value.items() for part in pair]
    elif isinstance(value, list | tuple):
        parts = value
    elif isinstance(value, set | frozenset):
        parts = sorted(map(repr, value))  # in the same order in every run
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield _code_of_class(type(value))
        parts = [vars(value)]
    else:
        yield (_code_of_class(value) if isinstance(value, type) else b"") + _plain(value)
        return
    for part in parts:
        yield from _pieces(part, depth + 1)


def _code(value) -> bytes:
    """Return the source code, or the bytecode if there is no source."""
    try:
        return _source(value).encode()
    except (OSError, TypeError):
        code = getattr(value, "__code__", None)
        return b"" if code is None else code.co_code + _plain(code.co_consts)


def _source(value) -> str:
    """Return the source code.

    To find a class, Python before 3.13 parses its file. Python 3.11 may then raise `SystemError` without reason, if
    another thread parses at the same time (https://github.com/python/cpython/issues/106905).
    """
    for _ in range(SOURCE_TRIES):
        try:
            return inspect.getsource(value)
        except SystemError as error:
            raised = error
    raise raised


@functools.lru_cache(maxsize=64)  # to find a class in its file takes milliseconds, and many objects may have the same
def _code_of_class(value: type) -> bytes:
    return _code(value)


def _named_values(function) -> list:
    """Return the variables of a closure, and the global variables that the function names and that are plain values."""
    found = inspect.getclosurevars(function)
    plain = [
        value
        for value in found.globals.values()
        if isinstance(value, bool | int | float | str | bytes | list | tuple | dict | np.ndarray | np.generic)
    ]
    return [*found.nonlocals.values(), *plain]


def _plain(value) -> bytes:
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value)).encode()
