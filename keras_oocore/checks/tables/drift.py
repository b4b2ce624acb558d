"""How the columns of two tables differ: means, shares of categories, missing cells, and categories that are new.

- The standardized mean difference (SMD) is the difference of the means over the root of the mean of both variances.
  From 0.25 on, regression cannot correct for it (Stuart, Matching methods for causal inference: a review and a look
  forward, 2010).
- The population stability index (PSI) is the sum of `(p - q) * log(p / q)` over ten quantiles, or over the categories.
  From 0.25 on, a population is said to have changed (Siddiqi, Credit risk scorecards, 2006).

Both must also exceed what two samples of one population reach by chance: the PSI of `n` and `m` rows in `k` groups is
about chi-squared with `k - 1` degrees of freedom, times `1 / n + 1 / m` (Yurdakul and Naranjo, Statistical properties
of the population stability index, 2020).
"""

import math

import numpy as np

from keras_oocore.checks.tables.measured import MeasuredColumn
from keras_oocore.tables.splits.hashing import MISSING

LARGE_SMD = LARGE_PSI = 0.25
LARGE_SHARE = 0.05  # by which shares of missing cells differ
DEVIATIONS = 5  # which chance exceeds once in three million comparisons
NUM_QUANTILES, MOST_CATEGORIES = 10, 50
MOST_NAMED = 3


def mean_difference(mine: MeasuredColumn, theirs: MeasuredColumn) -> float | None:
    """Return the standardized mean difference of two columns of numbers, or `None` if there is none."""
    a, b = mine.moments, theirs.moments
    if not (a.count and b.count):
        return None
    spread = math.sqrt((a.variance + b.variance) / 2)
    difference = b.mean - a.mean
    if spread == 0:
        return 0.0 if difference == 0 else math.copysign(math.inf, difference)
    return difference / spread


def stability_index(mine: MeasuredColumn, theirs: MeasuredColumn) -> tuple[float, int]:
    """Return the population stability index of two columns of one kind, and the number of groups."""
    a, b = (_present(column) for column in (mine, theirs))
    if not (len(a) and len(b)):
        return 0.0, 1
    counts = _category_counts(a, b) if a.dtype == np.uint64 else _quantile_counts(a, b)
    p, q = (np.maximum(count, 0.5) / max(1, count.sum()) for count in counts)
    return float(((p - q) * np.log(p / q)).sum()), len(p)


def drift_of(mine: MeasuredColumn, theirs: MeasuredColumn) -> str:
    """Return how the values of a column differ between two tables, as a phrase, or `""`."""
    rows = [len(_present(column)) for column in (mine, theirs)]
    if not all(rows):
        return ""
    noise = sum(1 / count for count in rows)
    phrases = []
    smd = None if mine.column.kind == "string" else mean_difference(mine, theirs)
    if smd is not None and abs(smd) >= LARGE_SMD:
        counts = mine.moments.count, theirs.moments.count
        if abs(smd) > DEVIATIONS * math.sqrt(sum(1 / count for count in counts)):
            means = f"mean {mine.moments.mean:.6g} and {theirs.moments.mean:.6g}"
            phrases.append(f"{means} (standardized mean difference {smd:.2f})")
    psi, num_groups = stability_index(mine, theirs)
    if psi >= LARGE_PSI and psi > noise * _chi_squared(num_groups - 1):
        detail = _largest_changes(mine, theirs) if mine.column.kind == "string" else ""
        phrases.append(f"{detail}population stability index {psi:.2f}")
    return ", ".join(phrases)


def missing_drift(mine: int, num_rows: int, theirs: int, num_others: int) -> str:
    """Return how the shares of missing cells differ, as a phrase, or `""`."""
    if not (num_rows and num_others):
        return ""
    p, q = mine / num_rows, theirs / num_others
    pooled = (mine + theirs) / (num_rows + num_others)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / num_rows + 1 / num_others))
    if abs(p - q) < LARGE_SHARE or abs(p - q) <= DEVIATIONS * deviation:
        return ""
    return f"{p:.1%} and {q:.1%} of the cells are missing"


def unseen_categories(mine: MeasuredColumn, theirs: MeasuredColumn, num_others: int) -> str:
    """Return which categories only the other table has, as a phrase, or `""` if they are as many as to expect.

    The share of rows with a new category is about that of the categories that occur once (Good, The population
    frequencies of species and the estimation of population parameters, 1953).
    """
    rows = sum(theirs.unseen.values())
    known = _present(mine)
    if not rows or not len(known):
        return ""
    _, counts = np.unique(known, return_counts=True)
    expected = num_others * np.count_nonzero(counts == 1) / len(known)
    if rows <= 2 * expected + 3 * math.sqrt(expected):
        return ""
    names = [repr(name) for name, _ in theirs.unseen.most_common(MOST_NAMED)]
    more = len(theirs.unseen) - len(names)
    return f"{', '.join(names)}{f' and {more:,} more' if more else ''} in {rows:,} {'row' if rows == 1 else 'rows'}"


def _present(column: MeasuredColumn) -> np.ndarray:
    values = column.sample
    return values[values != MISSING] if values.dtype == np.uint64 else values[np.isfinite(values)]


def _quantile_counts(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    edges = np.unique(np.quantile(a, np.linspace(0, 1, NUM_QUANTILES + 1)[1:-1]))
    places = (np.searchsorted(edges, values, side="left") for values in (a, b))
    one, other = (np.bincount(of, minlength=len(edges) + 1) for of in places)
    return one, other


def _category_counts(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how often the most frequent categories of `a` occur, and all others together."""
    values, counts = np.unique(a, return_counts=True)
    most = np.sort(values[np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]])
    found = []
    for cells in (a, b):
        places = np.minimum(np.searchsorted(most, cells), len(most) - 1)
        codes = np.where(most[places] == cells, places, len(most))
        found.append(np.bincount(codes, minlength=len(most) + 1))
    if not (found[0][-1] or found[1][-1]):
        found = [counts[:-1] for counts in found]
    return found[0], found[1]


def _largest_changes(mine: MeasuredColumn, theirs: MeasuredColumn) -> str:
    """Return the categories whose shares changed most, such as `"'Rome' 40% and 10%, "`."""
    cells = [_present(column) for column in (mine, theirs)]
    shares = []
    for values in cells:
        names, counts = np.unique(values, return_counts=True)
        shares.append(dict(zip(names.tolist(), (counts / len(values)).tolist())))
    names = {**theirs.names, **mine.names}
    changes = {key: abs(shares[0].get(key, 0) - shares[1].get(key, 0)) for key in {**shares[0], **shares[1]}}
    largest = sorted((key for key in changes if key in names), key=lambda key: (-changes[key], names[key]))[:MOST_NAMED]
    return "".join(f"{names[key]!r} {shares[0].get(key, 0):.1%} and {shares[1].get(key, 0):.1%}, " for key in largest)


def _chi_squared(freedom: int) -> float:
    """Return what chi-squared exceeds about once in three million times (Wilson and Hilferty, 1931)."""
    if freedom < 1:
        return math.inf
    part = 2 / (9 * freedom)
    return freedom * (1 - part + DEVIATIONS * math.sqrt(part)) ** 3
