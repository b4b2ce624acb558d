"""`keras-oocore flatten`."""

import json

import pytest
from trees import make_tree

import keras_oocore as ko
from keras_oocore.core.locks import write_lock


@pytest.fixture
def photos(in_tmp_path):
    return make_tree(in_tmp_path / "photos", "cat/1.png", "cat/2.png", "Straße und Hund/1 ü.png", "notes.txt")


def test_images_and_labels_are_in_one_folder(photos, run):
    status, output, _ = run("flatten", photos, "all images")
    manifest = ko.Manifest.load("all images")
    assert status == 0
    assert manifest.filenames.tolist() == ["Straße und Hund__1 ü.png", "cat__1.png", "cat__2.png"]
    assert manifest.class_names == ["Straße und Hund", "cat"]
    assert output.startswith("3 files of 2 classes in all images\nskipped: 1 other extension\n")
    assert output.endswith("next: keras-oocore split 'all images'\n")


def test_json_is_the_only_output(photos, run):
    status, output, progress = run("flatten", photos, "flat", "--mode", "hardlink", "--manifest", "labels", "--json")
    assert status == 0
    assert json.loads(output) == {
        "destination": "flat",
        "manifest": "labels",
        "num_samples": 3,
        "class_names": ["Straße und Hund", "cat"],
        "skipped": {"other extension": 1},
    }
    assert "Manifest(" not in progress
    assert ko.Manifest.load("labels").directory.name == "flat"


def test_a_second_run_gives_the_same_manifest(photos, run):
    first = run("flatten", photos, "flat", "--mode", "move")[:2]
    assert run("flatten", photos, "flat", "--mode", "move")[:2] == first


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("photo",), 2, "'photo' does not exist. The working directory is "),
        (("photo",), 2, "Did you mean 'photos'?"),
        (("photos", "photos"), 2, "DESTINATION should not be the same folder as DIRECTORY."),
        (("photos/notes.txt",), 2, "'photos/notes.txt' is a file, but it should be a directory of class folders."),
        (("empty", "flat"), 1, "Directory 'empty' is empty."),
        (
            ("photos", "flat", "--extensions", "jpg"),
            1,
            "Other extensions found: 3 .png, 1 .txt. To select other files, pass --extensions.",
        ),
        (("photos", "flat", "--class-names", "cat", "dog"), 1, "1 of 2 --class-names have no folder"),
        (("photos", "photos/notes.txt"), 1, "Cannot write 'photos/notes.txt'"),
    ],
)
def test_errors_are_one_line(words, status, message, photos, in_tmp_path, run):
    (in_tmp_path / "empty").mkdir()
    found, output, error = run("flatten", *words)
    assert (found, output) == (status, "")
    assert error.startswith("keras-oocore: ")
    assert message in error
    assert error.count("\n") == 1


def test_another_file_of_the_name_is_kept(photos, run):
    make_tree("flat", "cat__1.png", repeat=2)
    status, _, error = run("flatten", photos, "flat")
    assert status == 1
    assert "'flat/cat__1.png' exists and is not a copy of" in error


def test_two_commands_at_once(photos, run):
    with write_lock("flat"):
        status, _, error = run("flatten", photos, "flat")
    assert status == 1
    assert error.endswith(" of this process is writing 'flat'. Wait for it to finish, or choose another destination.\n")
