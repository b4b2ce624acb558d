"""Text for messages and notebooks: lists of names, short paths, and suggestions for misspelt words."""

import difflib
import reprlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LISTED_NAMES = 10  # further names are counted


class DisplayString(str):
    """A string that a notebook shows as plain text, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def display_path(directory: Path) -> str:
    """Return a folder relative to the working directory if it is inside it, and its full path otherwise."""
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return str(directory)
    return str(directory.relative_to(here) if directory.is_relative_to(here) else directory)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "file"), counted(1200, "class"), counted(2, "batch"), counted(2, "epoch")
    ('1 file', '1,200 classes', '2 batches', '2 epochs')
    """
    plural = "es" if noun.endswith(("s", "x", "tch")) else "s"
    return f"{number:,} {noun}{plural * (number != 1)}"


def listed(names: Iterable[str]) -> str:
    """Return the first names in quotes, and how many more there are.

    >>> listed(["a", "b"]), listed(map(str, range(100)))
    ("'a', 'b'", "'0', '1', '2', '3', '4', '5', '6', '7', '8', '9' and 90 more")
    """
    names = [repr(name) for name in names]
    return ", ".join(names[:LISTED_NAMES]) + and_more(len(names))


def and_more(number: int, num_listed: int = LISTED_NAMES) -> str:
    """Return the end of a list of the first of some things: how many more there are, or `""`.

    >>> and_more(1200, 5), and_more(5, 5)
    (' and 1,195 more', '')
    """
    return f" and {number - num_listed:,} more" if number > num_listed else ""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the end of an error message that suggests the most similar of `names`, or `""` if none is similar.

    >>> did_you_mean("Charlok", ["Charlock", "Maize"])
    " Did you mean 'Charlock'?"
    """
    by_folded = {other.casefold(): other for other in map(str, names)}
    near = difflib.get_close_matches(str(name).casefold(), by_folded, n=1)
    return f" Did you mean {by_folded[near[0]]!r}?" if near else ""


def shown(value: Any) -> str:
    """Return a value as messages show it: on one line and short. Of a table or an array, its class and shape.

    >>> import numpy as np
    >>> shown(np.zeros((1000, 4))), shown(["a"]), shown({"a": np.zeros(3)})
    ('ndarray of shape (1000, 4)', "['a']", "{'a': ndarray of shape (3,)}")
    """
    return _SHORT.repr(value)


class _Short(reprlib.Repr):
    """`reprlib.Repr` that knows tables and arrays."""

    def repr_instance(self, x: Any, level: int) -> str:
        """Return an object that Python's `reprlib` does not know."""
        shape = getattr(x, "shape", None)
        if isinstance(shape, tuple) and shape:
            return f"{type(x).__name__} of shape {tuple(shape)}"
        return " ".join(super().repr_instance(x, level).split())


_SHORT = _Short()
_SHORT.maxstring = _SHORT.maxother = 60
