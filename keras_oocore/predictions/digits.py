"""Numbers as the shortest strings that are read back as the same numbers."""

import numpy as np

SMALLEST, LARGEST = 1e-12, 1e9  # between these, powers of ten are exact in float64
DIGITS = range(6, 11)  # of a float32: 6 are always kept, 9 always suffice, and one more for an inexact logarithm
POWERS = np.array([float(f"1e{exponent}") for exponent in range(23)])  # all that are exact


def shortest(values: np.ndarray) -> list[str]:
    """Return numbers as strings: those of Python's `repr`, in the fewest digits that keep the value.

    NumPy's own conversion takes longer. Here whole arrays are rounded to 6, 7, ... digits until they are
    the same `float32` again, and Python writes the rounded numbers.

    Args:
        values: Array of `float32` or `float64`, of any shape.

    >>> shortest(np.array([0.1, 1 / 3, 1e-5, 2e-30, -0.0, np.nan], "float32"))
    ['0.1', '0.33333334', '1e-05', '2e-30', '-0.0', 'nan']
    """
    values = values.ravel()
    exact = values.astype(np.float64)
    if values.dtype != np.float32:
        return list(map(repr, exact.tolist()))
    size = np.abs(exact)
    is_usual = (size >= SMALLEST) & (size < LARGEST)
    exponents = np.floor(np.log10(np.where(is_usual, size, 1))).astype(np.int64)
    rounded, left = exact.copy(), is_usual.copy()
    for digits in DIGITS:
        if not left.any():
            break
        places = digits - 1 - exponents
        powers = POWERS[np.abs(places)]
        tried = np.where(places >= 0, np.rint(exact * powers) / powers, np.rint(exact / powers) * powers)
        with np.errstate(over="ignore"):
            found = left & (tried.astype(np.float32) == values)
        rounded[found] = tried[found]
        left &= ~found
    texts = list(map(repr, rounded.tolist()))
    for number in np.flatnonzero(~is_usual & (size > 0) & np.isfinite(exact)).tolist():
        texts[number] = str(values[number])
    return texts
