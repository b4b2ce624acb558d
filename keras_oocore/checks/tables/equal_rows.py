"""Rows that are copies of each other: groups within a table, and pairs of two tables."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, overload

import numpy as np

from keras_oocore.checks.tables.row_hashes import RowHashes
from keras_oocore.checks.tables.sketch import distinct as distinct_values
from keras_oocore.core.errors import OptionError


class RowGroups(Sequence[tuple[int, ...]]):
    """Groups of rows, as tuples of the numbers of their rows, in rising order. They are sorted by their first row.

    Args:
        rows: `int64` of shape `(n,)`. The rows of the first group, of the second one, and so on.
        sizes: `int64` of shape `(num_groups,)`. Number of rows of each group, at least two.
        are_conflicts: Whether the rows of a group have different classes.

    Attributes:
        rows: The rows of all groups.
        are_conflicts: Whether the rows of a group have different classes.
        num_rows_of_table: Number of rows of the table that was checked, or `None` if it is not known.

    >>> groups = RowGroups(np.array([3, 8, 5, 6, 7]), np.array([2, 3]))
    >>> groups[0], len(groups), groups.repeated.tolist()
    ((3, 8), 2, [6, 7, 8])
    """

    def __init__(self, rows: np.ndarray, sizes: np.ndarray, are_conflicts: bool = False):
        self.rows: np.ndarray = rows
        self.are_conflicts: bool = are_conflicts
        self.num_rows_of_table: int | None = None
        self._ends: np.ndarray = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    @property
    def repeated(self) -> np.ndarray:
        """The rows of each group but the first, `int64` in rising order: a table without them has no copies."""
        return np.sort(np.delete(self.rows, self._ends[:-1]))

    @property
    def removable_rows(self) -> np.ndarray:
        """The rows that `without` of a Sequence removes: `repeated`, or an error for groups of several classes.

        Raises:
            OptionError: If the groups are conflicts.
        """
        if self.are_conflicts:
            raise OptionError(
                "No program knows which of several classes is right. Pass the numbers of the rows to remove, such as "
                "rows.without([7]), or all of them: rows.without(report.conflicts.rows). Received: report.conflicts"
            )
        return self.repeated

    @property
    def num_pairs(self) -> int:
        """Number of pairs of rows of one group."""
        sizes = np.diff(self._ends)
        return int((sizes * (sizes - 1) // 2).sum())

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return (self._group(index) for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> tuple[int, ...]: ...

    @overload
    def __getitem__(self, index: slice) -> list[tuple[int, ...]]: ...

    def __getitem__(self, index: int | slice) -> tuple[int, ...] | list[tuple[int, ...]]:
        if isinstance(index, slice):
            return [self._group(number) for number in range(*index.indices(len(self)))]
        return self._group(range(len(self))[index])

    def _group(self, index: int) -> tuple[int, ...]:
        return tuple(self.rows[self._ends[index] : self._ends[index + 1]].tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and [*self] == [*other]

    __hash__: ClassVar[None] = None

    def __repr__(self) -> str:
        return f"<{len(self):,} groups of rows, {len(self.rows):,} rows>"


class RowLeaks(Sequence[tuple[int, int]]):
    """Rows of one table that are in another one, too, as pairs: the row, and the first such row of the other table.

    Args:
        rows: `int64` of shape `(n,)`, in rising order.
        others: `int64` of shape `(n,)`.

    Attributes:
        rows: Numbers of the rows in the data.
        others: Numbers of the first copies in `against`.
        num_rows_of_table: Number of rows of the data, or `None` if it is not known.

    >>> leaks = RowLeaks(np.array([3, 8]), np.array([0, 5]))
    >>> leaks[1], len(leaks)
    ((8, 5), 2)
    """

    def __init__(self, rows: np.ndarray, others: np.ndarray, num_pairs: int | None = None):
        self.rows: np.ndarray = rows
        self.others: np.ndarray = others
        self.num_pairs: int = len(rows) if num_pairs is None else num_pairs
        self.num_rows_of_table: int | None = None

    @property
    def removable_rows(self) -> np.ndarray:
        """The rows that `without` of a Sequence removes."""
        return self.rows

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((int(row), int(other)) for row, other in zip(self.rows, self.others))

    @overload
    def __getitem__(self, index: int) -> tuple[int, int]: ...

    @overload
    def __getitem__(self, index: slice) -> list[tuple[int, int]]: ...

    def __getitem__(self, index: int | slice) -> tuple[int, int] | list[tuple[int, int]]:
        if isinstance(index, slice):
            return [*zip(self.rows[index].tolist(), self.others[index].tolist())]
        return int(self.rows[index]), int(self.others[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and [*self] == [*other]

    __hash__: ClassVar[None] = None

    def __repr__(self) -> str:
        return f"<{len(self):,} rows of both tables>"


def no_groups() -> RowGroups:
    """Return no group."""
    return RowGroups(np.zeros(0, np.int64), np.zeros(0, np.int64))


def no_leaks() -> RowLeaks:
    """Return no pair."""
    return RowLeaks(np.zeros(0, np.int64), np.zeros(0, np.int64))


def equal_rows(hashes: RowHashes, targets: RowHashes | None) -> tuple[RowGroups, RowGroups]:
    """Return groups of equal rows, and groups of rows that are equal but for their targets, which differ.

    Args:
        hashes: Hashes of the rows without their targets.
        targets: Hashes of the targets, or `None` for rows that are compared without them. Then the latter are none.
    """
    rows, groups = hashes.rows_with(hashes.repeated())
    if targets is None:
        return _grouped(rows, groups), no_groups()
    keys = groups << 32 | targets.take(rows)  # there are less than 2^31 groups
    distinct = distinct_values(keys)
    differs = np.bincount(distinct >> 32, minlength=1) > 1
    of_conflicts = differs[groups]
    conflicts = _grouped(rows[of_conflicts], groups[of_conflicts], True)
    return _grouped(rows, keys), conflicts


def shared_rows(hashes: RowHashes, others: RowHashes) -> RowLeaks:
    """Return the rows that are in two tables.

    Args:
        hashes: Hashes of the rows of the data.
        others: Hashes of the rows of the other table.
    """
    shared = hashes.shared_with(others)
    rows, groups = hashes.rows_with(shared)
    copies, of_copies = others.rows_with(shared)
    first = np.full(len(shared), -1)
    first[of_copies[::-1]] = copies[::-1]  # the last assignment is that of the first copy
    per_group = np.bincount(of_copies, minlength=len(shared))
    return RowLeaks(rows, first[groups], int(per_group[groups].sum()))


def _grouped(rows: np.ndarray, keys: np.ndarray, are_conflicts: bool = False) -> RowGroups:
    """Return the groups of rows with equal keys, at least two of each. The rows are in rising order."""
    by_key = np.argsort(keys, kind="stable")
    rows, keys = rows[by_key], keys[by_key]
    del by_key
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    sizes = np.diff(starts, append=len(keys))
    del keys
    starts, sizes = starts[sizes > 1], sizes[sizes > 1]
    by_first_row = np.argsort(rows[starts], kind="stable")
    starts, sizes = starts[by_first_row], sizes[by_first_row]
    places = np.arange(sizes.sum())
    places += np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
    return RowGroups(rows[places], sizes, are_conflicts)
