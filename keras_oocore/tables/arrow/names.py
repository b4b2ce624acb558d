"""The names of the columns of tables that have types, which should be strings that differ."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from keras_oocore.core.errors import OptionError

RENAME = {
    "DataFrame": "frame.columns = frame.columns.map(str)",
    "dictionary": "{str(name): values for name, values in data.items()}",
}


def require_names(name: str, names: Iterable[Any]) -> None:
    """Raise for no columns, for names that are not strings, and for those that occur twice.

    Args:
        name: What messages call the data, such as `"DataFrame"`.
        names: The names of its columns.

    Raises:
        OptionError: If a name is not a string or occurs twice, or there is no column.
    """
    names = list(names)
    if not names:
        raise OptionError(f"`data` should have at least one column. Received: a {name} without columns")
    others = [key for key in names if not isinstance(key, str)]
    if others:
        fix = RENAME.get(name, "rename it")
        raise OptionError(
            f"The names of columns should be strings. Received: a {name} with the name {others[0]!r}. Fix: {fix}"
        )
    twice, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise OptionError(
            f"The names of columns should differ. Received: a {name} with {times} columns named {twice!r}. Rename them."
        )
