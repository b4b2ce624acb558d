"""Labels and predictions as strings."""

import numpy as np
import pytest

from keras_oocore.manifest.label_strings import label_strings, prediction_strings

NAMES = ["cat", "dog", "owl"]


@pytest.mark.parametrize(
    ("y", "names", "mode", "expected"),
    [
        ([1, 2], NAMES, "int", ["dog", "owl"]),
        ([[1], [7]], NAMES, "int", ["dog", "7"]),
        ([1, 2], None, "int", ["1", "2"]),
        ([1, 2], NAMES, "raw", ["dog", "owl"]),
        ([0.5, 2.0], NAMES, "raw", ["0.5", "2.0"]),
        ([0.5, 2.0], None, "int", ["0.5", "2.0"]),  # a transform made other labels
        ([[0, 1, 0]], NAMES, "categorical", ["dog"]),
        ([[0.1, 0.9, 0.0]], NAMES, "categorical", ["dog 90%, cat 10%"]),
        ([[0.02, 0.96, 0.02]], NAMES, "categorical", ["dog 96%, cat 2%, owl 2%"]),
        ([[0.1, 0.9, 0.0]], NAMES, "int", ["dog 90%, cat 10%"]),
        ([[0.1, 0.9]], None, "categorical", ["class 1 90%, class 0 10%"]),
        ([[0, 1]], None, "categorical", ["1"]),
        ([[1, 1, 0], [0, 0, 0]], NAMES, "raw", ["cat, dog", "none"]),
        ([[0.7, 0.6, 0.0]], NAMES, "raw", ["cat 70%, dog 60%"]),
        ([[1.5, -2.0, 0.0]], NAMES, "raw", ["cat 1.5, dog -2, owl 0"]),
        ([[1, 0, 1, 1]], NAMES, "raw", ["[1 0 1 1]"]),
        ([[1.0], [0.0]], NAMES[:2], "binary", ["dog", "cat"]),
        ([[0.3]], NAMES[:2], "binary", ["cat 70%, dog 30%"]),
        ([[1.0]], None, "binary", ["1"]),
        ([[np.nan]], NAMES[:2], "binary", ["nan"]),
    ],
)
def test_labels(y, names, mode, expected):
    assert label_strings(np.array(y), names, mode) == expected


def test_many_labels_are_counted():
    assert label_strings(np.ones((1, 9), int), [*"abcdefghi"]) == ["a, b, c, d, e, f and 3 more"]


@pytest.mark.parametrize(
    ("predictions", "y", "names", "mode", "expected"),
    [
        ([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1]], [1, 1], NAMES, "int", [("dog 90%", True), ("cat 80%", False)]),
        ([[-3.0, 5.0, 0.0]], [1], NAMES, "int", [("dog", True)]),
        ([[0.1, 0.9]], [0], None, "int", [("1 90%", False)]),
        ([[0.1, 0.9, 0.0]], [[0, 0, 1]], NAMES, "categorical", [("dog 90%", False)]),
        ([2], [2], NAMES, "int", [("owl", True)]),
        ([[0.9], [0.2]], [[1.0], [1.0]], NAMES[:2], "binary", [("dog 90%", True), ("cat 80%", False)]),
        ([[3.0]], [[1.0]], NAMES[:2], "binary", [("dog 95%", True)]),
        ([[0.9]], [1], None, "int", [("1 90%", True)]),
        ([[0.9, 0.7, 0.1]], [[1, 1, 0]], NAMES, "raw", [("cat, dog", True)]),
        ([[0.9, 0.7, 0.1]], [[1, 0, 0]], NAMES, "raw", [("cat, dog", False)]),
        ([[2.0, -1.0, -3.0]], [[1, 1, 0]], NAMES, "raw", [("cat", False)]),
        ([[0.1, 0.2, 0.1]], [[1, 1, 0]], NAMES, "raw", [("none", False)]),
        ([[3.14159]], [3.0], None, "raw", [("3.142", None)]),
        ([[1.0, 2.5]], [[1.0, 2.0]], None, "raw", [("1, 2.5", None)]),
        ([[0.1, 0.9, 0.0]], None, NAMES, None, [("dog 90%", None)]),
        ([[0.1, 0.9, 0.0]], None, None, None, [("class 1 90%", None)]),
        ([[0.1, 0.8, 0.0]], None, None, None, [("0.1, 0.8, 0", None)]),  # no probabilities of classes
    ],
)
def test_predictions(predictions, y, names, mode, expected):
    y = None if y is None else np.array(y)

    assert [tuple(found) for found in prediction_strings(np.array(predictions), y, names, mode)] == expected
