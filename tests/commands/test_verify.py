"""`keras-oocore verify`."""

import json
import zipfile

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.training.state.checkpoints import exclusive


def changed(path, at=-1):
    """Flip a byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def test_all_images_of_a_folder_are_decoded(photos, in_tmp_path, run):
    assert run("verify", "photos") == (0, "photos: 10 files read, no problem\n", "")
    changed(photos / "bee" / "4.png", at=60)
    (photos / "bee" / "5.png").write_bytes(b"")
    status, output, _ = run("verify", "photos")
    assert status == 1
    assert output.startswith("photos: 10 files read, 2 problems\n  photos/bee/4.png: ")
    assert "\n  photos/bee/5.png: " in output
    status, output, _ = run("verify", "photos", "--json")
    assert status == 1
    assert [*json.loads(output)["problems"]] == ["photos/bee/4.png", "photos/bee/5.png"]


def test_missing_files_of_a_manifest(photos, in_tmp_path, run):
    ko.Manifest.from_directory("photos").save("manifest")
    assert run("verify", "manifest")[0] == 0
    (photos / "cat" / "9.png").unlink()
    status, output, _ = run("verify", "manifest")
    assert status == 1
    assert "cat/9.png: file not found" in output


def test_parts_that_overlap(photos, in_tmp_path, run):
    manifest = ko.Manifest.from_directory("photos")
    assert run("split", "photos", "parts", "--validation-split", 0.3)[0] == 0
    assert run("verify", "parts")[:2] == (0, "parts: 10 files read, no problem\n")
    manifest.take([0]).save("parts/validation")
    manifest.take([0, 1]).save("parts/train")
    status, output, _ = run("verify", "parts")
    assert status == 1
    assert "photos/ant/0.png: it is in two parts: train and validation" in output


def test_arrays_of_another_shape(in_tmp_path, run):
    for number in range(3):
        np.save(f"{number}.npy", np.zeros(2 if number < 2 else 3))
    ko.save_arrays("saved", ["0.npy", "1.npy", "2.npy"], [0, 1, 0])
    status, output, _ = run("verify", "saved")
    assert status == 1
    assert "2.npy: expected an array of shape (2,) and dtype float64" in output


def test_packed_store(photos, in_tmp_path, run):
    ko.ImageFolderSequence("photos", image_size=4).pack("packed")
    assert run("verify", "packed")[:2] == (0, "packed: 10 rows read, no problem\n")
    changed(in_tmp_path / "packed" / "x.npy")
    status, output, _ = run("verify", "packed")
    assert status == 1
    assert "changed since it was written: rows 0 to 9 of x.npy" in output


def test_caches_of_a_csv_file(write, in_tmp_path, run):
    write("a,b\n" + "1,2\n" * 10)
    train, _ = ko.CSVChunkSequence("houses.csv", target="b", cache="cache").split()
    train[0]
    assert run("verify", "cache")[:2] == (0, "cache: 8 rows read, no problem\n")
    changed(in_tmp_path / "cache" / "training" / "rows.npy")
    assert run("verify", "cache")[0] == 1


def test_csv_file(write, run):
    write("a,b\n1,2\n,3\n")
    assert run("verify", "houses.csv") == (0, "houses.csv: 2 rows read, no problem\n  column 'a': 1 cell missing\n", "")
    write("a,b\n" + "1,2\n" * 30 + "1,x\n")
    status, output, _ = run("verify", "houses.csv")
    assert status == 1
    assert output.startswith("houses.csv: 0 rows read, 1 problem\n  houses.csv: row 30 (line 32), column 'b' (#1): ")
    assert run("verify", "houses.csv", "--on-bad-row", "skip")[:2] == (
        0,
        "houses.csv: 30 rows read, no problem\n  1 row would be left out\n",
    )
    write('a,b\n1,"2\n')
    status, output, _ = run("verify", "houses.csv")
    assert status == 1
    assert output.endswith("skip such rows: --on-bad-row skip\n")


def test_one_array(in_tmp_path, run):
    np.save("x.npy", np.array([[1, np.nan], [np.inf, 2]]))
    assert run("verify", "x.npy")[:2] == (0, "x.npy: 2 rows read, no problem\n  2 values are NaN or infinite\n")
    with open("x.npy", "r+b") as file:
        file.truncate(140)
    status, _, error = run("verify", "x.npy")
    assert status == 1
    assert "'x.npy' is not a complete .npy file" in error


def test_checkpoints(in_tmp_path, run):
    with exclusive("checkpoints") as checkpoints:
        first = checkpoints.save({"epoch": 1}, {"kernel": np.ones(2)})
        second = checkpoints.save({"epoch": 2}, {"kernel": np.ones(2)})
    assert run("verify", "checkpoints")[:2] == (0, "checkpoints: 1 checkpoint read, no problem\n")
    changed(second / "checkpoint.json", at=20)
    status, output, _ = run("verify", "checkpoints")
    assert status == 1
    assert "checkpoint-00000001' is damaged" in output
    changed(first / "checkpoint.json", at=20)
    assert "contains no complete checkpoint" in run("verify", "checkpoints")[1]


def test_zip_file(photos, in_tmp_path, run):
    path = ko.zip_folder("photos", progress=False)
    assert run("verify", "photos.zip")[0] == 0
    with zipfile.ZipFile(path) as archive:
        at = archive.infolist()[0].header_offset + 60
    changed(path, at=at)
    status, output, _ = run("verify", "photos.zip")
    assert status == 1
    assert "photos/ant/0.png: its content has changed" in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing",), "'nothing' does not exist."),
        (("empty",), "'empty' is empty. Type a path with class folders"),
        (("emty",), "'emty' does not exist. The working directory is "),
        (("notes",), "has no images, arrays or tables: 1 .md. To see what it has, type: keras-oocore info notes"),
    ],
)
def test_wrong_use(words, message, in_tmp_path, run):
    (in_tmp_path / "empty").mkdir()
    (in_tmp_path / "notes").mkdir()
    (in_tmp_path / "notes" / "a.md").touch()
    status, output, error = run("verify", *words)
    assert (status, output) == (2, "")
    assert message in error
    assert error.count("\n") == 1
