"""Statistics of columns: joined parts equal the whole."""

import math

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.csv.cells import Column, pa
from keras_oocore.tables import statistics as statistics_module
from keras_oocore.tables.statistics import ColumnStatistics

NUMBER, TEXT = Column("a", 0, "float32"), Column("b", 1, "string")


def joined(column, parts):
    found = ColumnStatistics(column)
    for part in parts:
        found.join(ColumnStatistics.of(column, pa.array(part, pa.string() if column is TEXT else pa.float64())))
    return found


numbers = st.none() | st.floats(-1e6, 1e6)


@given(st.lists(st.lists(numbers, max_size=5), max_size=6))
@examples(40)
def test_joined_parts_equal_the_whole(parts):
    values = [value for part in parts for value in part if value is not None]
    found = joined(NUMBER, parts)

    assert (found.count, found.missing) == (len(values), sum(map(len, parts)) - len(values))
    assert found.distinct == len(set(values))
    if values:
        assert found.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-6)
        assert found.std == pytest.approx(np.std(values), rel=1e-6, abs=1e-6)
        assert (found.smallest, found.largest) == (min(values), max(values))
    else:
        assert math.isnan(found.std)


def test_std_of_numbers_far_from_zero():
    values = 1e9 + np.random.default_rng(0).normal(size=10_000)
    found = joined(NUMBER, np.split(values, 10))
    assert found.std == pytest.approx(np.std(values - 1e9), rel=1e-6)


def test_strings_by_frequency_then_alphabet():
    found = joined(TEXT, [["b", "c", None, "a"], ["c", "Ä", "b"], ["d"]])
    assert found.by_frequency == ["b", "c", "a", "d", "Ä"]
    assert (found.count, found.missing, found.distinct) == (7, 1, 5)


def test_most_distinct_numbers(monkeypatch):
    monkeypatch.setattr(statistics_module, "MOST_DISTINCT", 5)
    assert joined(NUMBER, [[1, 2, 3], [3, 4, 5]]).distinct == 5
    assert joined(NUMBER, [[1, 2, 3], [3, 4, 5], [6], [1]]).distinct is None
    assert joined(NUMBER, [[1, 2, 3, 4, 5, 6]]).distinct is None


@pytest.mark.parametrize("number", [100_001, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_all_distinct_strings_are_counted(number):
    """Other than distinct numbers, which are counted up to 100,000."""
    found = joined(TEXT, [[f"{i:06d}" for i in range(k, number, 2)] for k in (0, 1)])
    assert found.distinct == number
    assert found.by_frequency[-1] == f"{number - 1:06d}"


def test_infinities_cause_no_warning():
    assert joined(NUMBER, [[math.inf, 1.0]]).largest == math.inf
