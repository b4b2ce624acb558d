"""The classes of a target."""

import itertools

import pytest

from keras_oocore.tables.targets import sorted_classes


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["10", "9", "-1"], ["-1", "9", "10"]),
        (["1.0", "1", "2"], ["1", "1.0", "2"]),
        (["10", "9", "nan"], ["10", "9", "nan"]),
        (["inf", "3", "-inf"], ["-inf", "3", "inf"]),
    ],
)
def test_the_order_of_classes_does_not_depend_on_the_order_of_their_rows(texts, expected):
    assert all(sorted_classes(order) == expected for order in itertools.permutations(texts))
