"""Sample weights and other values per sample, which stay with their samples."""

import json

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.manifest.manifest import Manifest


def weighted(num_samples=60):
    """Sample i has the filename, label, weight and patient of number i."""
    manifest = Manifest.from_arrays([f"{i}.npy" for i in range(num_samples)], np.arange(num_samples) % 3)
    return manifest.with_columns(
        sample_weight=np.arange(num_samples) / 8, patient=[f"patient {i % 12}" for i in range(num_samples)]
    )


def is_aligned(part):
    numbers = [int(name[:-4]) for name in part.filenames]
    return (
        part.indices.tolist() == numbers
        and (part.sample_weight * 8).tolist() == numbers
        and part.columns["patient"].tolist() == [f"patient {number % 12}" for number in numbers]
    )


def test_columns_and_indices_follow_the_samples(tmp_path):
    whole = weighted()
    train, val = whole.split(0.2, seed=0)
    assert (len(train), len(val)) == (48, 12)
    for part in (
        whole,
        train,
        val,
        whole.shuffle(seed=1).split(0.5, groups=whole.shuffle(seed=1).columns["patient"], stratify=False, seed=0)[1],
        train.take([5, 3]),
        train.take(train.labels == 1),
    ):
        assert is_aligned(part)
        part.save(tmp_path / "saved")
        loaded = Manifest.load(tmp_path / "saved")
        assert is_aligned(loaded)
        assert loaded.sample_weight.dtype == np.float32
        assert loaded.indices.dtype == np.int64


def test_weights_of_a_part_reach_the_batches(tmp_path):
    for number in range(60):
        np.save(tmp_path / f"{number}.npy", np.full(1, number, "float32"))
    manifest = Manifest.from_arrays([f"{i}.npy" for i in range(60)], np.arange(60), tmp_path)
    weights = np.arange(60) / 8
    train, val = manifest.with_columns(sample_weight=weights).split(0.2, stratify=False, seed=0)
    plain, _ = manifest.split(0.2, stratify=False, seed=0)
    for sequence in (
        ko.NpyManifestSequence(train),
        ko.NpyManifestSequence(val, shuffle=False),
        ko.NpyManifestSequence(val, labels=np.arange(12.0), label_mode="raw"),
        ko.NpyManifestSequence(train).split(0.5)[1],
        ko.NpyManifestSequence(plain, sample_weight=weights[plain.indices]),
    ):
        for x, _, weight in sequence:
            assert (weight * 8).tolist() == x[:, 0].tolist()
    assert not isinstance(ko.NpyManifestSequence(train, labels=None)[0], tuple)  # no labels, no weights
    x, _, weight = ko.NpyManifestSequence(train, sample_weight=np.ones(48))[0]
    assert weight.tolist() == [1.0] * len(x)


def test_weights_are_packed_with_the_rows(tmp_path):
    for number in range(6):
        np.save(tmp_path / f"{number}.npy", np.full(1, number, "float32"))
    manifest = Manifest.from_arrays([f"{i}.npy" for i in range(6)], np.arange(6), tmp_path)
    ko.NpyManifestSequence(manifest).pack(tmp_path / "packed")  # without weights, and again with weights
    ko.NpyManifestSequence(manifest.with_columns(sample_weight=np.arange(6))).pack(tmp_path / "packed")
    ko.NpyManifestSequence(manifest).pack(tmp_path / "packed")

    x, _, weight = ko.open_packed(tmp_path / "packed")[0]
    assert weight.tolist() == x[:, 0].tolist()


def test_weights_of_the_whole_for_a_part_are_an_error_that_says_what_to_type():
    train, _ = Manifest.from_arrays([f"{i}.png" for i in range(60)], np.arange(60) % 2).split(0.2, seed=0)
    with pytest.raises(OptionError, match=r"shape \(48,\).*Received: shape \(60,\)\. .*weights\[manifest.indices\]"):
        ko.ImageFolderSequence(train, sample_weight=np.ones(60))


def test_from_csv_reads_weights_and_further_columns(in_tmp_path):
    (in_tmp_path / "train.csv").write_text(
        "filename,class,w,patient,age\na.png,cat,0.5,007,31\nb.png,dog,2,008,44\nc.png,cat,1,007,31\n"
    )
    manifest = Manifest.from_csv("train.csv", weight_col="w", columns=["patient", "age"])
    assert manifest.sample_weight.tolist() == [0.5, 2, 1]
    assert manifest.columns["patient"].tolist() == ["007", "008", "007"]
    assert manifest.columns["age"].tolist() == [31, 44, 31]
    with pytest.raises(DataError, match=r"no column 'weight' \(`weight_col`\)"):
        Manifest.from_csv("train.csv", weight_col="weight")
    with pytest.raises(DataError, match=r"no column 'patent' \(`columns`\)\. Did you mean 'patient'"):
        Manifest.from_csv("train.csv", columns="patent")


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        (dict(patient=["x"]), DataError, r"'patient' should have one value per sample. Received: shape \(1,\)"),
        (dict(patient=[None, {}, 1]), DataError, "'patient' should contain numbers, strings or dates"),
        (dict(patient=[[1], [1, 2], [3]]), DataError, "'patient' should have the same shape"),
        (dict(sample_weight=["a", "b", "c"]), OptionError, "`sample_weight` should be one number per sample"),
        (dict(sample_weight=np.ones((3, 2))), OptionError, "`sample_weight` should be one number per sample"),
    ],
)
def test_invalid_columns_raise(columns, error, words):
    with pytest.raises(error, match=words):
        Manifest.from_arrays(["a", "b", "c"]).with_columns(**columns)


def test_manifest_without_columns_is_saved_as_before(tmp_path):
    Manifest.from_arrays(["a", "b"], [0, 1]).save(tmp_path)
    saved = json.loads((tmp_path / "manifest.json").read_text())
    assert not {"columns", "indices"} & set(saved)


def test_damaged_columns_are_an_error_that_names_the_file(tmp_path):
    weighted(4).save(tmp_path)
    path = tmp_path / "manifest.json"
    saved = json.loads(path.read_text())
    for damage in ({"dtype": "O"}, {"shape": [5]}, {"base64": "AAAA"}, {"base64": "?"}, {"dtype": None}):
        columns = {"sample_weight": {**saved["columns"]["sample_weight"], **damage}}
        path.write_text(json.dumps({**saved, "columns": columns}))
        with pytest.raises(DataError, match=r"manifest\.json' is damaged"):
            Manifest.load(tmp_path)
