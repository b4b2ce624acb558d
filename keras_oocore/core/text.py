"""Text for messages and notebooks: lists of names, short paths, and suggestions for misspelt words."""

import difflib
from collections.abc import Iterable
from pathlib import Path

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


def listed(names: Iterable[str]) -> str:
    """Return the first names in quotes, and how many more there are.

    >>> listed(["a", "b"]), listed(map(str, range(100)))
    ("'a', 'b'", "'0', '1', '2', '3', '4', '5', '6', '7', '8', '9' and 90 more")
    """
    names = [repr(name) for name in names]
    more = f" and {len(names) - LISTED_NAMES} more" if len(names) > LISTED_NAMES else ""
    return ", ".join(names[:LISTED_NAMES]) + more


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the end of an error message that suggests the most similar of `names`, or `""` if none is similar.

    >>> did_you_mean("Charlok", ["Charlock", "Maize"])
    " Did you mean 'Charlock'?"
    """
    by_folded = {other.casefold(): other for other in map(str, names)}
    near = difflib.get_close_matches(str(name).casefold(), by_folded, n=1)
    return f" Did you mean {by_folded[near[0]]!r}?" if near else ""
