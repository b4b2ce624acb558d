"""Text for people: names listed, paths shortened, the nearest word for a misspelt one."""

import difflib
from collections.abc import Iterable
from pathlib import Path


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The nearest of `names` as the end of an error message, or nothing when none is near.

    >>> did_you_mean("Charlok", ["Charlock", "Maize"])
    " Did you mean 'Charlock'?"
    """
    by_folded = {other.casefold(): other for other in map(str, names)}
    near = difflib.get_close_matches(str(name).casefold(), by_folded, n=1)
    return f" Did you mean {by_folded[near[0]]!r}?" if near else ""


NAMED_COLUMNS = 10  # in messages


def listed(names: Iterable[str]) -> str:
    """Some names, as messages have them.

    >>> listed(["a", "b"]), listed(map(str, range(100)))
    ("'a', 'b'", "'0', '1', '2', '3', '4', '5', '6', '7', '8', '9' and 90 more")
    """
    names = [repr(name) for name in names]
    more = f" and {len(names) - NAMED_COLUMNS} more" if len(names) > NAMED_COLUMNS else ""
    return ", ".join(names[:NAMED_COLUMNS]) + more


class Text(str):
    """Text that a notebook shows as it is, not as a quoted string."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def display_path(directory: Path) -> str:
    """A folder as a person knows it: below the working directory by its relative path."""
    return str(directory.relative_to(Path.cwd()) if directory.is_relative_to(Path.cwd()) else directory)
