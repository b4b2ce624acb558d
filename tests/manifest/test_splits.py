"""Random, stratified and grouped splits, as arrays of indices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.manifest.splits import class_codes, part_sizes, split_indices
from keras_oocore.prepare import split_arrays


def named(num_samples):
    return [f"{i}.png" for i in range(num_samples)]


def numbers(filenames):
    return [int(name[:-4]) for name in filenames]


def test_part_sizes_of_numpy_numbers():
    assert part_sizes(100, np.float32(0.25), np.int64(5)) == (25, 5)


@pytest.mark.parametrize("split", [0, 0.0, 1.0, 1.5, -0.1, -3, True, "0.2", np.nan, [0.2]])
def test_invalid_split_raises(split):
    with pytest.raises(OptionError, match=r"`validation_split` should be a float .* Received: validation_split="):
        part_sizes(10, split, None)
    with pytest.raises(OptionError, match=r"`test_split` should be a float .* Received: test_split="):
        part_sizes(10, 0.2, split)


def test_no_training_samples_raises():
    with pytest.raises(OptionError, match=r"6 of 10 samples would be used for validation and 4 for testing"):
        split_arrays(named(10), None, validation_split=0.6, test_split=0.4)
    with pytest.raises(OptionError, match="No samples remain for training: 1 of 1 samples"):
        split_arrays(named(1), None)
    with pytest.raises(OptionError, match="10 of 10"):
        split_arrays(named(10), None, validation_split=10)
    with pytest.raises(OptionError, match="Pass `validation_split` or `test_split`"):
        split_arrays(named(10), None, validation_split=None)


def test_shuffle_false_splits_off_the_last_samples():
    train, val, test = split_indices(10, 0.2, 0.3, shuffle=False)
    assert (train.tolist(), val.tolist(), test.tolist()) == ([0, 1, 2, 3, 4], [5, 6], [7, 8, 9])
    with pytest.raises(OptionError, match="Pass stratify=False"):
        split_indices(10, 0.2, stratify=np.zeros(10), shuffle=False)


def test_split_of_seed_0_is_pinned():
    assert split_indices(8, 0.25, seed=0)[1].tolist() == [6, 2]
    groups = np.array([0, 0, 1, 1, 2, 3, 3, 3])
    assert [part.tolist() for part in split_indices(8, 0.25, groups=groups, seed=0)] == [[1, 0, 5, 7, 4, 6], [2, 3]]


sizes = st.one_of(st.none(), st.floats(0.05, 0.45), st.integers(1, 4))


@settings(deadline=None)
@given(st.integers(20, 200), sizes, sizes, st.integers(0, 2**32 - 1), st.booleans())
def test_parts_are_disjoint_and_complete(num_samples, validation_split, test_split, seed, shuffle):
    if validation_split is None and test_split is None:
        return
    parts = split_indices(num_samples, validation_split, test_split, seed=seed, shuffle=shuffle)
    num_validation, num_test = part_sizes(num_samples, validation_split, test_split)
    assert sorted(np.concatenate(parts)) == list(range(num_samples))
    expected = [num_samples - num_validation - num_test, num_validation, num_test]
    assert [len(part) for part in parts] == [size for size in expected if size]


@pytest.mark.parametrize(
    "labels",
    [np.random.default_rng(0).random(10), np.ones((10, 3)), np.zeros((10, 2, 2), dtype=int), np.full(10, np.nan)],
    ids=["regression", "multi-label", "masks", "missing"],
)
def test_stratify_requires_classes(labels):
    with pytest.raises(
        OptionError, match=r"stratify=True requires one class per sample. Received: labels of dtype .* shape"
    ):
        split_arrays(named(10), labels)
    assert len(split_arrays(named(10), labels, stratify=False)[0]) == 8
    halves = np.arange(10) % 2
    val_filenames = split_arrays(named(10), labels, stratify=halves)[1]
    assert sorted(halves[numbers(val_filenames)]) == [0, 1]


def test_stratify_requires_one_class_per_sample():
    with pytest.raises(DataError, match="Received: 3 classes for 10 samples"):
        split_arrays(named(10), None, stratify=[0, 1, 0])


def test_small_class_raises_with_its_name():
    labels = [*["cat"] * 20, *["dog"] * 20, "emu"]
    with pytest.raises(OptionError, match=r"Too few samples of class 'emu' \(1\)\. Pass stratify=False, add samples"):
        split_arrays(named(41), labels)
    with pytest.raises(OptionError, match=r"of class 'emu' \(2\)\."):
        split_arrays(named(42), [*labels, "emu"], 0.2, 0.2)
    with pytest.raises(OptionError, match=r"'0' \(1\), .*'4' \(1\) and 5 more\."):
        split_arrays(named(10), np.arange(10))


def test_class_used_up_by_the_test_part_raises():
    labels = np.repeat([0, 1], [3, 40])  # two of the three are in the test part
    with pytest.raises(OptionError, match=r"Too few samples of class '0' \(3\)"):
        split_arrays(named(43), labels, validation_split=0.2, test_split=0.6, seed=0)


def test_part_with_fewer_samples_than_classes_raises():
    with pytest.raises(
        OptionError, match=r"The validation part would have 4 of 40 samples, .* fewer than the 10 classes"
    ):
        split_arrays(named(40), np.arange(40) % 10, validation_split=0.1)
    with pytest.raises(OptionError, match=r"The train part would have 2 of 40 samples"):
        split_arrays(named(40), np.arange(40) % 10, validation_split=0.95)


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=3, max_size=40),
    st.floats(0.05, 0.45),
    st.one_of(st.none(), st.floats(0.05, 0.45)),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_groups_stay_in_one_part(group_sizes, validation_split, test_split, stratify, seed):
    groups = np.repeat([f"patient {i}" for i in range(len(group_sizes))], group_sizes)
    groups = np.random.default_rng(seed).permutation(groups)
    labels = np.arange(len(groups)) % 3
    try:
        expected_sizes = part_sizes(len(groups), validation_split, test_split)
    except OptionError:
        return  # too few samples
    parts = split_indices(
        len(groups), validation_split, test_split, labels if stratify else None, groups=groups, seed=seed
    )
    assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    assert all(len(part) for part in parts)
    groups_of_parts = [set(groups[part]) for part in parts]
    assert sum(map(len, groups_of_parts)) == len(group_sizes)
    for part, size in zip(parts[1:], [size for size in expected_sizes if size]):
        assert abs(len(part) - size) <= 2 * max(group_sizes)


def test_groups_of_one_sample_keep_size_and_proportions():
    labels = np.repeat([0, 1], [900, 100])
    _, val = split_indices(1000, 0.2, stratify=labels, groups=np.arange(1000), seed=0)
    assert len(val) == 200
    assert abs(labels[val].sum() - 20) <= 2
    assert val.tolist() != sorted(val)
    again = split_indices(1000, 0.2, stratify=labels, groups=np.arange(1000), seed=0)[1]
    assert again.tolist() == val.tolist()


def test_groups_of_different_sizes_are_close_to_the_fraction():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), rng.integers(1, 101, 30))
    for seed in range(10):
        val = split_indices(len(groups), 0.2, groups=groups, seed=seed)[1]
        assert 0.18 < len(val) / len(groups) < 0.22


@pytest.mark.parametrize(
    ("groups", "error", "words"),
    [
        ([0] * 10, OptionError, "1 group is too few for 2 parts: train, validation"),
        ([0, 1], DataError, r"shape \(10,\), one group per sample. Received: shape \(2,\)"),
        ([0.0] * 9 + [np.nan], DataError, "has no group for sample 9"),
        (["a"] * 8 + [None, "b"], DataError, "has no group for sample 8"),
    ],
)
def test_invalid_groups_raise(groups, error, words):
    with pytest.raises(error, match=words):
        split_arrays(named(10), None, groups=groups)


def test_class_codes_of_any_dtype():
    assert class_codes(np.array([[0], [1]])).tolist() == [0, 1]
    assert class_codes(np.array([1.0, 3.0])).tolist() == [1, 3]
    assert class_codes(np.array([True, False])).tolist() == [True, False]
    assert class_codes(np.array([[0.0, 1.0], [1.0, 0.0]])).tolist() == [1, 0]
