"""`keras-oocore pack`."""

import json

import numpy as np
import pytest
from trees import make_tree

import keras_oocore as ko
from keras_oocore.core.locks import write_lock
from keras_oocore.images.reader import ImageReader


def test_rows_are_those_of_the_sequence(photos, in_tmp_path, run):
    status, output, progress = run("pack", photos, "packed rows", "--image-size", 4, 5, "--color-mode", "grayscale")
    with ko.ImageFolderSequence(photos, image_size=(4, 5), color_mode="grayscale", shuffle=False) as batches:
        expected, labels = batches[0]
    packed = ko.open_packed("packed rows", shuffle=False)
    assert status == 0
    assert output == (
        "10 samples of shape (4, 5, 1) and dtype uint8 in packed rows, 3.2 kB\n\n"
        'In Python: batches = ko.open_packed("packed rows")\n'
    )
    assert "packing 200 B" in progress  # without the stamps of the files
    np.testing.assert_array_equal(packed[0][0], expected)
    assert packed[0][1].tolist() == labels.tolist()
    assert packed.class_names == ["ant", "bee", "cat"]


def test_json(photos, in_tmp_path, run):
    status, output, _ = run("pack", photos, "packed", "--image-size", 4, "--json")
    assert status == 0
    assert json.loads(output) == {
        "destination": "packed",
        "num_samples": 10,
        "shape": [4, 4, 3],
        "dtype": "uint8",
        "size_bytes": 10 * (4 * 4 * 3 + 16 + 280),  # pixels, stamp and measures
        "unreadable": {},
    }


def test_npy_files_without_labels(in_tmp_path, run):
    for number in range(3):
        np.save(f"{number}.npy", np.full(2, number, "float32"))
    ko.save_arrays("saved", [f"{number}.npy" for number in range(3)])
    status, _, error = run("pack", "saved", "packed")
    assert status == 2
    assert error == "keras-oocore: 'saved' has file names without labels. Type --labels FILE.npy, or --no-labels.\n"
    assert run("pack", "saved", "packed", "--no-labels")[0] == 0
    assert ko.open_packed("packed", shuffle=False)[0].tolist() == [[0, 0], [1, 1], [2, 2]]


def test_measured_values_of_a_csv_file_of_file_names(photos, write, run):
    write("filename,class\n" + "".join(f"photos/{c}/{i}.png,{i / 4}\n" for i, c in ((0, "ant"), (1, "ant"))))
    assert run("pack", "houses.csv", "packed", "--image-size", 4)[0] == 0
    _, y = ko.open_packed("packed", shuffle=False)[0]
    assert y.tolist() == [0.0, 0.25]


def test_a_damaged_file_stops_or_is_listed(photos, in_tmp_path, run):
    damaged = photos / "ant" / "1.png"
    damaged.write_bytes(b"damaged")
    status, output, error = run("pack", photos, "packed", "--image-size", 4)
    assert (status, output) == (1, "")
    assert f"Cannot read sample 1, '{damaged}': not an image" in error
    assert error.endswith("Fix or remove it, or pass --on-error skip or --on-error replace.\n")
    status, output, _ = run("pack", photos, "packed", "--image-size", 4, "--on-error", "skip")
    assert status == 1
    assert f"1 file could not be read:\n  {damaged}: not an image" in output
    assert 'ko.open_packed("packed", on_error="skip")' in output
    assert 'ko.open_packed("packed", on_error="skip", seed=0)' in run("info", "packed")[1]
    assert ko.open_packed("packed", on_error="skip").num_samples == 10


def test_a_stopped_pack_resumes(photos, in_tmp_path, run, monkeypatch):
    read_into, read = ImageReader.read_into, []

    def stop(self, path, out):
        if len(read) == 6:
            raise KeyboardInterrupt
        read.append(path)
        return read_into(self, path, out)

    command = ("pack", photos, "packed", "--image-size", 4, "--workers", 1)
    monkeypatch.setattr("keras_oocore.sources.fill.TASK_ROWS", 2)
    monkeypatch.setattr(ImageReader, "read_into", stop)
    status, output, error = run(*command)
    assert (status, output) == (130, "")
    assert error.endswith("keras-oocore: stopped. To continue, run the same command again.\n")
    assert run("info", "packed")[0] == 1
    monkeypatch.setattr(ImageReader, "read_into", lambda *arguments: read.append("again") or read_into(*arguments))
    assert run(*command)[0] == 0
    assert read.count("again") == 4


def test_the_cache_of_a_csv_file(write, run):
    write("sqft,city,price\n" + "".join(f"{100 * i},{'ab'[i % 2]},{i}\n" for i in range(10)))
    words = ("--target", "price", "--features", "sqft", "city", "--missing", "sqft=3")
    status, output, _ = run("pack", "houses.csv", "cache", *words, "--validation-split", 0.2, "--seed", 1)
    assert status == 0
    assert output.startswith("8 rows in cache/training, 96 B\n2 rows in cache/validation, 24 B\n")
    assert output.endswith('ko.CSVChunkSequence("houses.csv", ..., cache="cache").split(0.2, seed=1)\n')
    rows = ko.CSVChunkSequence("houses.csv", "price", ["sqft", "city"], missing={"sqft": 3}, cache="cache")
    train, _ = rows.split(0.2, seed=1)
    train[0]
    assert "contains all rows" in repr(train)
    assert run("pack", "houses.csv", "all", "--target", "price", "--categorical", "city", "--json")[0] == 0


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("photo", "new"), 2, "'photo' does not exist."),
        (("photos",), 2, "the following arguments are required: destination (before the options"),
        (("photos", "new", "--image-size", "0"), 2, "Received: --image-size 0"),
        (("photos", "new", "--interpolation", "bilinaer"), 2, "--interpolation"),
        (("photos", "new", "--target", "price"), 2, "--target is an option of tables, and 'photos' is images."),
        (("photos", "new", "--seed", "1"), 2, "keras-oocore split photos parts"),
        (("photos", "photos"), 1, "holds other files (ant, bee, cat) and no packed store"),
        (("photos", "houses.csv"), 1, "houses.csv"),
        (("array.npy", "new"), 2, "ko.ArraySequence('array.npy', labels)"),
        (("sounds", "new"), 2, "has no images, arrays or tables: 1 .wav. To see what it has, type: keras-oocore"),
        (("houses.csv", "new"), 2, "Columns: 'price', 'sqft'. Type --target COLUMN, or --no-labels"),
        (("houses.csv", "new", "--target", "prise"), 2, "--target names a column that does not exist: 'prise'."),
        (("houses.csv", "new", "--target", "price", "--strict"), 2, "--strict is an option of images"),
        (("houses.csv", "new", "--target", "price", "--on-error", "skip"), 2, "type --on-bad-row"),
        (("houses.csv", "new", "--target", "price", "--dtypes", "sqft"), 2, "--dtypes should be COLUMN=VALUE"),
        (("houses.csv", "new", "--target", "price", "--missing", "sqft=x"), 2, "'x' is not a number"),
    ],
)
def test_errors_are_one_line(words, status, message, photos, write, run):
    write("price,sqft\n1,2\n")
    make_tree("sounds", "wren/1.wav")
    np.save("array.npy", np.zeros((3, 2)))
    found, output, error = run("pack", *words)
    assert (found, output) == (status, "")
    assert error.startswith("keras-oocore: ")
    assert message in error
    assert error.count("\n") == 1


def test_options_of_another_run_are_refused(photos, in_tmp_path, run):
    assert run("pack", photos, "packed", "--image-size", 4)[0] == 0
    status, _, error = run("pack", photos, "packed", "--image-size", 5)
    assert status == 1
    assert "'packed' stores other rows: " in error.replace(f"{in_tmp_path}/", "")
    assert "Pass --overwrite-cache to make it again" in error
    assert run("pack", photos, "packed", "--image-size", 5, "--overwrite-cache")[0] == 0
    assert run("pack", "packed", "again")[2].endswith("type: keras-oocore verify packed\n")


def test_two_commands_at_once(photos, in_tmp_path, run):
    with write_lock("packed"):
        status, _, error = run("pack", photos, "packed", "--image-size", 4)
    assert status == 1
    assert "of this process is filling" in error


def test_processes_leave_the_same_bytes(photos, in_tmp_path, run):
    assert run("pack", photos, "threads", "--image-size", 4)[0] == 0
    status, _, progress = run("pack", photos, "processes", "--image-size", 4, "--processes", 2)
    assert status == 0
    assert "10/10" in progress
    for name in ("x.npy", "source.npy", "rows.npy", "checksums.npy", "store.json", "labels.npy", "filenames.npy"):
        assert (in_tmp_path / "processes" / name).read_bytes() == (in_tmp_path / "threads" / name).read_bytes()


def test_wrong_processes(photos, write, run):
    write("a,b\n1,2\n")
    status, _, error = run("pack", photos, "packed", "--image-size", 4, "--processes", 0)
    assert status == 2
    assert "--processes should be a positive integer" in error
    status, _, error = run("pack", photos, "packed", "--processes", 2, "--workers", 2)
    assert status == 2
    assert error == "keras-oocore: --workers is for threads. Type either --workers or --processes.\n"
    status, _, error = run("pack", "houses.csv", "packed", "--target", "b", "--processes", 2)
    assert status == 2
    assert error == "keras-oocore: --processes is for files. The rows of a table are read in threads: type --workers.\n"
