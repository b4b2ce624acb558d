"""`keras-oocore info` and `profile` of HDF5 files."""

import json

import h5py
import numpy as np
import pytest

import keras_oocore as ko


@pytest.fixture
def scans(in_tmp_path):
    """A file with ten scans and their labels in a group, and a table of numbers."""
    with h5py.File("scans.h5", "w") as file:
        file.create_dataset("train/images", data=np.zeros((10, 8, 8, 1), "uint8"), chunks=(2, 8, 8, 1))
        file["train/labels"] = np.arange(10) % 2
        file["train/names"] = np.array(["ja", "nein"] * 5, object)
        file["table"] = np.ones((5, 3), "float32")
        file["empty"] = h5py.Empty("f4")
    return "scans.h5"


def run_code(output):
    """Run the code that `info` printed, without the training."""
    code = output.split("Python:")[-1].replace("model.fit(", "(lambda *data, **options: None)(")
    names = {}
    exec(code, names)
    return names


def test_info_lists_the_datasets(scans, run):
    status, output, _ = run("info", scans)

    assert status == 0
    assert output.startswith("scans.h5: HDF5 file\n")
    for line in (
        "train/images: uint8 (10, 8, 8, 1), 640 B, chunks of 2 rows",
        "train/names: object (10,)",
        "table: float32 (5, 3), 60 B",
        "type --dataset NAME: 'table', 'train/images', 'train/labels'",
    ):
        assert line in output


@pytest.mark.parametrize("words", [(), ("--labels", "train/names"), ("--labels", "y.npy"), ("--no-labels",)])
@pytest.mark.one_backend
def test_the_code_of_a_dataset_runs(scans, run, words):
    np.save("y.npy", np.linspace(0, 1, 10, dtype="float32"))
    status, output, error = run("info", scans, "--dataset", "train/images", *words)
    assert status == 0, error

    if "--no-labels" in words:
        assert 'ko.ArraySequence("scans.h5", labels=None, dataset="train/images", shuffle=False)' in output
        return
    names = run_code(output)
    x, y = names["train"][0]
    assert x.shape[1:] == (8, 8, 1)
    assert names["model"].output_shape == (None, 1 if "y.npy" in words else 2)
    assert y.dtype.kind == ("f" if "y.npy" in words else "i")
    assert names["train"].num_samples + names["val"].num_samples == 10


def test_the_only_dataset_needs_no_name_and_json_has_the_facts(in_tmp_path, run):
    with h5py.File("größe.hdf5", "w") as file:
        file["x"], file["y"] = np.zeros((4, 3)), np.array([0, 1, 0, 1])
    status, output, _ = run("info", "größe.hdf5", "--json")
    facts = json.loads(output)

    assert status == 0
    assert (facts["dataset"], facts["labels"]) == ("x", "y")
    assert facts["datasets"]["x"]["shape"] == [4, 3]
    assert 'ko.ArraySequence("größe.hdf5", "y", dataset="x", seed=0)' in facts["python"]


def test_what_is_not_there_is_an_error(scans, run):
    status, _, error = run("info", scans, "--dataset", "train/image")
    assert status == 2
    assert "has no dataset 'train/image'. Did you mean 'train/images'?" in error

    status, output, _ = run("info", scans, "--dataset", "train/names")
    assert status == 1
    assert "The dataset 'train/names' has no rows of numbers" in output

    with open("broken.h5", "wb") as file:
        file.write(b"not HDF5")
    status, _, error = run("info", "broken.h5")
    assert status == 1
    assert "broken.h5' is not an HDF5 file" in error

    with h5py.File("none.h5", "w"):
        pass
    assert run("info", "none.h5")[0] == 1
    status, _, error = run("profile", scans, "--target", "x")
    assert status == 2
    assert "'scans.h5' is an HDF5 file" in error


@pytest.mark.parametrize("cache", [(), ("--cache", "cache")])
def test_profile(scans, run, cache):
    options = ("--dataset", "train/images", "--batch-size", 2, "--num-batches", 3, *cache)
    status, output, error = run("profile", scans, *options)

    assert status == 0, error
    assert " samples/s" in output
    assert ko.ArraySequence(scans, None, dataset="train/images").num_samples == 10
    status, _, error = run("profile", scans)
    assert status != 0
    assert "--dataset should be the name of a dataset" in error
