"""Two arrays shuffled, split and saved as one; the splits themselves, as properties."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from keras_oocore.core.errors import DataError, DestinationError, OptionError
from keras_oocore.manifest.splits import class_codes, part_sizes, split_indices
from keras_oocore.prepare import load_arrays, save_arrays, shuffle_arrays, split_arrays


def named(num_samples):
    return [f"{i}.png" for i in range(num_samples)]


def numbers(filenames):
    return [int(name[:-4]) for name in filenames]


# --- shuffle --------------------------------------------------------------------------------------------------------


def test_shuffle_keeps_filename_and_label_together():
    filenames, labels = shuffle_arrays(named(50), np.arange(50), seed=3)
    assert numbers(filenames) == labels.tolist()
    assert sorted(labels) == list(range(50))
    assert labels.tolist() != list(range(50))
    again, _ = shuffle_arrays(named(50), None, seed=3)
    assert again.tolist() == filenames.tolist()


def test_shuffle_leaves_what_it_was_given():
    labels = np.eye(5)
    shuffled = shuffle_arrays(named(5), labels, seed=0)[1]
    np.testing.assert_array_equal(labels, np.eye(5))
    assert shuffled.shape == (5, 5)
    assert shuffle_arrays(named(1), ["cat"])[1].tolist() == ["cat"]


def test_shuffle_without_a_seed_follows_the_random_of_python():
    random.seed(1)
    first = shuffle_arrays(named(50), None)[0].tolist()
    assert shuffle_arrays(named(50), None)[0].tolist() != first
    random.seed(1)
    assert shuffle_arrays(named(50), None)[0].tolist() == first


def test_shuffle_compares_lengths():
    with pytest.raises(DataError, match="Received: 3 filenames and 2 labels"):
        shuffle_arrays(named(3), [0, 1])


@pytest.mark.parametrize("seed", [-1, 2**32, "one", 0.5])
def test_seeds_that_cannot_be(seed):
    with pytest.raises(OptionError, match=r"`seed` should be an integer from 0 to 2\*\*32 - 1.*Received: seed="):
        shuffle_arrays(named(3), None, seed=seed)


# --- split ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stratify", [True, False])
def test_split_is_train_test_split(stratify):
    labels = np.arange(60) % 3
    ours = split_arrays(named(60), labels, validation_split=0.21, stratify=stratify, seed=5)
    theirs = train_test_split(
        np.array(named(60)), labels, test_size=0.21, random_state=5, stratify=labels if stratify else None
    )
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_split_into_three():
    labels = np.arange(60) % 3
    parts = split_arrays(named(60), labels, validation_split=0.2, test_split=0.1, seed=0)
    assert [len(part) for part in parts] == [42, 12, 6, 42, 12, 6]
    assert sorted(number for part in parts[:3] for number in numbers(part)) == list(range(60))
    for filenames, part_labels in zip(parts[:3], parts[3:]):
        assert (np.array(numbers(filenames)) % 3).tolist() == part_labels.tolist()
        assert np.ptp(np.bincount(part_labels)) == 0


def test_split_of_unlabelled_samples():
    train, val, no_labels, none_either = split_arrays(named(10), None, validation_split=3)
    assert (len(train), len(val)) == (7, 3)
    assert no_labels is None
    assert none_either is None


def test_split_of_text_and_one_hot_labels_keeps_them():
    text = np.array(["cat", "dog"] * 10)
    assert split_arrays(named(20), text, seed=0)[3].tolist().count("cat") == 2
    one_hot = np.eye(2)[np.arange(20) % 2]
    assert split_arrays(named(20), one_hot, seed=0)[3].sum(axis=0).tolist() == [2, 2]
    column = (np.arange(20) % 2).reshape(-1, 1).astype(float)
    assert split_arrays(named(20), column, seed=0)[3].shape == (4, 1)


@pytest.mark.parametrize(
    "labels",
    [np.random.default_rng(0).random(10), np.ones((10, 3)), np.zeros((10, 2, 2), dtype=int), np.full(10, np.nan)],
    ids=["regression", "multi-label", "masks", "missing"],
)
def test_what_cannot_be_stratified_says_so(labels):
    with pytest.raises(OptionError, match=r"stratify=True needs one class a sample, but these labels are .* of shape"):
        split_arrays(named(10), labels)
    assert len(split_arrays(named(10), labels, stratify=False)[0]) == 8
    halves = np.arange(10) % 2
    val_filenames = split_arrays(named(10), labels, stratify=halves)[1]
    assert sorted(halves[numbers(val_filenames)]) == [0, 1]


def test_stratify_has_one_class_a_sample():
    with pytest.raises(DataError, match="Received: 3 classes for 10 samples"):
        split_arrays(named(10), None, stratify=[0, 1, 0])


def test_small_classes_are_named_and_counted():
    labels = [*["cat"] * 20, *["dog"] * 20, "emu"]
    with pytest.raises(
        OptionError, match=r"too few samples are of class 'emu' \(1\)\. Pass stratify=False, add samples"
    ):
        split_arrays(named(41), labels)
    with pytest.raises(OptionError, match=r"of class 'emu' \(2\)\."):
        split_arrays(named(42), [*labels, "emu"], 0.2, 0.2)
    with pytest.raises(OptionError, match=r"'0' \(1\), .*'4' \(1\) and 5 more\."):
        split_arrays(named(10), np.arange(10))


def test_a_class_that_the_test_part_would_use_up_is_named():
    labels = np.repeat([0, 1], [3, 40])  # two of the three go to the test part
    with pytest.raises(OptionError, match=r"too few samples are of class '0' \(3\)"):
        split_arrays(named(43), labels, validation_split=0.2, test_split=0.6, seed=0)


def test_fewer_samples_than_classes_in_a_part():
    with pytest.raises(OptionError, match=r"The validation part would be 4 of 40 samples, fewer than the 10 classes"):
        split_arrays(named(40), np.arange(40) % 10, validation_split=0.1)
    with pytest.raises(OptionError, match=r"The train part would be 2 of 40 samples"):
        split_arrays(named(40), np.arange(40) % 10, validation_split=0.95)


@pytest.mark.parametrize("split", [0, 0.0, 1.0, 1.5, -0.1, -3, True, "0.2", np.nan, [0.2]])
def test_sizes_that_cannot_be(split):
    with pytest.raises(OptionError, match=r"`validation_split` should be a fraction .* Received: validation_split="):
        split_arrays(named(10), None, validation_split=split)
    with pytest.raises(OptionError, match=r"`test_split` should be a fraction .* Received: test_split="):
        split_arrays(named(10), None, test_split=split)


def test_nothing_left_to_train_on():
    with pytest.raises(OptionError, match=r"6 of 10 samples would be for validation and 4 for test"):
        split_arrays(named(10), None, validation_split=0.6, test_split=0.4)
    with pytest.raises(OptionError, match="Nothing is left to train on: 1 of 1 samples"):
        split_arrays(named(1), None)
    with pytest.raises(OptionError, match="10 of 10"):
        split_arrays(named(10), None, validation_split=10)
    with pytest.raises(OptionError, match="Say how much to split off"):
        split_arrays(named(10), None, validation_split=None)


def test_numpy_numbers_are_numbers():
    assert part_sizes(100, np.float32(0.25), np.int64(5)) == (25, 5)


def test_without_shuffle_the_last_are_split_off():
    train, val, test = split_indices(10, 0.2, 0.3, shuffle=False)
    assert (train.tolist(), val.tolist(), test.tolist()) == ([0, 1, 2, 3, 4], [5, 6], [7, 8, 9])
    with pytest.raises(OptionError, match="Pass stratify=False"):
        split_indices(10, 0.2, stratify=np.zeros(10), shuffle=False)


def test_one_exact_split_is_pinned():
    assert split_indices(8, 0.25, seed=0)[1].tolist() == [6, 2]
    groups = np.array([0, 0, 1, 1, 2, 3, 3, 3])
    assert [part.tolist() for part in split_indices(8, 0.25, groups=groups, seed=0)] == [[1, 0, 5, 7, 4, 6], [2, 3]]


sizes = st.one_of(st.none(), st.floats(0.05, 0.45), st.integers(1, 4))


@settings(deadline=None)
@given(st.integers(20, 200), sizes, sizes, st.integers(0, 2**32 - 1), st.booleans())
def test_parts_are_disjoint_complete_and_of_the_size_asked_for(
    num_samples, validation_split, test_split, seed, shuffle
):
    if validation_split is None and test_split is None:
        return
    parts = split_indices(num_samples, validation_split, test_split, seed=seed, shuffle=shuffle)
    num_validation, num_test = part_sizes(num_samples, validation_split, test_split)
    assert sorted(np.concatenate(parts)) == list(range(num_samples))
    wanted = [num_samples - num_validation - num_test, num_validation, num_test]
    assert [len(part) for part in parts] == [size for size in wanted if size]


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=3, max_size=40),
    st.floats(0.05, 0.45),
    st.one_of(st.none(), st.floats(0.05, 0.45)),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_groups_never_span_a_split(group_sizes, validation_split, test_split, stratify, seed):
    groups = np.repeat([f"patient {i}" for i in range(len(group_sizes))], group_sizes)
    groups = np.random.default_rng(seed).permutation(groups)
    labels = np.arange(len(groups)) % 3
    try:
        wanted = part_sizes(len(groups), validation_split, test_split)
    except OptionError:
        return  # a handful of samples
    parts = split_indices(
        len(groups), validation_split, test_split, labels if stratify else None, groups=groups, seed=seed
    )
    assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    assert all(len(part) for part in parts)
    held = [set(groups[part]) for part in parts]
    assert sum(map(len, held)) == len(group_sizes)
    for part, size in zip(parts[1:], [size for size in wanted if size]):
        assert abs(len(part) - size) <= 2 * max(group_sizes)


def test_groups_of_one_keep_size_and_mix():
    labels = np.repeat([0, 1], [900, 100])
    _, val = split_indices(1000, 0.2, stratify=labels, groups=np.arange(1000), seed=0)
    assert len(val) == 200
    assert abs(labels[val].sum() - 20) <= 2
    assert val.tolist() != sorted(val)
    again = split_indices(1000, 0.2, stratify=labels, groups=np.arange(1000), seed=0)[1]
    assert again.tolist() == val.tolist()


def test_groups_of_uneven_size_come_near_the_fraction():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), rng.integers(1, 101, 30))
    for seed in range(10):
        val = split_indices(len(groups), 0.2, groups=groups, seed=seed)[1]
        assert 0.18 < len(val) / len(groups) < 0.22


@pytest.mark.parametrize(
    ("groups", "error", "words"),
    [
        ([0] * 10, OptionError, "1 groups cannot fill 2 parts: train, validation"),
        ([0, 1], DataError, r"one group a sample: 10 expected. Received: \(2,\)"),
        ([0.0] * 9 + [np.nan], DataError, "no group for sample 9"),
        (["a"] * 8 + [None, "b"], DataError, "no group for sample 8"),
    ],
)
def test_groups_that_cannot_be(groups, error, words):
    with pytest.raises(error, match=words):
        split_arrays(named(10), None, groups=groups)


def test_classes_of_many_kinds():
    assert class_codes(np.array([[0], [1]])).tolist() == [0, 1]
    assert class_codes(np.array([1.0, 3.0])).tolist() == [1, 3]
    assert class_codes(np.array([True, False])).tolist() == [True, False]
    assert class_codes(np.array([[0.0, 1.0], [1.0, 0.0]])).tolist() == [1, 0]


# --- save and load --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [None, [3, 1, 2], ["a", "ü", "\U0001f98a"], np.eye(3, dtype=np.float32)])
def test_arrays_come_back(tmp_path, labels):
    filenames = ["a b.png", "日本\n.png", "x\udcff.png"]
    assert save_arrays(tmp_path / "new", filenames, labels) == tmp_path / "new"
    loaded_filenames, loaded_labels = load_arrays(tmp_path / "new")
    assert loaded_filenames.tolist() == filenames
    if labels is None:
        assert loaded_labels is None
    else:
        np.testing.assert_array_equal(loaded_labels, labels)


def test_saving_again_leaves_no_labels_of_before(tmp_path):
    save_arrays(tmp_path, named(3), [0, 1, 2])
    save_arrays(tmp_path, named(2))
    assert load_arrays(tmp_path)[1] is None


def test_pickles_are_never_written_nor_read(tmp_path):
    with pytest.raises(DataError, match="label of sample 0 should be a number or text"):
        save_arrays(tmp_path, named(2), [{}, {}])
    assert not list(tmp_path.iterdir())
    np.save(tmp_path / "filenames.npy", np.array([None], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="pickled Python objects, which could run any code"):
        load_arrays(tmp_path)


def test_lengths_are_compared_both_ways(tmp_path):
    with pytest.raises(DataError, match="Received: 2 filenames and 3 labels"):
        save_arrays(tmp_path, named(2), [0, 1, 2])
    np.save(tmp_path / "filenames.npy", np.array(named(2)))
    np.save(tmp_path / "labels.npy", np.arange(3))
    with pytest.raises(DataError, match="holds 2 filenames but 3 labels: a save was interrupted"):
        load_arrays(tmp_path)


def test_a_full_disk_leaves_both_arrays_of_before(tmp_path, monkeypatch):
    save_arrays(tmp_path, named(2), [0, 1])
    real = np.save

    def full(file, array, **options):
        if array.dtype.kind == "i":
            raise OSError(28, "No space left on device")
        real(file, array, **options)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(DestinationError, match=r"Cannot write '.*labels\.npy'.*Free some space"):
        save_arrays(tmp_path, ["c.png", "d.png"], [1, 0])
    assert load_arrays(tmp_path)[0].tolist() == named(2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["filenames.npy", "labels.npy"]


def test_missing_arrays_are_named(tmp_path):
    with pytest.raises(DataError, match=r"Cannot read '.*filenames\.npy'"):
        load_arrays(tmp_path)
