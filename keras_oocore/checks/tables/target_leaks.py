"""Features that tell the target: equal to it, proportional to it, in its order, or one class per value.

All measures are computed over one sample of the rows. A value that occurs once tells nothing, so ids do not count:

- `r` (Pearson) and rho (Spearman) of two columns of numbers,
- the share of variance between categories, the correlation ratio, adjusted for their number (Fisher, 1925),
- lambda: by how much knowing a value reduces the errors of guessing the class (Goodman and Kruskal, Measures of
  association for cross classifications, 1954), where each row is guessed from the others.
"""

import numpy as np

from keras_oocore.checks.tables.measured import MeasuredColumn
from keras_oocore.tables.splits.hashing import MISSING

STRONG = 0.999  # |r| and |rho|, from which on a feature is no ordinary one
STRONG_SHARE = STRONG**2  # of the variance
STRONG_LAMBDA = 0.99
FEWEST_ROWS = 30
FEWEST_OTHERS = 5  # rows that are not of the most frequent class
MOST_CLASSES = 20  # distinct integers of a target that are classes


def is_class(target: MeasuredColumn) -> bool:
    """Return whether a target has classes: it is not a column of numbers, or of a few distinct integers."""
    if target.column.kind in ("string", "bool"):
        return True
    values = target.sample[np.isfinite(target.sample)]
    few = target.distinct.is_exact and target.distinct.count <= MOST_CLASSES
    return few and target.column.kind == "float32" and bool((values == np.floor(values)).all())


def tells(feature: MeasuredColumn, target: MeasuredColumn, rows: np.ndarray | slice = slice(None)) -> str:
    """Return how a feature tells the target, as a phrase, or `""`.

    Args:
        feature: The feature.
        target: The target.
        rows: Which rows of the sample to use.
    """
    x, y = feature.sample[rows], target.sample[rows]
    known = ~_missing(y)
    x, y = x[known], y[known]
    if len(y) < FEWEST_ROWS or len(np.unique(y)) < 2:
        return ""
    if x.dtype == y.dtype and (equal := _equals(x, y)):
        return equal
    if is_class(target):
        return _tells_class(x, np.unique(y, return_inverse=True)[1])
    if y.dtype != np.float64:
        return ""
    return _tells_number(x, y) if x.dtype == np.float64 else _has_one_number_per_value(x, y)


def _missing(values: np.ndarray) -> np.ndarray:
    return np.isnan(values) if values.dtype == np.float64 else values == MISSING


def _equals(x: np.ndarray, y: np.ndarray) -> str:
    share = float(np.mean(x == y))
    if share == 1:
        return "equals the target"
    most_frequent = np.unique(y, return_counts=True)[1].max() / len(y)  # what a constant feature would equal
    return f"equals the target in {share:.2%} of the rows" if 1 - share <= 0.01 * (1 - most_frequent) else ""


def _tells_number(x: np.ndarray, y: np.ndarray) -> str:
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < FEWEST_ROWS or x.min() == x.max() or y.min() == y.max():
        return ""
    r = _correlation(x, y)
    if abs(r) > STRONG:
        factor = np.dot(x, y) / np.dot(x, x)
        if np.allclose(factor * x, y, rtol=1e-5, atol=1e-6 * float(np.abs(y).max())):
            return f"is the target times {1 / factor:.6g}"
        return f"determines the target: their correlation is {r:.5f}"
    rho = _correlation(_ranks(x), _ranks(y))
    return f"has the order of the target: their rank correlation is {rho:.5f}" if abs(rho) > STRONG else ""


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        r = float(np.corrcoef(x, y)[0, 1])
    return r if np.isfinite(r) else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks of values; equal values have the mean of theirs."""
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[codes]


def _has_one_number_per_value(x: np.ndarray, y: np.ndarray) -> str:
    """Return that the categories of `x` tell the number `y`, or `""`."""
    finite = np.isfinite(y)
    codes, y = np.unique(x[finite], return_inverse=True)[1], y[finite]
    repeated = np.bincount(codes)[codes] > 1
    codes, y = np.unique(codes[repeated], return_inverse=True)[1], y[repeated]
    num_values = int(codes.max(initial=-1)) + 1
    if num_values < 2 or len(y) < FEWEST_ROWS or 2 * len(y) < len(finite) or y.min() == y.max():
        return ""
    means = np.bincount(codes, y) / np.bincount(codes)
    within = float(np.square(y - means[codes]).sum()) / (len(y) - num_values)
    share = 1 - within / float(y.var(ddof=1))
    return f"determines the target: its values explain {share:.3%} of the variance" if share > STRONG_SHARE else ""


def _tells_class(x: np.ndarray, classes: np.ndarray) -> str:
    """Return that the values of `x` tell the class, or `""`."""
    counts = np.bincount(classes)
    most_frequent = int(counts.argmax())
    if len(classes) - counts[most_frequent] < FEWEST_OTHERS:
        return ""
    values = np.unique(x, return_inverse=True)[1]  # NaN is one value
    best = _lambda(values, classes, most_frequent)
    if x.dtype == np.float64:
        best = max(best, _lambda_of_ranges(x, classes, most_frequent))
    if best < STRONG_LAMBDA:
        return ""
    return f"tells the class: knowing it avoids {best:.1%} of the errors of guessing (lambda)"


def _lambda_of_ranges(x: np.ndarray, classes: np.ndarray, most_frequent: int) -> float:
    """Return lambda, where a row is guessed right if the next smaller or the next larger number has its class."""
    order = np.random.RandomState(0).permutation(len(x))  # equal numbers are in no order
    order = order[np.argsort(x[order], kind="stable")]
    same = classes[order][1:] == classes[order][:-1]
    right = int(np.count_nonzero(np.append(same, False) | np.append(False, same)))
    return _less_errors(right, classes, most_frequent)


def _less_errors(right: int, classes: np.ndarray, most_frequent: int) -> float:
    """Return by which share of the errors so many right guesses are better than guessing the most frequent class."""
    guessed = int(np.count_nonzero(classes == most_frequent))
    return max(0.0, (right - guessed) / (len(classes) - guessed))


def _lambda(values: np.ndarray, classes: np.ndarray, most_frequent: int) -> float:
    """Return lambda, where the class of a row is guessed as the most frequent one of other rows with its value."""
    num_classes = int(classes.max()) + 1
    cells, counts = np.unique(values * num_classes + classes, return_counts=True)
    order = np.lexsort((-counts, cells // num_classes))
    of_value, counts = (cells // num_classes)[order], counts[order]
    _, first = np.unique(of_value, return_index=True)
    largest = counts[first]
    has_second = np.append(of_value[1:] == of_value[:-1], False)[first]
    second = np.where(has_second, np.append(counts[1:], 0)[first], 0)
    # Without itself, a row of the most frequent class of its value is guessed right if that class stays ahead.
    right = int(np.where(largest - 1 > second, largest, 0).sum())
    return _less_errors(right, classes, most_frequent)
