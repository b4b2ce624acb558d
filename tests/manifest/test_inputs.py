"""Filenames and labels in every form that users pass them."""

from pathlib import Path

import numpy as np
import pytest

from keras_oocore.core.errors import DataError
from keras_oocore.manifest.manifest import Manifest


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda n: np.array(n, dtype=object), lambda n: map(Path, n)])
def test_filenames_of_any_sequence_type(kind):
    built = Manifest.from_arrays(kind(["a.png", "b/c.png"]))
    assert built.filenames.dtype.kind == "U"
    assert built.filenames.tolist() == ["a.png", "b/c.png"]
    assert built.labels is None


def test_npy_columns_of_filenames_and_labels(tmp_path):
    np.save(tmp_path / "filenames.npy", np.array([["a.png"], ["b.png"]]))
    np.save(tmp_path / "labels.npy", np.array([[0.0], [11.0]]))
    built = Manifest.from_arrays(tmp_path / "filenames.npy", str(tmp_path / "labels.npy"), directory=tmp_path)
    assert built.filenames.tolist() == ["a.png", "b.png"]
    assert built.labels.tolist() == [0, 11]
    assert built.labels.dtype == np.int32
    assert built.file_paths == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [(np.uint8, (2,)), (np.int64, (2, 1)), (np.float32, (2,)), (np.float64, (2, 1)), (bool, (2,))],
)
def test_whole_numbers_become_class_indices(dtype, shape):
    built = Manifest.from_arrays(["a", "b"], np.array([0, 1], dtype=dtype).reshape(shape))
    assert built.labels.dtype == np.int32
    assert built.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    "labels",
    [
        np.eye(2),
        np.array([0.5, 1.0]),
        np.array([[0.5], [1.0]]),
        np.array([-1.0, 1.0]),
        np.array([np.nan, 1.0]),
        np.array([1e12, 1.0]),
        np.zeros((2, 3, 4), dtype=np.uint8),
    ],
)
def test_other_labels_stay_unchanged(labels):
    built = Manifest.from_arrays(["a", "b"], labels)
    assert built.labels.dtype == labels.dtype
    np.testing.assert_array_equal(built.labels, labels)


@pytest.mark.parametrize(
    "labels",
    [["dog", "cat"], [["dog"], ["cat"]], np.array([b"dog", b"cat"]), np.array(["dog", "cat"], dtype=object)],
)
def test_string_labels_become_class_indices(labels):
    built = Manifest.from_arrays(["a", "b"], labels)
    assert built.labels.tolist() == [1, 0]
    assert built.class_names == ["cat", "dog"]
    given = Manifest.from_arrays(["a", "b"], labels, class_names=["dog", "emu", "cat"])
    assert given.labels.tolist() == [0, 2]
    assert given.class_names == ["dog", "emu", "cat"]


def test_unknown_class_raises_with_its_sample():
    with pytest.raises(DataError, match=r"Unknown class 'dgo' of sample 1 \('b'\).*Did you mean 'dog'\?"):
        Manifest.from_arrays(["a", "b"], ["cat", "dgo"], class_names=["cat", "dog"])
    with pytest.raises(DataError, match=r"Unknown class 2 of sample 1 \('b'\).*0 to 1"):
        Manifest.from_arrays(["a", "b"], [0, 2], class_names=["cat", "dog"])


@pytest.mark.parametrize(
    ("filenames", "labels", "words"),
    [
        (["a", "b"], [0], "Received: 2 filenames and 1 labels"),
        ([], None, "at least one filename"),
        (["a", ""], None, "filename of sample 1 is empty"),
        (["a", None], None, "filename of sample 1 should be a string. Received: None"),
        (["a", 3], None, "filename of sample 1 should be a string. Received: 3"),
        (np.array([["a", "b"]]), None, "should be a list"),
        (["a", "b"], ["cat", None], "label of sample 1 should be a number or a string. Received: None"),
        (["a", "b"], [[1, 2], [3]], "shapes differ"),
        (["a", "b"], [["x", "y"], ["z", "w"]], "should be one string label per sample"),
    ],
)
def test_invalid_filenames_and_labels_raise(filenames, labels, words):
    with pytest.raises(DataError, match=words):
        Manifest.from_arrays(filenames, labels)


@pytest.mark.parametrize(
    ("array", "words"),
    [(np.ones(2, [("a", "<f4")]), "sample 0 should be a string"), (np.array(["a", ""]), "1 is empty")],
)
def test_error_about_filenames_in_a_file_names_it(tmp_path, array, words):
    np.save(tmp_path / "f.npy", array)
    with pytest.raises(DataError, match=rf"f\.npy': The filename of .*{words}"):
        Manifest.from_arrays(tmp_path / "f.npy")


def test_pickled_filenames_raise(tmp_path):
    np.save(tmp_path / "f.npy", np.array(["a", "b"], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"f\.npy' contains pickled Python objects"):
        Manifest.from_arrays(tmp_path / "f.npy")


@pytest.mark.parametrize("name", ["../b.png", "/b.png", "a/../../b.png", "a/b/../../../c"])
def test_filename_outside_directory_raises(name, monkeypatch):
    monkeypatch.setattr("keras_oocore.manifest.inputs.BLOCK_ROWS", 2)
    with pytest.raises(DataError, match=r"is outside the directory 'photos'.*directory=None") as caught:
        Manifest.from_arrays(["a.png", "b..c.png", "...png", name], directory="photos")
    assert repr(name) in str(caught.value)
    as_it_is = Manifest.from_arrays([name], directory=None)
    assert as_it_is.file_paths == [name]
    assert as_it_is.path(0) == name


@pytest.mark.parametrize(("name", "call"), [("photos", "from_directory"), ("train.csv", "from_csv")])
def test_folder_or_table_in_place_of_filenames_says_what_to_call(tmp_path, monkeypatch, name, call):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("train.csv").write_text("filename,class\n")
    for make in (Manifest, lambda names: Manifest.from_arrays(names, None)):
        with pytest.raises(DataError, match=rf"^'{name}' is a .*, not a \.npy file\..* Manifest\.{call}\('{name}'\)$"):
            make(name)
