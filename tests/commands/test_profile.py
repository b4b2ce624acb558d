"""`keras-oocore profile`."""

import json

import numpy as np
import pytest

import keras_oocore as ko


def test_class_folders(photos, run):
    options = ("--image-size", 8, "--batch-size", 2, "--workers", 0, "--num-batches", 3)
    status, output, _ = run("profile", photos, *options)
    assert status == 0
    assert output.startswith("3 batches, 6 samples in ")
    assert "batches of 2" in output
    assert "decoding" in output
    assert "If training is slower than" in output


def test_json(photos, run):
    status, output, _ = run("profile", photos, "--image-size", 8, "--batch-size", 5, "--num-batches", 2, "--json")
    facts = json.loads(output)
    assert status == 0
    assert (facts["num_batches"], facts["num_samples"], facts["settings"]["batch_size"]) == (2, 10, 5)
    assert facts["seconds_per_batch"]["decoding"] > 0
    assert facts["advice"]
    assert facts["errors"] == []


def test_packed_store_array_and_manifest(photos, in_tmp_path, run):
    ko.ImageFolderSequence(photos, image_size=4).pack("packed")
    ko.Manifest.from_directory(photos).save("manifest")
    np.save("x.npy", np.zeros((10, 3), "float32"))
    for path, *words in (
        ("packed", "--shuffle", "block", "--max-queue-size", 2),
        ("manifest", "--image-size", "4", "5"),
        ("x.npy",),
    ):
        status, output, error = run("profile", path, *words, "--num-batches", 2)
        assert status == 0, error
        assert output.startswith("2 batches, 20 samples in ")


def test_csv_file_with_a_cache(write, run):
    write("a,b\n" + "1,2\n" * 100)
    status, output, _ = run(
        "profile", "houses.csv", "--target", "b", "--batch-size", 50, "--cache", "cache", "--num-batches", 2
    )
    assert status == 0
    assert " batches of 50, " in output
    assert "a cache" in output
    assert run("verify", "cache")[0] == 0


def test_a_damaged_file(photos, run):
    (photos / "ant" / "1.png").write_bytes(b"not an image")
    status, output, _ = run("profile", photos, "--image-size", 8, "--batch-size", 1, "--num-batches", 20)
    assert status == 0
    assert " could not be made and " in output
    assert " not counted: Cannot read sample 1, " in output
    for path in photos.rglob("*.png"):
        path.write_bytes(b"not an image")
    status, output, error = run("profile", photos)
    assert (status, output) == (1, "")
    assert error.startswith("keras-oocore: Cannot read sample")


def test_caches_of_subsets_are_listed(photos, in_tmp_path, run):
    for subset in ("training", "validation"):
        options = dict(image_size=4, cache="cache", validation_split=0.5, seed=0)
        with ko.ImageFolderSequence(photos, subset=subset, **options) as sequence:
            sequence[0]
    status, _, error = run("profile", "cache")
    assert status == 2
    assert error.endswith("Type one of them: cache/training, cache/validation\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--num-batches", "0"), "--num-batches should be a positive integer. Received: --num-batches 0"),
        (("--image-size", "0"), "--image-size should be (height, width), two positive integers."),
        (("--batch-size", "0"), "--batch-size should be a positive integer."),
        (("--workers", "-1"), "--workers should be a number of threads"),
        (("--memory-limit", "1 quux"), "--memory-limit should be a number of bytes"),
        (("--max-queue-size", "-1"), "--max-queue-size should be "),
        (("--delimiter", ";"), "--delimiter is an option of CSV files"),
        (
            ("--batch-size", "many"),
            "argument --batch-size: invalid int value: 'many'. Type: keras-oocore profile -",
        ),
    ],
)
def test_invalid_options_are_one_line(words, message, photos, run):
    status, output, error = run("profile", photos, *words)
    assert (status, output) == (2, "")
    assert error.startswith(f"keras-oocore: {message}")
    assert error.count("\n") == 1


def test_codes_of_rows_without_a_target_are_no_warning(write, run):
    write("a,b\n" + "1,Rome\n" * 300)
    status, _, errors = run("profile", "houses.csv", "--features", "a", "b", "--batch-size", 50)
    assert (status, errors) == (0, "")
