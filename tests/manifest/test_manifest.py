"""`Manifest`: select, shuffle, split, summary, `repr` and pickling."""

import pickle
import random
from pathlib import Path

import numpy as np
import pytest
from trees import make_tree

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.manifest.manifest import Manifest


def small(num_samples=100, num_classes=4, directory="photos"):
    return Manifest.from_arrays(
        [f"{i:03d}.png" for i in range(num_samples)],
        np.arange(num_samples) % num_classes,
        directory,
        [f"class {c}" for c in range(num_classes)],
    )


def is_aligned(part):
    return [int(name[:3]) % 4 for name in part.filenames] == part.labels.tolist()


def test_take_shuffle_and_split_keep_filename_and_label_together():
    whole = small()
    for part in (
        whole.take([3, 1, 1]),
        whole.shuffle(seed=1),
        *whole.split(0.2, 0.1, seed=0),
        whole.take(whole.labels == 2),
    ):
        assert is_aligned(part)
        assert part.class_names == whole.class_names
        assert part.directory == Path("photos")
    assert len(whole.take([])) == 0
    assert whole.take(np.arange(5)).filenames.tolist() == [f"00{i}.png" for i in range(5)]


def test_shuffle_seed():
    whole = small()
    assert whole.shuffle(seed=1).filenames.tolist() == whole.shuffle(seed=1).filenames.tolist()
    assert whole.shuffle(seed=1).filenames.tolist() != whole.shuffle(seed=2).filenames.tolist()
    assert sorted(whole.shuffle(seed=1).filenames) == whole.filenames.tolist()
    orders = []
    for seed in (7, 7, 8):
        random.seed(seed)  # like keras.utils.set_random_seed
        orders.append(whole.shuffle().filenames.tolist())
    assert orders[0] == orders[1] != orders[2]


def test_split_sizes():
    whole = small()
    train, val, test = whole.split(validation_split=0.2, test_split=0.12, seed=0)
    assert (len(train), len(val), len(test)) == (68, 20, 12)
    assert sorted([*train.filenames, *val.filenames, *test.filenames]) == whole.filenames.tolist()
    assert np.bincount(val.labels).tolist() == [5, 5, 5, 5]
    assert np.bincount(test.labels).tolist() == [3, 3, 3, 3]
    train, test = whole.split(test_split=25, seed=0)
    assert (len(train), len(test)) == (75, 25)
    train, val = whole.split(validation_split=0.1, shuffle=False, stratify=False)
    assert val.filenames.tolist() == whole.filenames[90:].tolist()


def test_split_error_contains_class_names():
    whole = Manifest.from_arrays(["a", "b", "c", "d"], ["cat", "cat", "cat", "dog"])
    with pytest.raises(OptionError, match=r"Too few samples of class 'dog' \(1\)\. Pass stratify=False"):
        whole.split(0.5)
    assert [len(part) for part in whole.split(0.5, stratify=False)] == [2, 2]


def test_split_without_classes():
    assert [len(part) for part in Manifest.from_arrays(["a", "b"]).split(0.5)] == [1, 1]
    measured = Manifest.from_arrays([f"{i}" for i in range(8)], np.linspace(0, 1, 8))
    with pytest.raises(OptionError, match=r"labels of dtype float64 and shape \(8,\)\. Pass stratify=False"):
        measured.split(0.5)
    train, val = measured.split(0.5, stratify=measured.labels > 0.5, seed=0)
    assert (train.labels > 0.5).sum() == (val.labels > 0.5).sum() == 2


def test_repr():
    assert repr(small(1, 1)) == "Manifest(1 sample of 1 class in 'photos': class 0)"
    assert repr(small(2000, 12)).endswith(
        "(2,000 samples of 12 classes in 'photos': " + ", ".join(f"class {c}" for c in range(8)) + ", …)"
    )
    assert repr(Manifest.from_arrays(["a"])) == "Manifest(1 sample without labels in '.')"
    raw = Manifest.from_arrays(["a", "b"], np.zeros((2, 3, 4)), directory=None)
    assert repr(raw) == "Manifest(2 samples with float64 labels of shape (3, 4))"
    assert repr(Manifest.from_arrays(["a", "b"], [0, 1])) == "Manifest(2 samples with int32 labels in '.')"


def test_summary(tmp_path):
    make_tree(tmp_path, "cat [bold]/1.png", "cat [bold]/2.PNG", "日本/1.jpg", "日本/.hidden")
    summary = Manifest.from_directory(tmp_path).summary()
    assert str(summary) == repr(summary)  # a notebook displays it without quotes
    assert "3 samples of 2 classes" in summary
    rows = [line.split() for line in summary.splitlines()[2:4]]
    assert rows == [["cat", "[bold]", "2", "66.7%"], ["日本", "1", "33.3%"]]
    assert "formats: 2 .png, 1 .jpg" in summary
    assert "skipped: 1 hidden" in summary
    assert "missing" not in summary
    (tmp_path / "日本" / "1.jpg").unlink()
    (tmp_path / "cat [bold]" / "1.png").write_bytes(bytes(3000))
    summary = Manifest.from_arrays(["cat [bold]/1.png", "日本/1.jpg"], directory=tmp_path).summary()
    assert "size: 3.0 kB, 3.0 kB per file" in summary
    assert "missing: 1 file, the first" in summary


def test_summary_max_classes():
    summary = small(1000, 60).summary(max_classes=5)
    assert "… and 55 more" in summary
    assert "class 5" not in summary


def test_pickle():
    copy = pickle.loads(pickle.dumps(small()))
    assert repr(copy) == repr(small())
    np.testing.assert_array_equal(copy.filenames, small().filenames)


def test_init_compares_lengths():
    with pytest.raises(DataError, match="Received: 2 filenames and 3 labels"):
        Manifest(np.array(["a", "b"]), np.zeros(3))
