"""Columns of some rows: neighboring columns of one kind share one array, so that a thousand classes cost no more."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import did_you_mean, listed

BYTES_PER_STRING = 80


class Group(NamedTuple):
    """Neighboring columns.

    Attributes:
        names: Names of the columns.
        values: Array of shape `(num_rows,)` for one column, else `(num_rows, len(names))`: numbers, or strings of
            dtype `object`, where `None` is a missing one.
        predicted: Whether the values are predictions, which rows that cannot be read do not have.
    """

    names: tuple[str, ...]
    values: np.ndarray
    predicted: bool = False

    def column(self, number: int) -> np.ndarray:
        """Return the values of one column, of shape `(num_rows,)`."""
        return self.values if self.values.ndim == 1 else self.values[:, number]


class Rows(NamedTuple):
    """Rows of the table.

    Attributes:
        groups: The columns.
        readable: Whether each row could be read, `bool` of shape `(num_rows,)`.
    """

    groups: list[Group]
    readable: np.ndarray

    @property
    def names(self) -> list[str]:
        """Names of all columns."""
        return [name for group in self.groups for name in group.names]

    def select(self, columns: Mapping[str, str]) -> "Rows":
        """Return these columns under other names, in the order of `columns`: name → new name."""
        places = {name: (g, n) for g, group in enumerate(self.groups) for n, name in enumerate(group.names)}
        runs: list[tuple[int, list[int], list[str]]] = []
        for name, new in columns.items():
            group, number = places[name]
            if runs and runs[-1][0] == group and self.groups[group].values.ndim == 2:
                runs[-1][1].append(number)
                runs[-1][2].append(new)
            else:
                runs.append((group, [number], [new]))
        return Rows([self._part(*run) for run in runs], self.readable)

    def between(self, start: int, stop: int) -> "Rows":
        """Return the rows from `start` to `stop`."""
        part = slice(start, stop)
        return Rows([group._replace(values=group.values[part]) for group in self.groups], self.readable[part])

    @property
    def num_bytes(self) -> int:
        """About how much memory the rows use."""
        return sum(
            group.values.nbytes if group.values.dtype != object else BYTES_PER_STRING * group.values.size
            for group in self.groups
        )

    def _part(self, group: int, numbers: list[int], names: list[str]) -> Group:
        _, values, predicted = self.groups[group]
        if values.ndim == 1 or numbers == [*range(values.shape[1])]:
            return Group(tuple(names), values, predicted)
        return Group(tuple(names), values[:, numbers], predicted)


def joined(parts: Sequence[Rows]) -> Rows:
    """Return the rows of all parts, which have the same columns."""
    columns = zip(*(rows.groups for rows in parts))
    groups = [Group(same[0].names, np.concatenate([group.values for group in same]), same[0].predicted)
              for same in columns]  # fmt: skip
    return Rows(groups, np.concatenate([rows.readable for rows in parts]))


def chosen_columns(columns: Mapping[str, str] | Sequence[str] | None, names: Sequence[str]) -> dict[str, str] | None:
    """Return the argument `columns` as a dictionary: name → name in the result. `None` stays `None`.

    Args:
        columns: The argument of the user.
        names: Names of all columns that exist.

    Raises:
        OptionError: If a column does not exist, or two have the same name.

    >>> chosen_columns({"file": "id", "class": "label"}, ["file", "class", "error"])
    {'file': 'id', 'class': 'label'}
    >>> chosen_columns(["file", "klass"], ["file", "class", "error"])
    Traceback (most recent call last):
    keras_oocore.core.errors.OptionError: `columns` should name columns of the predictions: 'file', 'class', 'error'. \
Received: 'klass'. Did you mean 'class'?
    """
    if columns is None:
        return None
    require_columns(columns)
    chosen = dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
    for name in chosen:
        if name not in names:
            raise OptionError(
                f"`columns` should name columns of the predictions: {listed(names)}. Received: {name!r}."
                f"{did_you_mean(str(name), names)}"
            )
    return chosen


def require_columns(columns: object) -> None:
    """Check what can be checked before a model has predicted.

    Raises:
        OptionError: If `columns` is not a list or dictionary of strings, is empty, or has a name twice.
    """
    values = list(columns.values()) if isinstance(columns, Mapping) else columns
    pairs = list(columns) if isinstance(columns, Mapping) else []
    if (
        isinstance(columns, str)
        or not isinstance(values, Sequence)
        or not values
        or not all(isinstance(name, str) for name in [*values, *pairs])
    ):
        raise OptionError(
            "`columns` should be a list of columns, or a dictionary such as {'file': 'id', 'class': 'label'}. "
            f"Received: columns={columns!r:.200}"
        )
    if twice := next((name for name in values if list(values).count(name) > 1), None):
        raise OptionError(f"`columns` should name each column once. Received: {twice!r} twice")
