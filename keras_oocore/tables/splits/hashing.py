"""Hashes of cells that are the same on every machine, for whole columns at once."""

from decimal import Decimal
from typing import Any

import numpy as np

from keras_oocore.csv.cells import is_missing
from keras_oocore.tables.splits.by_value import as_written

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

MISSING = np.uint64(0x9AE16A3B2F90404F)  # hash of a missing cell
WHOLE = r"^([+-]?[0-9]+)\.0+$"  # a whole number with a fraction
ENDS_IN_ZEROS = r"^([+-]?[0-9]+\.[0-9]*[1-9])0+$"  # as decimals of more places have them
POWER = r"^[+-]?[0-9]+(\.[0-9]+)?[eE][+]?[0-9]{1,2}$"


def hash_cells(cells: Any) -> np.ndarray:
    """Return a hash of each cell, `uint64` of shape `(n,)`.

    Args:
        cells: `pyarrow` array of strings.

    >>> import pyarrow as pa
    >>> [f"{value:016x}" for value in hash_cells(pa.array(["a", "b", "a"]))]
    ['d7908ef3a9765ccc', '487418804fa607da', 'd7908ef3a9765ccc']
    """
    _, hashes, codes = distinct_hashes(cells)
    return np.append(hashes, MISSING)[codes]


def hash_keys(cells: Any) -> np.ndarray:
    """Return a hash of each key, as `hash_cells`. Keys that are one number are one key.

    For 7 and 100000, pandas also writes `7.0`, and R `1e+05`, and a decimal 7.5 may be `7.50`. Moments, as days, are
    numbers.

    >>> import pyarrow as pa
    >>> len(set(hash_keys(pa.array(["7", "7.0", "7.00", "07", "7.5", "7.50"])).tolist()))
    3
    >>> len(set(hash_keys(pa.array(["100000", "1e+05", "1E5"])).tolist()))
    1
    """
    if pa.types.is_floating(cells.type):
        return hash_numbers(cells.to_numpy(zero_copy_only=False))
    encoded = cells.dictionary_encode()
    keys = encoded.dictionary
    if pc.any(pc.match_substring(keys, ".0")).as_py():
        keys = pc.replace_substring_regex(keys, WHOLE, r"\1")
    if pc.any(pc.match_substring_regex(keys, ENDS_IN_ZEROS)).as_py():
        keys = pc.replace_substring_regex(keys, ENDS_IN_ZEROS, r"\1")
    powers = pc.match_substring_regex(keys, POWER).fill_null(False)
    if pc.any(powers).as_py():
        written = [_without_power(key) for key in keys.filter(powers).to_pylist()]
        keys = pc.replace_with_mask(keys, powers, pa.array(written, keys.type))
    codes = encoded.indices.fill_null(len(keys)).to_numpy(zero_copy_only=False)
    return np.append(_hash_strings(keys), MISSING)[codes]


def _without_power(key: str) -> str:
    """Return a number such as `1e+05` with all its digits, if it is a whole one."""
    number = Decimal(key)
    return str(int(number)) if number == int(number) else key


def distinct_hashes(cells: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return the distinct strings, their hashes, and the position of each cell among them.

    Args:
        cells: `pyarrow` array of strings. The position of a missing cell is the number of distinct strings.
    """
    encoded = cells.dictionary_encode()
    codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    return encoded.dictionary, _hash_strings(encoded.dictionary), codes


def hash_numbers(values: np.ndarray) -> np.ndarray:
    """Return a hash of each number, `uint64` of shape `(n,)`. Equal numbers have equal hashes; NaN is a missing cell.

    Args:
        values: `float64` array of shape `(n,)`.

    >>> [f"{value:016x}" for value in hash_numbers(np.array([1.0, -0.0, 0.0]))]
    ['88d7c35bbbf3eded', 'e220a8397b1dcdaf', 'e220a8397b1dcdaf']
    """
    hashes = mixed((values + 0.0).view(np.uint64))  # -0.0 + 0.0 is 0.0
    hashes[np.isnan(values)] = MISSING
    return hashes


def hash_exact(cells: Any, values: np.ndarray) -> np.ndarray:
    """Return a hash of each number without rounding, as `hash_numbers` does if `float64` represents it.

    Args:
        cells: `pyarrow` array of numbers, or of strings of digits, as an `"exact"` column has them; none is missing.
        values: The same numbers, as `float64`.

    >>> cells = pa.array([2**53, 2**53 + 1, 2**53 + 2])
    >>> len(set(hash_exact(cells, cells.cast(pa.float64(), safe=False).to_numpy()).tolist()))
    3
    """
    hashes = hash_numbers(values)
    if pa.types.is_floating(cells.type):
        return hashes
    try:
        integers = cells if pa.types.is_integer(cells.type) else cells.cast(pa.int64())
        integers = integers.cast(pa.uint64() if pa.types.is_unsigned_integer(integers.type) else pa.int64()).to_numpy()
    except pa.ArrowInvalid:  # a fraction, an exponent, or more than 64 bits
        for i, cell in enumerate(cells.to_pylist()):
            number = as_written(cell)
            if number != as_written(float(values[i])):
                digits = f"{number:f}".rstrip("0").rstrip(".") if number != int(number) else str(int(number))
                hashes[i] = mixed(hash_cells(pa.array([digits])))[0]
        return hashes
    with np.errstate(invalid="ignore"):  # 2^63 is no integer of 64 bits
        rounded = np.flatnonzero(values.astype(integers.dtype) != integers)
    hashes[rounded] = mixed(hash_cells(pa.array(integers[rounded]).cast(pa.string())))
    return hashes


def combined(hashes: list[np.ndarray]) -> np.ndarray:
    """Return one hash per row, `uint64` of shape `(n,)`, of the hashes of its cells."""
    first, *others = hashes
    for other in others:
        first = mixed(first) + other
    return first


def missing_in(columns: list[Any]) -> np.ndarray:
    """Return which rows have a missing cell in one of the columns, `bool` of shape `(n,)`."""
    return np.logical_or.reduce([is_missing(cells) for cells in columns])


def _hash_strings(texts: Any) -> np.ndarray:
    """Return the hash of each string: the sum of its bytes, each times a number of its position, mixed.

    This is multilinear hashing (Lemire and Kaser, Strongly universal string hashing is fast, 2014). Sums of all strings
    are differences of one cumulative sum, modulo 2^64.
    """
    offsets, data = _buffers(texts)
    starts, lengths = offsets[:-1], np.diff(offsets)
    position = np.arange(len(data)) - np.repeat(starts, lengths)
    factors = mixed(np.arange(lengths.max(initial=0), dtype=np.uint64))
    terms = (data.astype(np.uint64) + np.uint64(1)) * factors[position]
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    return mixed(sums[offsets[1:]] - sums[starts])


def _buffers(texts: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return where the strings begin and end, `int64` of shape `(n + 1,)`, and their bytes, `uint8`."""
    if not len(texts):
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    _, offsets, data = texts.buffers()
    width = np.int64 if str(texts.type) == "large_string" else np.int32
    offsets = np.frombuffer(offsets, width)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    data = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
    return offsets - offsets[0], data[offsets[0] : offsets[-1]]


def mixed(values: np.ndarray) -> np.ndarray:
    """Return integers whose bits all depend on all bits: the finalizer of splitmix64 (Steele and others, 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
