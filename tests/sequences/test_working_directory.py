"""Data that is given by a relative path is found after `os.chdir`, and its name and fingerprint do not change."""

import gzip
import os
import pickle

import numpy as np
import pytest
from PIL import Image

import keras_oocore as ko

NUM_SAMPLES = 6


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Makes data of every kind in the working directory, and returns a function that leaves it."""
    monkeypatch.chdir(tmp_path)
    for number in range(NUM_SAMPLES):
        folder = os.path.join("photos", "ab"[number % 2])
        os.makedirs(folder, exist_ok=True)
        Image.new("RGB", (4, 4), (10 * number,) * 3).save(os.path.join(folder, f"{number}.png"))
        np.save(f"{number}.npy", np.full(3, number, "float32"))
    np.save("rows.npy", np.arange(2.0 * NUM_SAMPLES, dtype="float32").reshape(NUM_SAMPLES, 2))
    table = "x,y\n" + "".join(f"{number},{2 * number}\n" for number in range(NUM_SAMPLES))
    with open("table.csv", "w") as file:
        file.write(table)
    with gzip.open("packed.csv.gz", "wt") as file:
        file.write(table)

    def leave():
        os.mkdir("other")
        monkeypatch.chdir("other")

    return leave


NPY_NAMES = [f"{number}.npy" for number in range(NUM_SAMPLES)]
PLAIN = dict(shuffle=False, batch_size=4, workers=0)


def photos(**options):
    return ko.ImageFolderSequence("photos", image_size=(4, 4), seed=1, **PLAIN, **options)


OPENED = {
    "photos": photos,
    "photos and a cache": lambda: photos(cache="cache"),
    "photos of a manifest": lambda: ko.ImageFolderSequence(
        ko.Manifest.from_directory("photos"), image_size=(4, 4), **PLAIN
    ),
    "npy files": lambda: ko.NpyManifestSequence(NPY_NAMES, np.arange(NUM_SAMPLES), **PLAIN),
    "npy files and a function": lambda: ko.NpyManifestSequence(
        NPY_NAMES, np.arange(NUM_SAMPLES), directory=".", reader=np.load, **PLAIN
    ),
    "rows of an array": lambda: ko.ArraySequence("rows.npy", np.arange(NUM_SAMPLES), **PLAIN),
    "a table": lambda: ko.CSVChunkSequence("table.csv", target="y", **PLAIN),
    "a table and a cache": lambda: ko.CSVChunkSequence("table.csv", target="y", cache="cache", **PLAIN),
    "a gzip table": lambda: ko.CSVChunkSequence("packed.csv.gz", target="y", cache="cache", **PLAIN),
}


def everything(sequence):
    batches = [sequence[i] for i in range(len(sequence))]
    return [np.concatenate(part).tolist() for part in zip(*batches)]


@pytest.mark.parametrize("kind", OPENED)
def test_samples_are_found(elsewhere, kind):
    expected = everything(OPENED[kind]())
    sequence = OPENED[kind]()
    said, fingerprint = repr(sequence), sequence.state_dict()["fingerprint"]
    elsewhere()
    assert everything(sequence) == expected
    assert sequence.state_dict()["fingerprint"] == fingerprint
    if kind not in ("photos and a cache", "a table and a cache", "a gzip table", "rows of an array"):
        # those show an absolute path relative to the working directory, if it is inside
        assert repr(sequence) == said
    assert everything(pickle.loads(pickle.dumps(sequence))) == expected
    sequence.close()


@pytest.mark.parametrize("kind", ["photos", "photos and a cache", "photos of a manifest", "npy files", "a table"])
def test_parts_are_found(elsewhere, kind):
    sequence = OPENED[kind]()
    elsewhere()
    train, val = sequence.split(validation_split=1 / 3, seed=3)
    assert len(np.concatenate(everything(train)[1:])) == NUM_SAMPLES - 2
    assert len(np.concatenate(everything(val)[1:])) == 2
    for part in (sequence, train, val):
        part.close()


def test_a_store_is_packed_of_files_that_are_elsewhere(elsewhere, tmp_path):
    expected = everything(photos())
    sequence = photos()
    elsewhere()
    sequence.pack("packed")
    assert os.path.exists(tmp_path / "other" / "packed" / "x.npy")
    packed = ko.open_packed("packed", shuffle=False)
    os.chdir("/")
    packed.verify()
    assert everything(packed) == expected


def test_a_manifest_keeps_its_directory(elsewhere, tmp_path):
    manifest = ko.Manifest.from_directory("photos")
    bare = ko.Manifest.from_arrays(NPY_NAMES, directory=None)
    said, paths = repr(manifest), manifest.file_paths
    assert paths[0] == manifest.path(0) == os.path.join("photos", "a", "0.png")
    elsewhere()
    assert repr(manifest) == said
    assert manifest.file_paths == [str(tmp_path / path) for path in paths]
    assert manifest.take([1]).path(0) == str(tmp_path / paths[1])
    assert bare.take([1]).path(0) == str(tmp_path / "1.npy")
    assert "missing" not in str(manifest.summary())
    manifest.save("saved")
    assert ko.Manifest.load("saved").file_paths == [os.path.realpath(tmp_path / path) for path in paths]
    again = ko.ImageFolderSequence(manifest, labels=[0, 1] * 3, image_size=(4, 4), **PLAIN)
    assert len(everything(again)[0]) == NUM_SAMPLES


def test_a_reader_gets_the_path_that_was_given_while_it_is_valid(elsewhere):
    seen = []

    def read(path):
        seen.append(path)
        return np.load(path)

    sequence = ko.NpyManifestSequence(NPY_NAMES, None, directory=None, reader=read, **PLAIN)
    sequence[0]
    assert set(seen) <= set(NPY_NAMES) | {f"./{name}" for name in NPY_NAMES}
    elsewhere()
    seen.clear()
    sequence[1]
    assert all(map(os.path.isabs, seen))
