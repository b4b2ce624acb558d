"""Divides groups of samples into parts, so that the parts have the requested sizes and the classes of the whole."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import listed
from keras_oocore.core.warn import warn_user

RANDOM_DRAWS = 32
BALANCED_DRAWS, BALANCED_STEPS = 8, 50_000  # assigning one group takes about 20 microseconds
MOST_BALANCED_GROUPS = 100_000  # with more groups, the best of the random draws is balanced


def split_groups(
    groups: np.ndarray,
    stratify: np.ndarray | None,
    part_sizes: dict[str, int],
    seed: int,
    class_names: Sequence[str] | None = None,
) -> list[np.ndarray]:
    """Return the samples of each part, in random order. All samples of a group are in the same part.

    scikit-learn's `GroupShuffleSplit` counts groups, not samples: "20%" of 30 groups with 1 to 100 samples each
    contained 9% to 31% of the samples in 200 tries, and `StratifiedGroupKFold` only splits off one k-th. Here, each
    draw is a random order of the groups, cut where the number of samples is closest to the requested size (19.9% to
    20.3%), and the best draw is used.

    With `stratify`, some draws balance the classes instead, in the way of `StratifiedGroupKFold`
    (`sklearn/model_selection/_split.py`): groups with the most uneven classes come first, and each goes to the part
    whose class counts it brings closest to the requested ones. Before that, every part gets a group of each rare class.

    Args:
        groups: Groups as integers from 0, of shape `(num_samples,)`.
        stratify: One class per sample, of shape `(num_samples,)`, or `None`.
        part_sizes: Name and requested number of samples of each part, with the training part first.
        seed: Random seed.
        class_names: List of class names, for the warning.

    Raises:
        OptionError: If there are fewer groups than parts.

    >>> [part.tolist() for part in split_groups(np.array([0, 0, 1, 2, 2]), None, {"train": 3, "validation": 2}, seed=1)]
    [[3, 2, 4], [0, 1]]
    """
    rng, names = np.random.default_rng(seed), None
    values, classes = np.zeros(1), np.zeros_like(groups)
    if stratify is not None:
        values, classes = np.unique(stratify, return_inverse=True)
        names = [str(value if class_names is None else class_names[value]) for value in values]
    pairs, counts = np.unique(groups * len(values) + classes, return_counts=True)
    counted = GroupCounts(*np.divmod(pairs, len(values)), counts)
    part_of_group = divide_groups(counted, part_sizes, rng, names)
    return [rng.permutation(np.flatnonzero(part_of_group[groups] == part)) for part in range(len(part_sizes))]


@dataclasses.dataclass(frozen=True)
class GroupCounts:
    """How many samples of each class the groups have.

    Args:
        groups: Groups, integers from 0.
        classes: Classes, integers from 0. Pairs of group and class without samples are omitted.
        counts: Number of samples of each pair, an integer array.
    """

    groups: np.ndarray
    classes: np.ndarray
    counts: np.ndarray


def divide_groups(
    counted: GroupCounts,
    part_sizes: dict[str, int],
    rng: np.random.Generator | np.random.RandomState,
    class_names: Sequence[str] | None,
) -> np.ndarray:
    """Return the part of each group, integers of shape `(num_groups,)`. See `split_groups`.

    Args:
        counted: The samples, counted by group and class.
        part_sizes: Name and requested number of samples of each part, with the training part first.
        rng: Random generator.
        class_names: Names of the classes to balance, or `None` if there is only one class.

    Raises:
        OptionError: If there are fewer groups than parts.
    """
    sizes, balances = np.array([*part_sizes.values()]), class_names is not None
    table = _ClassCounts(counted, len(class_names) if balances else 1, sizes)
    num_groups = len(table.group_sizes)
    if num_groups < len(sizes):
        found = "1 group is" if num_groups == 1 else f"{num_groups} groups are"
        raise OptionError(f"{found} too few for {len(sizes)} parts: {', '.join(part_sizes)}.")
    best, best_error = None, (np.inf,)
    for draw in range(RANDOM_DRAWS + (_num_balanced(num_groups) if balances else 0)):
        order = rng.permutation(num_groups)
        cut = draw < RANDOM_DRAWS
        part_of_group = _cut(order, table.group_sizes, sizes) if cut else table.balanced(order)
        error = table.error(part_of_group)
        if error < best_error:
            best, best_error = part_of_group, error
    if balances:
        _warn_of_lacking_classes(table.count(best), [*part_sizes], class_names)
    return best


def _num_balanced(num_groups: int) -> int:
    if num_groups > MOST_BALANCED_GROUPS:
        return 0
    return min(BALANCED_DRAWS, max(1, BALANCED_STEPS // num_groups))


def _cut(order: np.ndarray, group_sizes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the part of each group, for groups in this order that are cut where the sizes are as requested."""
    part_of_group = np.zeros(len(order), np.int64)
    ends, start = group_sizes[order].cumsum(), 0
    for part, boundary in enumerate(sizes[1:].cumsum(), start=1):
        last = len(order) - (len(sizes) - part)  # leaves one group for training and for each later part
        stop = start + 1 + np.abs(ends[start:last] - boundary).argmin()
        part_of_group[order[start:stop]] = part
        start = stop
    return part_of_group


class _ClassCounts:
    """How many samples of each class the groups have, and how many the parts should have.

    Args:
        counted: The samples, counted by group and class.
        num_classes: Number of classes.
        sizes: Requested number of samples of each part.
    """

    def __init__(self, counted: GroupCounts, num_classes: int, sizes: np.ndarray):
        self.num_classes, self.sizes = num_classes, sizes
        order = np.lexsort((counted.classes, counted.groups))
        self.groups, self.classes, self.counts = (
            values[order] for values in (counted.groups, counted.classes, counted.counts)
        )
        self.group_sizes = np.bincount(self.groups, self.counts).astype(np.int64)
        self.first = np.searchsorted(self.groups, np.arange(len(self.group_sizes) + 1))
        per_class = np.bincount(self.classes, self.counts, num_classes)
        self.expected = sizes[:, np.newaxis] / self.counts.sum() * per_class

    def count(self, part_of_group: np.ndarray) -> np.ndarray:
        """Return the number of samples of each class in each part, of shape `(num_parts, num_classes)`."""
        cells = part_of_group[self.groups] * self.num_classes + self.classes
        counts = np.bincount(cells, self.counts, len(self.sizes) * self.num_classes)
        return counts.reshape(self.expected.shape)

    def error(self, part_of_group: np.ndarray) -> tuple[float, ...]:
        """Return how far the parts are from the requested ones. Smaller tuples are better."""
        counts = self.count(part_of_group)
        off = np.abs(counts.sum(axis=1) - self.sizes)
        if self.num_classes == 1:
            return (off.sum(),)
        num_empty = np.count_nonzero(counts.sum(axis=1) == 0)
        far_off = bool(off.max() > self.group_sizes.max())
        return num_empty, far_off, np.count_nonzero(counts == 0), _chi_square(counts, self.expected)

    def balanced(self, order: np.ndarray) -> np.ndarray:
        """Return the part of each group, with balanced classes. Ties follow the order."""
        part_of_group = np.full(len(order), -1)
        counts, expected = np.zeros_like(self.expected), self.expected
        filled = np.zeros(len(self.sizes))

        def assign(group: int, part: int) -> None:
            own = slice(*self.first[group : group + 2])
            counts[part, self.classes[own]] += self.counts[own]
            filled[part] += self.group_sizes[group]
            part_of_group[group] = part

        for group, part in self._seeds(order, counts, filled, part_of_group):
            assign(group, part)
        spread = np.bincount(self.groups, self.counts**2.0) / self.num_classes
        spread -= (self.group_sizes / self.num_classes) ** 2
        for group in order[np.argsort(-spread[order], kind="stable")].tolist():
            if part_of_group[group] < 0:
                own = slice(*self.first[group : group + 2])
                more, size = self.counts[own], self.group_sizes[group]
                worse = _increase(counts[:, self.classes[own]], more, expected[:, self.classes[own]]).sum(axis=1)
                assign(group, int(np.argmin(worse + _increase(filled, size, self.sizes))))
        return part_of_group

    def _seeds(self, order, counts, filled, part_of_group):
        """Yield a group and a part for each part that lacks a class. Classes of the fewest groups come first."""
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        by_class = np.lexsort((rank[self.groups], self.group_sizes[self.groups], self.classes))
        starts = np.searchsorted(self.classes[by_class], np.arange(self.num_classes + 1))
        num_parts = len(self.sizes)
        for label in np.argsort(np.diff(starts), kind="stable").tolist():
            own = self.groups[by_class[starts[label] : starts[label + 1]]].tolist()  # the smallest groups first
            if len(own) < num_parts:
                continue
            for part in range(num_parts - 1, -1, -1):
                free = next((group for group in own if part_of_group[group] < 0), None)
                if free is None or counts[part, label]:
                    continue
                if filled[part] + self.group_sizes[free] <= max(self.sizes[part], self.group_sizes[free]):
                    yield free, part


def _increase(counts: np.ndarray, more: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return how much `(counts - expected)**2 / expected` grows with `more` samples."""
    return (2 * (counts - expected) + more) * more / expected


def _chi_square(counts: np.ndarray, expected: np.ndarray) -> float:
    sizes, expected_sizes = counts.sum(axis=1), expected.sum(axis=1)
    return float(((counts - expected) ** 2 / expected).sum() + ((sizes - expected_sizes) ** 2 / expected_sizes).sum())


def _warn_of_lacking_classes(counts: np.ndarray, parts: list[str], class_names: Sequence[str]) -> None:
    lacking = []
    for part, of_classes in zip(parts, counts):
        empty = np.flatnonzero(of_classes == 0)
        if len(empty):
            lacking.append(f"the {part} part has no samples of {listed(class_names[code] for code in empty)}")
    if lacking:
        warn_user(
            f"The groups do not allow every class in every part: {'; '.join(lacking)}. The class has too few groups, "
            "or the part is too small. Choose a larger part, divide the groups of the class, or merge the class."
        )
