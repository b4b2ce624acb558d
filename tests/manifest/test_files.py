"""`Manifest.save` and `Manifest.load`: files that are moved, damaged, half saved or from a newer version."""

import os
import shutil
import tracemalloc

import numpy as np
import pytest
from frozen_disk import killed_at, read_only_disk
from json_records import change_record
from trees import make_tree

from keras_oocore.core.errors import DataError, DestinationError
from keras_oocore.manifest.manifest import Manifest

ODD_NAMES = ["a b.png", "ünï.png", "日本.png", "\U0001f98a.png", "new\nline.png", "per%cent.png"]


def small(num_samples=100, num_classes=4, directory="photos"):
    return Manifest.from_arrays(
        [f"{i:03d}.png" for i in range(num_samples)],
        np.arange(num_samples) % num_classes,
        directory,
        [f"class {c}" for c in range(num_classes)],
    )


def assert_same(one, other):
    np.testing.assert_array_equal(one.filenames, other.filenames)
    if one.labels is None or other.labels is None:
        assert one.labels is other.labels
    else:
        assert one.labels.dtype == other.labels.dtype
        np.testing.assert_array_equal(one.labels, other.labels)
    assert one.class_names == other.class_names


@pytest.mark.parametrize(
    "labels", [None, [0, 1, 2, 3, 4, 5, 6], ["日本", *"abcde", "\udcff\n"], np.eye(7, dtype=np.float16)]
)
def test_save_and_load(tmp_path, labels):
    made = Manifest.from_arrays([*ODD_NAMES, "not\udcffutf8.png"], labels, tmp_path)
    assert made.save(tmp_path / "saved") == tmp_path / "saved"
    loaded = Manifest.load(tmp_path / "saved")
    assert_same(loaded, made)
    assert loaded.file_paths == made.file_paths
    arrays = ["filenames.npy"] + ["labels.npy"] * (labels is not None)
    assert sorted(os.listdir(tmp_path / "saved")) == [*arrays, "manifest.json"]
    np.testing.assert_array_equal(np.load(tmp_path / "saved" / "filenames.npy"), made.filenames)


def test_load_after_moving_the_project(tmp_path, monkeypatch):
    make_tree(tmp_path, "old/photos/cat/1.png")
    monkeypatch.chdir(tmp_path / "old")
    Manifest.from_directory("photos").save("prepared/train")
    monkeypatch.chdir(tmp_path)
    assert os.path.exists(Manifest.load("old/prepared/train").path(0))
    os.rename("old", "new")
    assert os.path.exists(Manifest.load("new/prepared/train").path(0))
    shutil.copytree("new/prepared/train", "far/away/train")  # only the manifest is moved, not the images
    os.rename("new", "old")
    assert os.path.exists(Manifest.load("far/away/train").path(0))


def test_load_without_directory(tmp_path):
    made = Manifest.from_arrays(["/a.png", "../b.png"], directory=None)
    made.save(tmp_path)
    assert Manifest.load(tmp_path).directory is None
    assert Manifest.load(tmp_path).file_paths == ["/a.png", "../b.png"]


def test_save_again_removes_labels(tmp_path):
    Manifest.from_arrays(["a", "b"], [0, 1]).save(tmp_path)
    Manifest.from_arrays(["c"]).save(tmp_path)
    assert Manifest.load(tmp_path).labels is None
    assert not (tmp_path / "labels.npy").exists()


def test_a_kill_at_any_step_leaves_the_old_or_the_new_manifest(tmp_path, monkeypatch):
    first = Manifest.from_arrays(["a", "b"], ["cat", "dog"], "here")
    second = Manifest.from_arrays(["c", "d", "e"], [1, 0, 0], "there")
    first.save(tmp_path / "whole")
    with killed_at(None, monkeypatch) as steps:
        second.save(tmp_path / "whole")
    lengths = []
    for step in range(len(steps)):
        folder = tmp_path / str(step)
        first.save(folder)
        with killed_at(step, monkeypatch):
            second.save(folder)
        with read_only_disk(monkeypatch):
            seen = Manifest.load(folder)
        lengths.append(len(seen))
        for loaded in (seen, Manifest.load(folder), Manifest.load(folder)):
            assert_same(loaded, first if len(seen) == 2 else second)
            assert loaded.directory.name == ("here" if len(seen) == 2 else "there")
        first.save(folder)
        assert sorted(os.listdir(folder)) == ["filenames.npy", "labels.npy", "manifest.json"]
    assert lengths == sorted(lengths)
    assert set(lengths) == {2, 3}


def test_load_without_manifest_raises(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        Manifest.load(tmp_path / "gone")
    with pytest.raises(DataError, match=r"contains no manifest.json"):
        Manifest.load(tmp_path)
    np.save(tmp_path / "filenames.npy", np.array(["a"]))
    with pytest.raises(DataError, match=r"contains no manifest\.json.*use Manifest\.from_arrays"):
        Manifest.load(tmp_path)


def test_damaged_and_changed_files_raise(tmp_path):
    small().save(tmp_path)
    json_path = tmp_path / "manifest.json"
    good = json_path.read_text()
    for text, words in [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ("{}", "is damaged"),
        ('{"format": 1}', "is damaged"),
    ]:
        json_path.write_text(text)
        with pytest.raises(DataError, match=words):
            Manifest.load(tmp_path)
    change_record(json_path, format=99)
    with pytest.raises(DataError, match=r"has format 99.*Upgrade"):
        Manifest.load(tmp_path)
    json_path.write_text(good)
    np.save(tmp_path / "labels.npy", np.zeros(100, dtype=np.int32))
    with pytest.raises(
        DataError, match=r"labels\.npy' \(100 samples\) does not belong to manifest\.json.*or the file has changed"
    ):
        Manifest.load(tmp_path)
    np.save(tmp_path / "labels.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="pickled"):
        Manifest.load(tmp_path)
    (tmp_path / "labels.npy").unlink()
    with pytest.raises(DataError, match=r"Cannot read '.*labels\.npy'"):
        Manifest.load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"num_samples": "many"},
        {"num_samples": []},
        {"num_samples": float("inf")},
        {"class_names": 3},
        {"class_names": [1, 2]},
        {"class_names": "abcd"},
        {"directory": 3},
        {"directory": "\0"},
        {"directory_absolute": ["/a"]},
        {"directory_absolute": None},
        {"filenames_crc32": None},
        {"labels_crc32": "x"},
        {"format": []},
    ],
    ids=str,
)
def test_values_of_other_types_are_damage(tmp_path, change):
    small().save(tmp_path)
    change_record(tmp_path / "manifest.json", **change)
    with pytest.raises(DataError, match=r"manifest\.json' is damaged"):
        Manifest.load(tmp_path)


def test_lists_are_saved_as_arrays(tmp_path):
    Manifest(["a.png", "b.png"], [0, 1]).save(tmp_path)
    assert Manifest.load(tmp_path).filenames.tolist() == ["a.png", "b.png"]
    assert Manifest.load(tmp_path).labels.tolist() == [0, 1]
    with pytest.raises(DataError, match="label of sample 1 should be a number or a string"):
        Manifest(["a.png", "b.png"], [0, None])


def test_save_to_unwritable_path_raises(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match=r"Cannot write '.*file': File exists"):
        small().save(tmp_path / "file")


def test_million_samples_use_little_memory(tmp_path):
    num_samples = 1_000_000
    names = np.char.add(np.char.zfill(np.arange(num_samples).astype(str), 36), ".png")
    assert names.dtype == "<U40"
    Manifest(names, np.arange(num_samples, dtype=np.int32) % 100, [*map(str, range(100))], tmp_path).save(tmp_path)
    del names
    tracemalloc.start()
    loaded = Manifest.load(tmp_path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(loaded) == num_samples
    assert peak_bytes < 250e6
    assert loaded.filenames.nbytes + loaded.labels.nbytes < 170e6
