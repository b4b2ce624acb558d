"""`~` in a path is the home directory, in every function: nothing is written to a folder called `~`."""

import os

import numpy as np
import pytest
from PIL import Image

import keras_oocore as ko
from keras_oocore.core.errors import OptionError


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home directory with photos, rows and a table, beside an empty working directory."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("cat/1.png", "dog/1.png"):
        path = tmp_path / "home" / "photos" / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(path)
    (tmp_path / "home" / "train.csv").write_text("filename,class,x\ncat/1.png,cat,1\ndog/1.png,dog,2\n")
    np.save(tmp_path / "home" / "rows.npy", np.arange(6.0))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def photos():
    return ko.ImageFolderSequence("~/photos", image_size=(4, 4), batch_size=2, seed=0)


READ = {
    "photos": photos,
    "names": lambda: ko.ImageFolderSequence(["cat/1.png"], labels=[0], directory="~/photos", image_size=(4, 4)),
    "manifest": lambda: ko.ImageFolderSequence(ko.Manifest.from_directory("~/photos"), image_size=(4, 4)),
    "listed": lambda: ko.ImageFolderSequence(
        ko.Manifest.from_csv("~/train.csv", directory="~/photos"), image_size=(4, 4)
    ),
    "rows": lambda: ko.ArraySequence("~/rows.npy", labels="~/rows.npy", label_mode="raw"),
    "table": lambda: ko.CSVChunkSequence("~/train.csv", target="x", features=["x"]),
}
WRITTEN = {
    "cache": lambda: ko.ImageFolderSequence("~/photos", image_size=(4, 4), cache="~/cache")[0],
    "packed": lambda: photos().pack("~/packed") and ko.open_packed("~/packed")[0],
    "saved": lambda: photos().manifest.save("~/saved") and ko.Manifest.load("~/saved"),
    "arrays": lambda: ko.save_arrays("~/arrays", ["a.png"], [0]) and ko.load_arrays("~/arrays"),
    "flat": lambda: ko.flatten_images("~/photos", "~/flat", progress=False),
    "a.zip": lambda: (
        ko.zip_folder("~/photos", "~/a.zip", progress=False) and ko.unzip_folder("~/a.zip", "~/out", progress=False)
    ),
    "report.html": lambda: ko.check("~/photos").to_html("~/report.html"),
    "history.png": lambda: ko.plot_history({"loss": [1, 2]}, path="~/history.png"),
}


@pytest.mark.filterwarnings("ignore:`features` contains the target")
@pytest.mark.parametrize("name", READ)
def test_data_of_the_home_directory_is_read(home, name):
    x, y = READ[name]()[0]
    assert len(x) == len(y) > 0


@pytest.mark.parametrize("name", WRITTEN)
def test_file_is_written_to_the_home_directory(home, name):
    WRITTEN[name]()
    assert (home / name).exists()
    assert os.listdir() == []


def test_manifest_of_the_home_directory_has_its_path(home):
    assert ko.Manifest.from_directory("~/photos").directory == home / "photos"


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda value: ko.ImageFolderSequence("~/photos", cache=value), "cache"),
        (lambda value: ko.CSVChunkSequence("~/train.csv", target="x", cache=value), "cache"),
        (lambda value: ko.fit_resumable(None, photos(), epochs=1, checkpoint=value), "checkpoint"),
        (lambda value: ko.Manifest.from_directory(value), "directory"),
        (lambda value: photos().pack(value), "directory"),
        (lambda value: ko.open_packed(value), "directory"),
        (lambda value: ko.flatten_images("~/photos", value), "destination"),
    ],
)
def test_value_that_is_not_a_path_names_the_argument(home, call, argument):
    with pytest.raises(OptionError) as caught:
        call(True)
    assert str(caught.value) == f"`{argument}` should be a path, such as a string. Received: {argument}=True"
