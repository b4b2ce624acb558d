"""`keras-oocore predict`."""

import csv
import json
from pathlib import Path

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest

import keras_oocore as ko

pytestmark = pytest.mark.backend
CLASSES = ["ant", "bee", "cat"]


@pytest.fixture
def model(in_tmp_path):
    """A saved model of images of 6 x 8 pixels and three classes."""
    inputs = keras.Input((6, 8, 3))
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(inputs / 255))
    model = keras.Model(inputs, outputs)
    model.save("model.keras")
    return model


def table(path="submission.csv"):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_class_folders(photos, model, run):
    status, output, error = run("predict", "model.keras", photos, "--to", "submission.csv")

    assert status == 0, error
    assert output == "10 rows in submission.csv\n"
    expected = ko.predict(model, ko.ImageFolderSequence(photos, image_size=(6, 8)))
    assert [row["class"] for row in table()] == expected["class"].tolist()
    assert np.allclose([float(row["cat"]) for row in table()], expected["cat"], atol=1e-6)


def test_a_test_folder_with_class_names_of_a_file(photos, model, run):
    Path("classes.json").write_text(json.dumps(CLASSES))
    options = ("--class-names", "classes.json", "--columns", "stem=id", "class=species", "--batch-size", 4)

    status, output, error = run("predict", "model.keras", photos / "bee", "--to", "submission.csv", *options, "--json")

    assert status == 0, error
    assert json.loads(output) == {
        "to": "submission.csv",
        "num_rows": 3,
        "columns": ["id", "species"],
        "unreadable": 0,
    }
    assert [row["id"] for row in table()] == ["4", "5", "6"]
    assert {row["species"] for row in table()} <= {*CLASSES}


def test_an_unreadable_file_has_a_row_and_exit_status_1(photos, model, run):
    (photos / "ant" / "1.png").write_bytes(b"none")

    status, output, error = run("predict", "model.keras", photos, "--to", "all.parquet")

    assert status == 1
    assert "10 rows in all.parquet\n1 file could not be read" in output
    assert "1.png" in error
    assert "not an image" in pq.read_table("all.parquet")["error"][1].as_py()


def test_rows_of_csv_files_with_the_features_of_the_training(write, run):
    write("id,sqft,city,price\n" + "".join(f"r{i},{100 * i},{'ab'[i % 2]},{i}\n" for i in range(20)))
    train = ko.CSVChunkSequence("houses.csv", "price", features=["sqft"], ids=["id"])
    train.save_features("features.json")
    keras.Sequential([keras.Input((1,)), keras.layers.Rescaling(2.0)]).save("model.keras")
    write("id,sqft\nx1,10\nx2,20\n", "new.csv")
    options = ("--load-features", "features.json", "--ids", "id", "--to", "prices.csv")

    status, _, error = run("predict", "model.keras", "new.csv", *options)
    assert status == 0, error
    assert table("prices.csv") == [{"id": "x1", "prediction": "20.0"}, {"id": "x2", "prediction": "40.0"}]
    status, _, error = run("predict", "model.keras", "houses.csv", *options)
    assert status == 0, error
    assert table("prices.csv")[1] == {"id": "r1", "label": "1.0", "prediction": "200.0"}
    status, _, error = run("predict", "model.keras", "new.csv", "--to", "prices.csv")
    assert status == 2
    assert "type --load-features features.json" in error


def test_an_array(in_tmp_path, run):
    np.save("x.npy", np.arange(6, dtype="float32").reshape(3, 2))
    keras.Sequential([keras.Input((2,)), keras.layers.Softmax()]).save("model.keras")

    status, _, error = run("predict", "model.keras", "x.npy", "--to", "x.csv", "--columns", "row", "class")

    assert status == 0, error
    assert Path("x.csv").read_text() == "row,class\n0,class 1\n1,class 1\n2,class 1\n"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("missing.keras", "photos", "--to", "a.csv"), 2, "'missing.keras' does not exist"),
        (("model.keras", "photos", "--to", "a.txt"), 2, "--to should end with .csv or .parquet"),
        (("model.keras", "photos"), 2, "the following arguments are required: --to"),
        (("model.keras", "photos", "--to", "a.csv", "--columns", "klass"), 2, "Did you mean 'class'"),
        (("model.keras", "photos", "--to", "a.csv", "--columns", "file=a", "file=b"), 2, "'file' twice"),
        (("model.keras", "photos", "--to", "a.csv", "--class-names", "a", "b"), 2, "--class-names 2 classes"),
        (("model.keras", "photos", "--to", "a.csv", "--class-names", "no.json"), 2, "'no.json' does not exist"),
        (("model.keras", "photos", "--to", "a.csv", "--rescale", "a"), 2, "--rescale should be a number"),
        (("broken.keras", "photos", "--to", "a.csv"), 1, "cannot be loaded as a Keras model"),
    ],
)
def test_errors_say_what_to_type(photos, model, run, words, status, message):
    Path("broken.keras").write_bytes(b"none")

    found, _, error = run("predict", *words)

    assert found == status
    assert message in error


def test_a_model_without_an_input_size_requires_one(photos, in_tmp_path, run):
    inputs = keras.Input((None, None, 3))
    keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs)).save("model.keras")

    status, _, error = run("predict", "model.keras", photos, "--to", "a.csv")
    assert status == 2
    assert "Type --image-size HEIGHT WIDTH" in error
    status, _, error = run("predict", "model.keras", photos, "--to", "a.csv", "--image-size", 8, "--rescale", "1/255")
    assert status == 0, error
    assert table("a.csv")
