"""Arguments of a Sequence: data, labels and subsets."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sequences.inputs import as_manifest, is_array_of_numbers, row_labels, subset_samples

PNG = (".png",)


@pytest.fixture
def folder(tmp_path):
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "photos"


def described(manifest):
    labels = None if manifest.labels is None else manifest.labels.tolist()
    return manifest.filenames.tolist(), labels, manifest.class_names


FILES = ["cat/1.png", "cat/2.png", "dog/1.png"]


@pytest.mark.parametrize("kind", [str, Path])
def test_as_manifest_of_a_directory(folder, kind):
    assert described(as_manifest(kind(folder), "inferred", None, None, PNG)) == (FILES, [0, 0, 1], ["cat", "dog"])
    assert described(as_manifest(kind(folder), "inferred", ["dog", "cat"], None, PNG))[1:] == (
        [0, 1, 1],
        ["dog", "cat"],
    )
    assert described(as_manifest(kind(folder), None, None, None, PNG)) == (FILES, None, None)
    assert described(as_manifest(kind(folder), [7, 8, 9], None, None, PNG)) == (FILES, [7, 8, 9], None)


@pytest.mark.parametrize("kind", [list, np.array, tuple, "npy"])
def test_as_manifest_of_filenames_and_labels(folder, tmp_path, kind):
    filenames = FILES if kind == "npy" else kind(FILES)
    if kind == "npy":
        np.save(tmp_path / "filenames.npy", FILES)
        filenames = tmp_path / "filenames.npy"

    manifest = as_manifest(filenames, ["a", "b", "a"], None, folder, PNG)

    assert described(manifest) == (FILES, [0, 1, 0], ["a", "b"])
    assert manifest.path(2) == str(folder / "dog/1.png")
    assert described(as_manifest(filenames, None, None, folder, PNG)) == (FILES, None, None)


def test_labels_from_a_npy_file(folder, tmp_path):
    np.save(tmp_path / "labels.npy", [3, 1, 2])

    assert described(as_manifest(FILES, str(tmp_path / "labels.npy"), None, folder, PNG))[1] == [3, 1, 2]


def test_manifest_is_kept_unless_labels_or_directory_are_passed(folder):
    manifest = Manifest.from_directory(folder)

    assert as_manifest(manifest, "inferred", None, None, PNG) is manifest
    assert described(as_manifest(manifest, None, None, None, PNG))[1] is None
    assert described(as_manifest(manifest, [1, 0, 1], None, None, PNG))[1] == [1, 0, 1]
    assert described(as_manifest(manifest, "inferred", ["Katze", "Hund"], None, PNG))[1:] == (
        [0, 0, 1],
        ["Katze", "Hund"],
    )
    assert as_manifest(manifest, "inferred", None, "elsewhere", PNG).path(0) == str(Path("elsewhere/cat/1.png"))


@pytest.mark.parametrize(
    ("data", "labels", "directory", "message"),
    [
        (["a.png"], "inferred", ".", "File names require labels: pass labels=..., or labels=None. Rec"),
        (["a.png"], [1, 2], ".", "1 filenames and 2 labels"),
        (["a.png", "b.png"], "labels.csv", ".", r'`labels` should be "inferred", None, an array, or a .npy file'),
        (["../a.png"], None, "photos", "is outside the directory 'photos'"),
        ([], None, ".", "at least one filename"),
        (
            pd.DataFrame({"filename": ["a.png"]}),
            "inferred",
            ".",
            r"Manifest\.from_csv\(data, x_col=.* of shape",
        ),
        ([1, 2], None, ".", "filename of sample 0 should be a string. Received: 1"),
        ("photos", "inferred", "elsewhere", r"`directory` is for file names.*data='photos', .*='elsewhere'"),
        ("no/such/place", "inferred", None, "Directory 'no/such/place' does not exist"),
    ],
)
def test_invalid_data_is_refused(data, labels, directory, message):
    with pytest.raises((OptionError, DataError), match=message):
        as_manifest(data, labels, None, directory, PNG)


def test_only_arrays_and_npy_files_of_numbers_are_arrays_of_numbers(tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((4, 2)))
    np.save(tmp_path / "names.npy", ["a.png", "b.png"])

    for data in (np.zeros((3, 2)), np.zeros(3, bool), tmp_path / "rows.npy", str(tmp_path / "rows.npy")):
        assert is_array_of_numbers(data)
    for other in (
        np.array(["a.png"]),
        np.array(["a.png"], object),
        ["a.png"],
        tmp_path / "names.npy",
        tmp_path,
        Manifest.from_arrays(["a.png"]),
    ):
        assert not is_array_of_numbers(other)


def test_labels_of_rows(tmp_path):
    np.save(tmp_path / "y.npy", [[0.5], [1.5]])

    assert row_labels(None, None, 2) == (None, None)
    assert row_labels(str(tmp_path / "y.npy"), None, 2)[0].tolist() == [[0.5], [1.5]]
    whole_numbers, _ = row_labels([[1.0], [2.0]], None, 2)
    assert whole_numbers.tolist() == [[1.0], [2.0]]  # whole numbers are not converted to integers
    with pytest.raises(OptionError, match=r"Rows of an array require labels: pass labels=..., or labels=None"):
        row_labels("inferred", None, 2)
    with pytest.raises(DataError, match="2 rows and 3 labels"):
        row_labels([1, 2, 3], None, 2)


def test_string_labels_of_rows_become_class_indices():
    labels, class_names = row_labels(["dog", "cat", "dog"], None, 3)
    assert (labels.tolist(), class_names) == ([1, 0, 1], ["cat", "dog"])
    assert row_labels(["dog", "cat"], ["dog", "cat"], 2)[0].tolist() == [0, 1]
    with pytest.raises(DataError, match="Unknown class 'cow' of sample 1"):
        row_labels(["dog", "cow"], ["cat", "dog"], 2)


@given(
    num_samples=st.integers(2, 300),
    validation_split=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**40),
)
def test_subsets_are_disjoint_complete_and_repeatable(num_samples, validation_split, seed):
    if int(validation_split * num_samples) == 0:
        with pytest.raises(OptionError, match=rf"of {num_samples} samples leaves no sample for validation"):
            subset_samples(num_samples, validation_split, "validation", seed)
        return
    training, validation = (
        subset_samples(num_samples, validation_split, subset, seed).tolist() for subset in ("training", "validation")
    )

    assert sorted(training + validation) == list(range(num_samples))
    assert len(validation) == int(validation_split * num_samples)
    assert training == sorted(training)
    assert validation == subset_samples(num_samples, validation_split, "validation", seed).tolist()


def test_validation_samples_are_spread_and_depend_on_the_seed():
    by_seed = [subset_samples(1000, 0.2, "validation", seed).tolist() for seed in range(3)]

    assert len(set(map(tuple, by_seed))) == 3
    for validation in by_seed:
        assert 50 < sum(sample < 500 for sample in validation) < 150


def test_no_subset_means_all_samples():
    assert subset_samples(10, None, None, None) is None


@pytest.mark.parametrize(
    ("validation_split", "subset", "seed", "message"),
    [
        (0.2, None, 0, r"`subset` should be one of \('training', 'validation'\).*Received: subset=None"),
        (0.2, "both", 0, r"returns two Sequences. Use train, val = sequence.split.*ko.image_dataset_from_directory"),
        (0.2, "test", 0, r"`subset` should be one of .*Received: subset='test'"),
        (None, "training", 0, r"`validation_split` should be between 0 and 1.*=None, subset='training'"),
        (0, "training", 0, r"`validation_split` should be between 0 and 1.*validation_split=0,"),
        (1, "training", 0, r"`validation_split` should be between 0 and 1.*validation_split=1,"),
        (1.5, "training", 0, r"`validation_split` should be between 0 and 1.*validation_split=1.5,"),
        (-0.1, "training", 0, r"`validation_split` should be between 0 and 1.*validation_split=-0.1,"),
        (0.2, "training", None, r"`validation_split` requires `seed`, or the subsets would overlap. Pass seed=0"),
        (0.05, "validation", 0, r"validation_split=0.05 of 10 samples leaves no sample for validation"),
    ],
)
def test_invalid_validation_split_or_subset_is_refused(validation_split, subset, seed, message):
    with pytest.raises(OptionError, match=message):
        subset_samples(10, validation_split, subset, seed)


def test_raw_labels_replace_the_classes_of_a_manifest():
    manifest = Manifest.from_arrays(["a", "b", "c"], ["cat", "dog", "cat"])

    targets = as_manifest(manifest, [5, 7, 9], None, None, (".npy",), raw=True)

    assert (targets.labels.tolist(), targets.class_names) == ([5, 7, 9], None)
    with pytest.raises(DataError, match="Received: 3 filenames and 2 labels"):
        as_manifest(manifest, [5, 7], None, None, (".npy",), raw=True)
