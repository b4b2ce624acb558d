"""Labels in every form that users pass them, and in every form that a model expects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from keras_oocore.core.errors import OptionError
from keras_oocore.manifest.labels import LABEL_MODES, Labels

INDICES = [2, 0, 1, 2]
ONE_HOT = np.eye(3)[INDICES]
ALL = np.arange(4)


@pytest.mark.parametrize(
    "values",
    [
        INDICES,
        np.array(INDICES, np.int64),
        np.array(INDICES, np.uint8),
        np.array(INDICES, np.float32),
        np.array(INDICES)[:, np.newaxis],
        np.array(INDICES, np.float64)[:, np.newaxis],
        ONE_HOT,
        ONE_HOT.astype(np.int32),
        ONE_HOT.astype(bool),
    ],
    ids=["list", "int64", "uint8", "float32", "column", "float column", "one-hot", "int one-hot", "bool one-hot"],
)
def test_class_indices_and_one_hot_rows_are_equal(values):
    as_int, as_categorical = Labels(values, "int"), Labels(values, "categorical")

    assert as_int.take(ALL).tolist() == INDICES
    assert as_int.take(ALL).dtype == np.int32
    assert as_int.take(ALL).shape == (4,)
    assert as_categorical.take(ALL).tolist() == ONE_HOT.tolist()
    assert as_categorical.take(ALL).dtype == np.float32
    assert as_int.values.tolist() == INDICES


@pytest.mark.parametrize("values", [[0, 1, 1], [[0], [1], [1]], [[1, 0], [0, 1], [0, 1]], [False, True, True]])
def test_binary_mode_is_a_float_column(values):
    y = Labels(values, "binary").take(np.array([1, 0]))

    assert y.tolist() == [[1.0], [0.0]]
    assert y.dtype == np.float32


def test_categorical_width_follows_class_names_or_rows():
    assert Labels([0, 1], "categorical", ["a", "b", "c"]).take(np.array([1])).tolist() == [[0, 1, 0]]
    assert Labels([[1, 0, 0], [0, 1, 0]], "categorical").take(np.array([1])).tolist() == [[0, 1, 0]]


@pytest.mark.parametrize(
    "values",
    [[0.5, 1.5], [[0, 1, 1], [1, 0, 1]], np.zeros((2, 3, 4), np.float16), [True, False], [1 + 2j, 3], [2**40, -1]],
)
def test_raw_mode_returns_rows_unchanged(values):
    y = Labels(values, "raw").take(np.array([1, 0]))

    assert y.tolist() == np.asarray(values)[[1, 0]].tolist()
    assert y.dtype == np.asarray(values).dtype


@pytest.mark.parametrize(("values", "mode"), [(None, "int"), (None, "raw"), ([0, 1], None), (None, None)])
def test_labels_none(values, mode):
    labels = Labels(values, mode)

    assert labels.take(np.array([0])) is None
    assert labels.label_mode is None
    assert labels.values is None


@given(indices=st.lists(st.integers(0, 6), min_size=1, max_size=30), data=st.data())
def test_modes_agree_on_the_class_of_each_sample(indices, data):
    samples = np.array(data.draw(st.lists(st.integers(0, len(indices) - 1), max_size=10)), dtype=np.int64)
    expected = [indices[sample] for sample in samples]

    assert Labels(indices, "int").take(samples).tolist() == expected
    assert Labels(indices, "raw").take(samples).tolist() == expected
    one_hot = Labels(indices, "categorical").take(samples)
    assert one_hot.argmax(axis=1).tolist() == expected
    assert one_hot.sum(axis=1).tolist() == [1] * len(expected)
    halves = [index % 2 for index in indices]
    assert Labels(halves, "binary").take(samples)[:, 0].tolist() == [halves[sample] for sample in samples]


def test_display_strings():
    names, both = ["cat", "dog"], np.array([1, 0])

    assert Labels([0, 1], "int", names).display_strings(np.array([1, 0, 1]), 2) == ["dog", "cat"]
    assert Labels([0, 1], "int").display_strings(both, 2) == ["1", "0"]
    for mode in ("binary", "categorical"):
        labels = Labels([0, 1], mode, names)
        assert labels.display_strings(labels.take(both), 2) == ["dog", "cat"]
    assert Labels([0.25, 1], "raw").display_strings(np.array([0.25]), 1) == ["0.25"]


def test_display_strings_of_other_targets_are_empty():
    labels = Labels([0, 1], "int", ["cat", "dog"])
    for y in (None, {"class": np.array([0, 1])}, np.zeros((2, 4, 4, 3))):
        assert labels.display_strings(y, 2) == ["", ""]
    assert Labels([0, 1], None).display_strings(np.array([0, 1]), 2) == ["", ""]


@pytest.mark.parametrize("mode", ["categories", "", 1, "Int"])
def test_unknown_label_mode_raises(mode):
    with pytest.raises(
        OptionError, match=r"`label_mode` should be one of \('int', 'categorical', 'binary', 'raw', None\)"
    ):
        Labels([0, 1], mode)
    assert mode not in LABEL_MODES


@pytest.mark.parametrize(
    ("values", "mode", "received"),
    [
        ([[0, 1, 1], [1, 0, 1]], "int", r"shape \(2, 3\)"),  # multi-label
        ([[0, 0], [1, 0]], "categorical", r"shape \(2, 2\)"),
        ([0.5, 1.0], "binary", "dtype float64"),
        ([np.nan, 1.0], "int", "dtype float64"),
        (["cat", "dog"], "categorical", "dtype <U3"),
        (np.zeros((2, 3, 3)), "binary", r"shape \(2, 3, 3\)"),
    ],
)
def test_class_mode_requires_one_class_per_sample(values, mode, received):
    with pytest.raises(
        OptionError, match=f'`label_mode="{mode}"` requires one class per sample.*{received}.*For multi-label .*"raw"'
    ):
        Labels(values, mode)


@pytest.mark.parametrize(
    ("values", "mode", "names", "message"),
    [
        ([0, 1, 2], "binary", ["a", "b", "c"], r"requires exactly 2 classes. Received: 3 classes \['a', 'b', 'c'\]"),
        ([0, 1, 2], "binary", None, r"requires exactly 2 classes. Received: 3 classes$"),
        ([0, 0], "binary", ["a"], r"requires exactly 2 classes. Received: 1 classes \['a'\]"),
        ([0, 3], "int", ["a", "b"], r"class indices from 0 to 1. Received: labels from 0 to 3"),
        ([-1, 0], "int", None, r"class indices from 0 to 0. Received: labels from -1 to 0"),
        ([1, 2**32 + 1], "int", None, r"class indices .*Received: labels from .* to 4294967297"),
        ([2.0**40, 0], "categorical", None, r"class indices .*Received: labels from .* to 1099511627776"),
        (
            ["cat", "dog"],
            "raw",
            None,
            r'requires numbers. Received: labels of dtype <U3. For class names, use .*"int"',
        ),
        (np.array([None, 1]), "raw", None, r"requires numbers. Received: labels of dtype object"),
    ],
)
def test_labels_that_do_not_fit_raise(values, mode, names, message):
    with pytest.raises(OptionError, match=message):
        Labels(values, mode, names)


@given(indices=st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_balanced_class_weight_equals_scikit_learn(indices):
    classes = np.unique(indices)
    expected = dict(zip(classes, compute_class_weight("balanced", classes=classes, y=np.array(indices))))

    weights = Labels(indices, "int").class_weights("balanced")

    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [expected[index] for index in indices], rtol=1e-6)


@pytest.mark.parametrize("mode", ["int", "categorical", "binary"])
def test_class_weight_of_other_classes_is_one(mode):
    weights = Labels([0, 1, 1, 0], mode).class_weights({1: 2.5})

    assert weights.tolist() == [1, 2.5, 2.5, 1]


@pytest.mark.parametrize(
    ("values", "mode", "class_weight", "message"),
    [
        ([0, 1], "raw", "balanced", r"requires class labels. Received: label_mode='raw'. Use `sample_weight`"),
        (None, "int", {0: 1}, r"requires class labels. Received: label_mode=None. Use `sample_weight`"),
        ([0, 1], "int", "balance", r'should be a dict or "balanced". Received: \'balance\''),
        ([0, 1], "int", [1, 2], r'should be a dict or "balanced". Received: \[1, 2\]'),
        ([0, 1], "int", {2: 1.0}, r"should map class indices from 0 to 1 to weights. Received: class 2"),
        ([0, 1], "int", {-1: 1.0}, r"Received: class -1"),
        ([0, 1], "int", {"cat": 1.0}, r"Received: class 'cat'"),
    ],
)
def test_invalid_class_weight_raises(values, mode, class_weight, message):
    with pytest.raises(OptionError, match=message):
        Labels(values, mode).class_weights(class_weight)


def test_class_weight_with_the_name_of_a_class_says_its_index():
    with pytest.raises(OptionError, match=r"Received: class 'dog'\. Its index is 1: class_weight=\{1: 5\.0\}$"):
        Labels([0, 1], "int", ["cat", "dog"]).class_weights({"dog": 5.0})
