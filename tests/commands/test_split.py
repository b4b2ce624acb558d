"""`keras-oocore split`."""

import json

import numpy as np
import pytest
from trees import make_tree

import keras_oocore as ko
from keras_oocore.core.locks import write_lock

NAMES = [f"{name}/{number}.png" for name in ("ant", "bee") for number in range(10)]


@pytest.fixture
def photos(in_tmp_path):
    return make_tree(in_tmp_path / "photos", *NAMES)


def parts(*names, folder="photos_split"):
    return [ko.Manifest.load(f"{folder}/{name}") for name in names]


def test_parts_are_those_of_manifest_split(photos, run):
    status, output, _ = run("split", photos, "parts", "--validation-split", 0.2, "--test-split", 3, "--seed", 5)
    expected = ko.Manifest.from_directory(photos).split(validation_split=0.2, test_split=3, seed=5)
    assert status == 0
    assert output.splitlines()[0].split() == ["train", "13", "samples", "parts/train"]
    for made, part in zip(parts("train", "validation", "test", folder="parts"), expected, strict=True):
        assert made.filenames.tolist() == part.filenames.tolist()
        assert made.labels.tolist() == part.labels.tolist()
        assert made.file_paths == part.file_paths


def test_default_is_a_fifth_for_validation_and_seed_0(photos, run):
    status, output, _ = run("split", "photos", "--json")
    assert status == 0
    assert json.loads(output) == {
        "seed": 0,
        "parts": {
            "train": {"path": "photos_split/train", "num_samples": 16},
            "validation": {"path": "photos_split/validation", "num_samples": 4},
        },
    }
    _, val = parts("train", "validation")
    assert np.bincount(val.labels).tolist() == [2, 2]


def test_the_last_samples_in_order(photos, run):
    assert run("split", "photos", "--no-shuffle", "--validation-split", "5")[0] == 0
    assert parts("validation")[0].filenames.tolist() == NAMES[-5:]


def test_the_same_command_twice_is_no_error_and_another_split_is(photos, run):
    command = ("split", "photos", "--test-split", "0.2")
    assert run(*command)[0] == 0
    assert run(*command)[0] == 0
    for other in (("--seed", "1"), ("--validation-split", "0.2")):
        status, _, error = run(*command, *other)
        assert status == 1
        assert "contains a part of another split, which would overlap with this one. Remove 'photos_split'" in error


def test_folder_with_other_files_is_not_used(photos, run):
    make_tree("parts/train", "cat/1.png")
    status, _, error = run("split", "photos", "parts")
    assert status == 1
    assert "'parts/train' contains other files (cat). Choose another DESTINATION." in error


def test_groups_of_a_csv_file_stay_together(photos, write, run):
    rows = [f"{name},{name[:3]},patient {number % 5}" for number, name in enumerate(NAMES)]
    write("\n".join(["image,species,patient", *rows]), "photos/train.csv")
    words = ("--x-col", "image", "--y-col", "species", "--groups", "patient", "--validation-split", "0.4")
    assert run("split", "photos/train.csv", *words)[0] == 0
    train, val = parts("train", "validation", folder="train_split")
    assert not {*train.columns["patient"]} & {*val.columns["patient"]}
    assert train.class_names == ["ant", "bee"]


def test_groups_of_a_file(photos, run):
    np.save("groups.npy", np.arange(20) % 4)
    assert run("split", "photos", "--groups", "groups.npy", "--validation-split", "0.25")[0] == 0
    assert len({*(parts("validation")[0].indices % 4)}) == 1


def test_saved_arrays_and_manifests_and_file_names(photos, run):
    ko.save_arrays("saved", NAMES, np.arange(20) % 2)
    ko.Manifest.from_directory("photos").save("manifest")
    np.save("X_filenames.npy", NAMES)
    np.save("y.npy", np.arange(20) / 7)
    for words in (
        ("saved", "--directory", "photos"),
        ("manifest",),
        ("X_filenames.npy", "--labels", "y.npy", "--directory", "photos"),
        ("photos", "--no-labels"),
    ):
        status, _, error = run("split", words[0], f"{words[0]} parts", *words[1:])
        assert status == 0, error
        train, val = parts("train", "validation", folder=f"{words[0]} parts")
        assert sorted([*train.file_paths, *val.file_paths])[0].endswith("photos/ant/0.png")
        assert (train.labels is None) == ("--no-labels" in words)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("photo",), 2, "'photo' does not exist."),
        (
            ("photos", "--validation-split", "2.5"),
            2,
            "a positive integer number of samples. Received: --validation-split 2.5",
        ),
        (("photos", "--validation-split", "20"), 2, "No samples remain for training"),
        (("photos", "--validation-split", "half"), 2, "argument --validation-split: invalid number value: 'half'"),
        (("photos", "--seed", "-1"), 2, "--seed should be an integer from 0 to 2**32 - 1"),
        (("photos", "--no-shuffle", "--stratify"), 2, "Pass --no-stratify"),
        (
            ("photos", "--groups", "patient"),
            2,
            "a .npy file with one group per sample. Received: 'patient'",
        ),
        (("photos", "--y-col", "class"), 2, "--y-col has no effect on 'photos' (class folders)."),
        (
            ("flat",),
            2,
            "'flat' has files but no class folders. Put each class into a separate folder, or type --no-labels",
        ),
        (("houses.csv",), 2, "ko.CSVChunkSequence('houses.csv', target=...).split(validation_split=0.2, seed=0)"),
        (
            ("houses.csv", "--x-col", "prise"),
            2,
            "Did you mean 'price'? Columns: 'price', 'sqft'. Type --x-col COLUMN.",
        ),
        (
            ("saved",),
            2,
            "File names are relative to --directory, by default the working directory. Type --directory DIR.",
        ),
        (("damaged",), 1, "is damaged"),
        (("empty",), 2, "'empty' is empty."),
    ],
)
def test_errors_are_one_line(words, status, message, photos, write, in_tmp_path, run):
    make_tree("flat", "1.png")
    write("price,sqft\n1,2\n")
    ko.save_arrays("saved", ["1.png", "2.png"], [0, 1])
    ko.Manifest.from_directory("photos").save("damaged")
    (in_tmp_path / "damaged" / "manifest.json").write_text("{")
    (in_tmp_path / "empty").mkdir()
    found, output, error = run("split", *words)
    assert (found, output) == (status, "")
    assert error.startswith("keras-oocore: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (in_tmp_path / "photos_split").exists()


def test_one_sample_cannot_be_split(in_tmp_path, run):
    make_tree("one", "cat/1.png")
    status, _, error = run("split", "one")
    assert status == 2
    assert "No samples remain for training" in error


def test_two_commands_at_once(photos, run):
    with write_lock("photos_split"):
        status, _, error = run("split", "photos")
    assert status == 1
    assert "of this process is writing 'photos_split'." in error
