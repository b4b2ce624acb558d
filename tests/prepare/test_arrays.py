"""Filenames and labels as a pair of arrays: shuffled, split, saved and loaded."""

import random

import numpy as np
import pytest
from frozen_disk import killed_at, read_only_disk
from sklearn.model_selection import train_test_split

from keras_oocore.core.errors import DataError, DestinationError, OptionError
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.prepare import load_arrays, save_arrays, shuffle_arrays, split_arrays


def named(num_samples):
    return [f"{i}.png" for i in range(num_samples)]


def numbers(filenames):
    return [int(name[:-4]) for name in filenames]


def test_shuffle_keeps_filename_and_label_together():
    filenames, labels = shuffle_arrays(named(50), np.arange(50), seed=3)
    assert numbers(filenames) == labels.tolist()
    assert sorted(labels) == list(range(50))
    assert labels.tolist() != list(range(50))
    again, _ = shuffle_arrays(named(50), None, seed=3)
    assert again.tolist() == filenames.tolist()


def test_shuffle_does_not_change_its_arguments():
    labels = np.eye(5)
    shuffled = shuffle_arrays(named(5), labels, seed=0)[1]
    np.testing.assert_array_equal(labels, np.eye(5))
    assert shuffled.shape == (5, 5)
    assert shuffle_arrays(named(1), ["cat"])[1].tolist() == ["cat"]


def test_shuffle_seed_none_uses_python_random():
    random.seed(1)
    first = shuffle_arrays(named(50), None)[0].tolist()
    assert shuffle_arrays(named(50), None)[0].tolist() != first
    random.seed(1)
    assert shuffle_arrays(named(50), None)[0].tolist() == first


def test_shuffle_compares_lengths():
    with pytest.raises(DataError, match="Received: 3 filenames and 2 labels"):
        shuffle_arrays(named(3), [0, 1])


@pytest.mark.parametrize("seed", [-1, 2**32, "one", 0.5])
def test_invalid_seed_raises(seed):
    with pytest.raises(OptionError, match=r"`seed` should be an integer from 0 to 2\*\*32 - 1.*Received: seed="):
        shuffle_arrays(named(3), None, seed=seed)


@pytest.mark.parametrize("stratify", [True, False])
def test_split_equals_train_test_split(stratify):
    labels = np.arange(60) % 3
    ours = split_arrays(named(60), labels, validation_split=0.21, stratify=stratify, seed=5)
    theirs = train_test_split(
        np.array(named(60)), labels, test_size=0.21, random_state=5, stratify=labels if stratify else None
    )
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_split_with_test_split():
    labels = np.arange(60) % 3
    parts = split_arrays(named(60), labels, validation_split=0.2, test_split=0.1, seed=0)
    assert [len(part) for part in parts] == [42, 12, 6, 42, 12, 6]
    assert sorted(number for part in parts[:3] for number in numbers(part)) == list(range(60))
    for filenames, part_labels in zip(parts[:3], parts[3:]):
        assert (np.array(numbers(filenames)) % 3).tolist() == part_labels.tolist()
        assert np.ptp(np.bincount(part_labels)) == 0


def test_split_without_labels():
    train, val, no_labels, none_either = split_arrays(named(10), None, validation_split=3)
    assert (len(train), len(val)) == (7, 3)
    assert no_labels is None
    assert none_either is None


def test_split_keeps_string_and_one_hot_labels():
    text = np.array(["cat", "dog"] * 10)
    assert split_arrays(named(20), text, seed=0)[3].tolist().count("cat") == 2
    one_hot = np.eye(2)[np.arange(20) % 2]
    assert split_arrays(named(20), one_hot, seed=0)[3].sum(axis=0).tolist() == [2, 2]
    column = (np.arange(20) % 2).reshape(-1, 1).astype(float)
    assert split_arrays(named(20), column, seed=0)[3].shape == (4, 1)


@pytest.mark.parametrize("labels", [None, [3, 1, 2], ["a", "ü", "\U0001f98a"], np.eye(3, dtype=np.float32)])
def test_save_and_load(tmp_path, labels):
    filenames = ["a b.png", "日本\n.png", "x\udcff.png"]
    assert save_arrays(tmp_path / "new", filenames, labels) == tmp_path / "new"
    loaded_filenames, loaded_labels = load_arrays(tmp_path / "new")
    assert loaded_filenames.tolist() == filenames
    if labels is None:
        assert loaded_labels is None
    else:
        np.testing.assert_array_equal(loaded_labels, labels)


def test_save_again_removes_labels(tmp_path):
    save_arrays(tmp_path, named(3), [0, 1, 2])
    save_arrays(tmp_path, named(2))
    assert load_arrays(tmp_path)[1] is None


def test_pickles_are_neither_written_nor_read(tmp_path):
    with pytest.raises(DataError, match="label of sample 0 should be a number or a string"):
        save_arrays(tmp_path, named(2), [{}, {}])
    assert not list(tmp_path.iterdir())
    np.save(tmp_path / "filenames.npy", np.array([None], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="pickled Python objects, which could run any code"):
        load_arrays(tmp_path)


def test_save_and_load_compare_lengths(tmp_path):
    with pytest.raises(DataError, match="Received: 2 filenames and 3 labels"):
        save_arrays(tmp_path, named(2), [0, 1, 2])
    np.save(tmp_path / "filenames.npy", np.array(named(2)))
    np.save(tmp_path / "labels.npy", np.arange(3))
    with pytest.raises(DataError, match="contains 2 filenames but 3 labels: the files belong to different datasets"):
        load_arrays(tmp_path)


def test_full_disk_keeps_the_earlier_arrays(tmp_path, monkeypatch):
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


def test_a_kill_at_any_step_leaves_the_old_or_the_new_pair(tmp_path, monkeypatch):
    """Filenames of one save never stand beside labels of another."""
    old, new = (named(3), [0, 1, 2]), (named(3)[::-1], [2, 1, 0])
    save_arrays(tmp_path / "whole", *old)
    with killed_at(None, monkeypatch) as steps:
        save_arrays(tmp_path / "whole", *new)
    outcomes = []
    for step in range(len(steps)):
        folder = tmp_path / str(step)
        save_arrays(folder, *old)
        with killed_at(step, monkeypatch):
            save_arrays(folder, *new)
        with read_only_disk(monkeypatch):
            filenames, labels = load_arrays(folder)
        assert numbers(filenames) == labels.tolist()
        outcomes.append(filenames.tolist() == new[0])
        assert load_arrays(folder)[0].tolist() == filenames.tolist()
        assert [np.load(folder / f"{name}.npy").tolist() for name in ("filenames", "labels")] == [
            filenames.tolist(),
            labels.tolist(),
        ]
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


def test_paths_of_the_arrays_are_completed_after_a_kill_too(tmp_path, monkeypatch):
    save_arrays(tmp_path, named(3), [0, 1, 2])
    with killed_at(("replace", 1), monkeypatch):
        save_arrays(tmp_path, named(3)[::-1], [2, 1, 0])
    with read_only_disk(monkeypatch):
        manifest = Manifest.from_arrays(tmp_path / "filenames.npy", tmp_path / "labels.npy")
    assert numbers(manifest.filenames) == manifest.labels.tolist() == [2, 1, 0]


def test_labels_saved_by_hand_are_loaded(tmp_path, monkeypatch):
    save_arrays(tmp_path, named(3), [0, 1, 2])
    np.save(tmp_path / "labels.npy", [5, 6, 7])
    assert load_arrays(tmp_path)[1].tolist() == [5, 6, 7]
    with killed_at(("replace", 1), monkeypatch):
        save_arrays(tmp_path, named(3)[::-1], [2, 1, 0])
    np.save(tmp_path / "labels.npy", [7, 8, 9])
    for _ in range(2):
        filenames, labels = load_arrays(tmp_path)
        assert filenames.tolist() == named(3)[::-1]
        assert labels.tolist() == [7, 8, 9]


def test_a_single_value_is_named(tmp_path):
    save_arrays(tmp_path, named(3), [0, 1, 2])
    np.save(tmp_path / "labels.npy", 5)
    with pytest.raises(DataError, match=r"labels\.npy' should contain one row per sample"):
        load_arrays(tmp_path)


def test_load_without_filenames_raises(tmp_path):
    with pytest.raises(DataError, match=r"Cannot read '.*filenames\.npy'"):
        load_arrays(tmp_path)
