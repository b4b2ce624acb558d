"""What a function or an object is made of, as a name and a checksum that are the same in the next run."""

import functools
import inspect
import re
import types
import zlib
from collections.abc import Iterator

import numpy as np

NAMES_AT_A_TIME = 65_536
MOST_DEEP = 8  # an object within an object, that often; what lies deeper is not looked at


def described(value) -> str:
    """A function's, method's or object's name, and a checksum of its source and of the values that it holds.

    Looked at are the source, default arguments, the variables that a function closes over, the plain values and arrays
    among the globals that it names, the arguments of a `functools.partial`, and the attributes of an object. Functions
    that are called are not.

    >>> def scaled(path, factor=1): return factor
    >>> one = described(scaled); scaled.__defaults__ = (2,); one == described(scaled)
    False
    >>> described(functools.partial(scaled, factor=3)) == described(functools.partial(scaled, factor=3))
    True
    """
    bare = value
    while isinstance(bare, functools.partial):
        bare = bare.func
    named = bare if hasattr(bare, "__qualname__") else type(bare)
    checksum = 0
    for piece in _pieces(value, 0):
        checksum = zlib.crc32(piece, checksum)
    return f"{named.__module__}.{named.__qualname__} (CRC-32 {checksum:08x})"


def of_names(names: np.ndarray) -> str:
    """How many names there are, and a checksum of them in their order.

    >>> of_names(np.array(["1.png", "2.png"]))
    '2 names with CRC-32 4f71fc0d'
    """
    checksum = 0
    for start in range(0, len(names), NAMES_AT_A_TIME):
        checksum = zlib.crc32("\0".join(names[start : start + NAMES_AT_A_TIME].tolist()).encode(), checksum)
    return f"{len(names):,} names with CRC-32 {checksum:08x}"


def of_array(array: np.ndarray) -> str:
    """Shape, dtype and a checksum of an array's bytes.

    >>> of_array(np.zeros(2, "int32"))
    '(2,) int32 with CRC-32 6522df69'
    """
    checksum = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return f"{array.shape} {array.dtype} with CRC-32 {checksum:08x}"


def _pieces(value, depth: int) -> Iterator[bytes]:
    """What to take the checksum of."""
    yield f"<{type(value).__qualname__}>".encode()
    if depth > MOST_DEEP or isinstance(value, types.ModuleType):
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
        parts = sorted(map(repr, value))  # in an order that every run has
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield _code(type(value))
        parts = [vars(value)]
    else:
        yield (_code(value) if isinstance(value, type) else b"") + _plain(value)
        return
    for part in parts:
        yield from _pieces(part, depth + 1)


def _code(value) -> bytes:
    """The source; where there is none, what was compiled of it."""
    try:
        return inspect.getsource(value).encode()
    except (OSError, TypeError):
        code = getattr(value, "__code__", None)
        return b"" if code is None else code.co_code + _plain(code.co_consts)


def _named_values(function) -> list:
    """What a function closes over, and the globals that it names and that are no code."""
    found = inspect.getclosurevars(function)
    plain = [
        value
        for value in found.globals.values()
        if isinstance(value, bool | int | float | str | bytes | list | tuple | dict | np.ndarray | np.generic)
    ]
    return [*found.nonlocals.values(), *plain]


def _plain(value) -> bytes:
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value)).encode()
