"""The number of distinct values: exact if there are few, whatever their order and the parts."""

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.checks.tables.sketch import DistinctSketch, distinct
from keras_oocore.tables.splits.hashing import mixed


@given(st.lists(st.lists(st.integers(0, 60), max_size=200), max_size=6), st.integers(1, 40))
@examples(40)
def test_the_smallest_hashes_of_all_parts_are_kept(parts, size):
    sketch = DistinctSketch(size)
    for part in parts:
        sketch.add(sketch.candidates(mixed(np.array(part, np.uint64))))
    hashes = sorted({int(value) for part in parts for value in mixed(np.array(part, np.uint64))})

    assert sketch.hashes.tolist() == hashes[:size]
    assert sketch.is_exact == (len(hashes) < size)
    if sketch.is_exact:
        assert sketch.count == len(hashes)


def test_many_values_are_estimated():
    sketch = DistinctSketch(4096)
    for first in range(0, 10**6, 10**5):
        values = np.arange(first, first + 2 * 10**5, dtype=np.uint64)
        sketch.add(sketch.candidates(mixed(values)))
    assert sketch.count == pytest.approx(1.1e6, rel=0.06)


def test_distinct_values():
    assert distinct(np.array([], np.uint64)).tolist() == []
    assert distinct(np.array([3, 1, 3], np.uint64)).tolist() == [1, 3]
