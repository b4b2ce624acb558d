"""Hashes of strings: the same on every machine, and different for different strings."""

import itertools

import numpy as np
import pyarrow as pa

from keras_oocore.tables.splits.hashing import MISSING, combined, hash_cells

STRINGS = ["", "a", "b", "ab", "ba", "aa", "a\0", "\0", "é", "007", "7", " 7", "x" * 1000, "x" * 1001]


def test_hash_is_always_the_same():
    """Stored rows rely on it."""
    assert [f"{value:016x}" for value in hash_cells(pa.array(["", "a", "customer 1", "Zoë", None])).tolist()] == [
        "e220a8397b1dcdaf",
        "d7908ef3a9765ccc",
        "5c3081f93a5f414a",
        "ef5c24704ea4ca09",
        "9ae16a3b2f90404f",
    ]


def test_different_strings_have_different_hashes():
    words = [*STRINGS, *("".join(letters) for letters in itertools.product("ab", repeat=10))]
    assert len(set(hash_cells(pa.array(words)).tolist())) == len(words)


def test_hash_does_not_depend_on_the_other_cells():
    alone = np.concatenate([hash_cells(pa.array([text])) for text in STRINGS])
    assert hash_cells(pa.array(STRINGS)).tolist() == alone.tolist()
    assert hash_cells(pa.array([None, *STRINGS, *STRINGS]).slice(1 + len(STRINGS))).tolist() == alone.tolist()
    assert hash_cells(pa.array(STRINGS, pa.large_string())).tolist() == alone.tolist()
    assert hash_cells(pa.array([None, None], pa.string())).tolist() == [int(MISSING)] * 2
    assert len(hash_cells(pa.array([], pa.string()))) == 0


def test_keys_of_several_columns_depend_on_the_order():
    a, b = hash_cells(pa.array(["a"])), hash_cells(pa.array(["b"]))
    assert combined([a]) == a
    assert len({combined(pair)[0] for pair in ([a, b], [b, a], [a, a], [b, b])}) == 4


def test_buckets_are_equally_likely():
    hashes = hash_cells(pa.array([str(number) for number in range(20_000)]))
    for shift in (60, 48, 0):
        counts = np.bincount((hashes >> np.uint64(shift)).astype(np.int64) & 15, minlength=16)
        assert abs(counts - 1250).max() < 150
