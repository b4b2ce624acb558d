"""Names in a table that have no file: paths of Windows, and names without their ending."""

import os
import re

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import DataError, SampleError
from keras_oocore.manifest.missing_files import why_missing

on_posix = pytest.mark.skipif(os.name == "nt", reason="backslashes separate folders on Windows")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cats").mkdir()
    for number in range(2):
        np.save(tmp_path / "cats" / f"{number}.npy", np.full(2, number))
    return tmp_path


def table(folder, *names):
    path = folder / "labels.csv"
    path.write_text("id,class\n" + "".join(f"{name},cat\n" for name in names))
    return path


@on_posix
def test_backslashes_in_a_table(folder):
    message = (
        f"{folder!s}/cats\\0.npy".replace("\\", "\\\\") + "' does not exist. "
        f"'{folder}/cats/0.npy' exists: the name has backslashes, as on Windows, instead of '/'. "
        "Change the column in a DataFrame, and pass it with directory=...: "
        "table['id'] = table['id'].str.replace(\"\\\\\", \"/\")"
    )
    with pytest.raises(DataError, match=f"^'{re.escape(message)}$"):
        ko.Manifest.from_csv(table(folder, "cats\\0.npy", "cats\\1.npy"), x_col="id")


def test_ids_without_an_ending(folder):
    with pytest.raises(DataError, match=r"cats/0.npy' exists: .* = table\['id'\]\.astype\(str\) \+ '.npy'$"):
        ko.Manifest.from_csv(table(folder, "cats/0", "cats/1"), x_col="id")


@on_posix
def test_a_manifest_of_files_that_are_elsewhere_is_still_made(folder):
    for names in (["dogs\\0.npy", "dogs\\1.npy"], ["D:\\photos\\0.npy"], ["0012", "0013"]):
        assert len(ko.Manifest.from_csv(table(folder, *names), x_col="id")) == len(names)


@on_posix
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cats\\0.npy", "cats/0.npy' exists: the name has backslashes, as on Windows, instead of '/'"),
        ("dogs\\0.npy", "The name has backslashes, as on Windows. On this machine, '/' separates folders"),
        ("D:\\photos\\0.npy", "The name is a path of Windows, which does not exist on this machine"),
        ("cats/1", "cats/1.npy' exists: the ending '.npy' is missing in the name"),
    ],
)
def test_reading_says_why_a_file_is_missing(folder, name, words):
    with pytest.raises(SampleError, match=re.escape(words)):
        ko.NpyManifestSequence([name], None, directory=folder)
    with pytest.raises(SampleError, match=f"file not found. .*{re.escape(words)}"):
        ko.ImageFolderSequence(np.array([name]), None, directory=folder)[0]


def test_nothing_is_said_about_other_missing_files(folder):
    assert why_missing(str(folder / "dogs.png")) == ""
    assert why_missing(str(folder / "cats" / "0.npy")) == ""
