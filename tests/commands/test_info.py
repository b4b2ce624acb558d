"""`keras-oocore info`: what it says about a path, and that the Python it prints runs."""

import gzip
import json
import os
import shutil

import keras
import numpy as np
import pytest
from PIL import Image
from trees import make_tree

import keras_oocore as ko
from keras_oocore.commands import versions

CSV = "id,sqft,rooms,city,price\n" + "".join(f"00{i},{100 * i},{'' if i % 4 else i},Rome,{2 * i}\n" for i in range(20))


@pytest.fixture
def photos(in_tmp_path):
    """12 images in two class folders."""
    for number in range(12):
        draw(f"photos/{('ant', 'bee')[number % 2]}/{number:02}.png")
    return in_tmp_path / "photos"


def draw(path):
    make_tree(".", path)
    Image.new("RGB", (20, 16)).save(path)


def make(kind):
    """Write data of one kind. Returns what to type after `info`."""
    manifest, numbers = ko.Manifest.from_directory("photos"), np.arange(12)
    if kind == "class folders":
        return ["photos"]
    if kind == "manifest":
        manifest.with_columns(sample_weight=np.ones(12)).save("manifest")
        return ["manifest"]
    if kind == "manifest of measured values":
        ko.Manifest(manifest.filenames, numbers / 7, None, "photos").save("manifest")
        return ["manifest"]
    if kind == "split":
        for name, part in zip(("train", "validation"), manifest.split(validation_split=0.25, seed=0)):
            part.save(f"parts/{name}")
        return ["parts"]
    if kind == "file names":
        np.save("X_train_filenames.npy", manifest.filenames)
        np.save("y_train.npy", np.eye(2)[manifest.labels])
        return ["X_train_filenames.npy", "--directory", "photos"]
    if kind == "saved arrays of .npy files":
        for number in numbers:
            np.save(f"{number}.npy", np.zeros((2, 3), "float32"))
        ko.save_arrays("saved", [f"{number}.npy" for number in numbers], numbers % 3)
        return ["saved"]
    if kind == "class folders of .npy files":
        for number in numbers:
            make_tree("arrays", f"{number % 2}/{number}.npy")
            np.save(f"arrays/{number % 2}/{number}.npy", np.zeros(4))
        return ["arrays"]
    if kind == "array":
        np.save("x.npy", np.zeros((12, 5), "float32"))
        np.save("y.npy", np.zeros(12))
        return ["x.npy"]
    if kind == "array of single values":
        np.save("x.npy", np.zeros(12, "float32"))
        np.save("y.npy", numbers % 3)
        return ["x.npy"]
    if kind == "packed store":
        ko.ImageFolderSequence("photos", image_size=4).pack("packed")
        return ["packed"]
    if kind == "packed stores":
        parts = ko.ImageFolderSequence("photos", image_size=8).split(validation_split=0.25)
        for name, part in zip(("training", "validation"), parts):
            part.pack(f"cache/{name}")
        return ["cache"]
    if kind == "one image":
        draw("one/ant/1.png")
        return ["one"]
    with open("houses.csv", "w") as file:
        file.write(CSV)
    if kind == "cache":
        ko.CSVChunkSequence("houses.csv", "price", ["sqft", "rooms"], missing="mean", indicator=True, cache="cache")[0]
        return ["cache"]
    if kind == "cache of dates and money":
        with open("houses.csv", "w") as file:
            file.write(
                "sold,built,in days,price\n"
                + "".join(f"2014-10-{i},201{i % 9}-01-02,{i},${i}\n" for i in range(10, 30))
            )
        dates = {"sold": ["year", "weekday"]}
        ko.CSVChunkSequence("houses.csv", "price", exclude=["sold.year"], dates=dates, strip="$", cache="cache")[0]
        return ["cache"]
    if kind == "cache of parts":
        rows = ko.CSVChunkSequence("houses.csv", "city", ["sqft", "id"], categorical=["id"], cache="cache")
        for part in rows.split(0.25, seed=3):
            part[0]
        return ["cache"]
    if kind == "pattern":
        shutil.copy("houses.csv", "houses-2.csv")
        return ["houses*.csv", "--target", "city"]
    if kind == "CSV of file names":
        with open("train.csv", "w") as file:
            file.write("image,class\n" + "".join(f"photos/{name},{name[:3]}\n" for name in manifest.filenames.tolist()))
        return ["train.csv", "--x-col", "image"]
    return ["houses.csv"]


KINDS = [
    "class folders",
    "manifest",
    "manifest of measured values",
    "split",
    "file names",
    "saved arrays of .npy files",
    "class folders of .npy files",
    "array",
    "array of single values",
    "packed store",
    "packed stores",
    "one image",
    "CSV",
    "pattern",
    "CSV of file names",
    "cache",
    "cache of parts",
    "cache of dates and money",
]


def check(model, data, validation_data=None, epochs=1):
    """What `fit` requires of its arguments: a model that takes the batches, and a loss that takes the labels."""
    for batches in [data] if validation_data is None else [data, validation_data]:
        x, y, *_ = batches[0]
        predicted = model.compute_output_spec(keras.KerasTensor(x.shape, x.dtype))
        if predicted.shape[1] > 1 and y.ndim == 1:
            assert y.dtype.kind == "i"
            assert y.max() < predicted.shape[1]
        else:
            assert predicted.shape == (*y.shape, 1)[:2]
    check.models.append(model)


@pytest.mark.one_backend
@pytest.mark.parametrize("kind", KINDS)
def test_the_code_to_train_runs(kind, photos, run, monkeypatch):
    status, output, error = run("info", *make(kind), "--json")
    assert status == 0, error
    check.models = []
    if kind != "CSV":  # which trains
        monkeypatch.setattr(keras.Model, "fit", check)
    namespace = {}
    code = json.loads(output)["python"].replace("epochs=10", "epochs=1")
    exec(code, namespace)
    if kind == "CSV":
        assert np.isfinite(namespace["model"].history.history["val_loss"]).all()
    else:
        assert check.models
    assert ("val" in namespace) == (kind not in ("one image", "cache", "cache of dates and money"))


def test_code_from_a_cache_has_the_scale_of_the_target(write, run):
    write("x,price\n" + "".join(f"{row},{500_000 + 1_000 * (row % 2)}\n" for row in range(20)))
    ko.CSVChunkSequence("houses.csv", "price", ["x"], cache="cache")[0]
    expected = "    keras.layers.Rescaling(500.0, offset=500000.0),  # the scale of the target"  # of 3 digits
    for path in ("houses.csv", "cache"):
        assert expected in run("info", path)[1].splitlines()
    os.truncate("cache/x.npy", 0)
    status, output, _ = run("info", "cache")
    assert status == 0
    assert "ko.CSVChunkSequence(" in output
    assert "Rescaling" not in output


@pytest.mark.parametrize("kind", ["files", "array", "packed store"])
def test_the_code_to_predict_runs(kind, photos, run, monkeypatch):
    if kind == "array":
        np.save("x.npy", np.zeros((12, 5)))
    if kind == "packed store":
        ko.ImageFolderSequence("photos", labels=None, image_size=16).pack("packed")
    path = {"files": "photos/ant", "array": "x.npy", "packed store": "packed"}[kind]
    status, output, error = run("info", path, "--json")
    assert status == 0, error
    monkeypatch.setattr(keras.saving, "load_model", lambda path: Predicting())
    namespace = {}
    exec(json.loads(output)["python"], namespace)
    assert len(namespace["predicted"]) == (6 if kind == "files" else 12)


class Predicting:
    """A model that predicts its input."""

    def predict(self, batches):
        return np.concatenate(list(batches))


def test_numbers_of_class_folders(photos, run):
    status, output, _ = run("info", "photos")
    assert status == 0
    lines = output.splitlines()
    assert lines[:2] == ["photos: class folders", "Manifest: 12 samples of 2 classes in 'photos'"]
    assert "images: 16x20 (height x width), RGB; 8 files opened" in lines
    facts = json.loads(run("info", "photos", "--json")[1])
    assert facts["kind"] == "class folders"
    assert facts["num_samples"] == 12
    assert facts["classes"] == {"ant": 6, "bee": 6}
    assert facts["formats"] == {".png": 12}
    assert (facts["smallest"], facts["largest"], facts["modes"]) == ([16, 20], [16, 20], ["RGB"])


def test_columns_of_a_csv_file(write, run):
    write(CSV)
    status, output, _ = run("info", "houses.csv")
    assert status == 0
    assert output.startswith("houses.csv: CSV\n20 rows, 5 columns, 385 B in 1 file\n")
    assert "\n  rooms  float32  0, 4, 8  (15 missing in the first rows)\n" in output
    assert '    target="price",\n    features=["sqft", "rooms"],\n    missing="mean",\n' in output
    facts = json.loads(run("info", "houses.csv", "--json", "--dtypes", "rooms=string")[1])
    assert facts["columns"]["rooms"]["kind"] == "string"
    assert "rooms" not in facts["python"].split("features=")[1].split("]")[0]


def test_csv_files_with_a_column_of_file_names(photos, write, run):
    write("filename,age\nphotos/ant/00.png,3\nphotos/bee/01.png,4\n")
    status, output, error = run("info", "houses.csv")
    assert status == 0, error
    assert 'ko.Manifest.from_csv("houses.csv", y_col=None)' in output
    assert run("verify", "houses.csv")[1] == "houses.csv: 2 files read, no problem\n"
    assert "--y-col COLUMN, or --no-labels" in run("pack", "houses.csv", "packed")[2]
    assert "2 rows, 2 columns" in run("info", "houses.csv", "--target", "age")[1]


def test_dialect_of_a_csv_file(write, run):
    write("a;b\n1,5;2\n2,5;-\n", "x.txt")
    words = ("--delimiter", ";", "--decimal", ",", "--null-values", "...", "-")
    status, output, _ = run("info", "x.txt", *words)
    assert status == 0
    assert '    delimiter=";",\n' in output
    assert '    null_values=[..., "-"],\n' in output
    assert '    missing="drop",\n' in output


def test_quotes_of_a_csv_file(write, run):
    write('"a\tb\n 1\t2\n 3\t4\n', "x.tsv")
    words = ("--delimiter", "\\t", "--quotechar", "none", "--escapechar", "\\", "--skip-initial-space", "--target", "b")
    status, output, error = run("info", "x.tsv", *words)
    assert status == 0, error
    assert "2 rows, 2 columns" in output
    for line in ("quotechar=None", 'escapechar="\\\\"', "skip_initial_space=True"):
        assert f"    {line},\n" in output


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("empty", 1, "empty: empty folder\n\n'empty' is empty."),
        ("folders", 1, "'folders' has no samples, but the folders 'a', 'b'. Type the path of the data."),
        ("sounds", 1, 'extensions=".wav"), reader=function)'),
        ("photos.zip", 0, 'folder = ko.unzip_folder("photos.zip")'),
        ("houses.csv.gz", 0, "keras-oocore pack houses.csv.gz cache --target COLUMN"),
        ("folder of tables", 0, "\n20 rows, 5 columns, "),
        ("headers.csv", 1, "The file has no rows."),
        ("damaged", 1, "photos/damaged.png: not an image"),
        ("missing", 1, "missing: 1 file, the first"),
        ("photos/ant/00.png", 1, "one file, .png\n\nOne file of this kind holds no samples"),
        ("no_rows.npy", 1, "The file has no rows."),
        ("dates.npy", 1, "A model requires numbers"),
    ],
)
def test_other_things(path, status, message, photos, run):
    make_tree(".", "sounds/wren/1.wav", "photos/damaged.png")
    ko.zip_folder("photos/ant", "photos.zip", progress=False)
    make_tree(".", "folders/a/.hidden", "folders/b/.hidden", "empty/.hidden", "folder of tables/.hidden")
    ko.Manifest.from_arrays(["damaged.png"], [0], "photos", class_names=["ant"]).save("damaged")
    ko.Manifest.from_arrays(["gone.png"], [0], "photos", class_names=["ant"]).save("missing")
    for name in ("folder of tables/houses.csv", "headers.csv"):
        with open(name, "w") as file:
            file.write(CSV if "tables" in name else "a,b\n")
    np.save("no_rows.npy", np.zeros((0, 3)))
    np.save("dates.npy", np.array(["2020-01-01"], dtype="datetime64[D]"))
    with gzip.open("houses.csv.gz", "wb") as file:
        file.write(CSV.encode())
    (photos / "damaged.png").write_bytes(b"damaged")
    found, output, error = run("info", path)
    assert error == ""
    assert found == status
    assert message in output


def test_a_table_of_files_in_another_folder(in_tmp_path, write, run):
    np.save("0.npy", np.zeros(3))
    (in_tmp_path / "tables").mkdir()
    write("filename,class\n0.npy,a\n", "tables/arrays.csv")
    for command, message in (("info", "None of the files exists"), ("verify", "none of its files exists, such as")):
        status, output, _ = run(command, "tables/arrays.csv")
        assert status == 1
        assert message in output
        assert "--directory FOLDER" in output
        assert run(command, "tables/arrays.csv", "--directory", ".")[0] == 0


def test_a_cache_of_several_inputs(write, run):
    write(CSV)
    features = {"numbers": ["sqft"], "place": ["city"]}
    ko.CSVChunkSequence("houses.csv", "price", features, cache="cache", seed=0)[0]
    status, output, _ = run("info", "cache")
    assert status == 0
    assert output.endswith("with the arguments it was stored with, and cache='cache'.\n")


@pytest.mark.parametrize("epoch", [2, 5])
def test_checkpoint(epoch, in_tmp_path, run):
    from keras_oocore.training.state.checkpoints import exclusive

    place = {"epoch": epoch, "step": 7 if epoch == 2 else 0}
    state = {"kind": "fit_resumable", "epochs": 5, "place": place, "versions": {"keras": "3.15.1"}}
    with exclusive("run") as checkpoints:
        checkpoints.save(state, {"kernel": np.ones(2)})
    if epoch == 5:
        _, output, _ = run("info", "run")
        assert "of ko.fit_resumable: 5 of 5 epochs are done\n" in output
        assert "To continue with more `epochs`, run the same script again" in output
        return
    status, output, _ = run("info", "run")
    assert status == 0
    assert output == (
        "run: checkpoints\ncheckpoint-00000000 of ko.fit_resumable: epoch 3 of 5, after 7 batches of it\n"
        "keras 3.15.1\n\nTo resume, run the same script again, with checkpoint='run'.\n"
    )


def test_unfinished_store(photos, run):
    with ko.ImageFolderSequence("photos", image_size=4, cache="cache", batch_size=2) as batches:
        batches[0]
    status, output, _ = run("info", "cache")
    assert status == 1
    assert "unfinished\n\nType the same keras-oocore pack again" in output


def test_versions(run, monkeypatch):
    monkeypatch.setattr(versions, "PACKAGES", ("numpy", "no_such_package"))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    status, output, _ = run("info", "--versions", "--json")
    facts = json.loads(output)
    assert status == 0
    assert facts["numpy"] == np.__version__
    assert facts["no_such_package"] is None
    assert facts["backend"] == "jax (KERAS_BACKEND)"
    assert [*facts][:4] == ["keras_oocore", "python", "platform", "cores"]
    assert run("info", "--versions")[1].endswith("not installed           no_such_package\n")


def test_manifest_of_other_files(in_tmp_path, run):
    make_tree("birds", "wren/1.wav", "wren/2.wav")
    ko.Manifest.from_directory("birds", extensions=".wav").save("manifest")
    status, output, _ = run("info", "manifest")
    assert status == 0
    assert output.startswith("manifest: manifest\nManifest: 2 samples of 1 class in ")
    assert output.endswith("Read them in Python: ko.NpyManifestSequence(manifest, reader=function).\n")


def test_pipes_and_broken_links(in_tmp_path, run):
    os.mkfifo("pipe")
    os.symlink("nowhere", "link")
    assert run("info", "pipe")[0] == 1
    assert run("info", "link") == (2, "", "keras-oocore: 'link' is a link to 'nowhere', which does not exist.\n")


def test_a_path_is_required(run):
    assert run("info")[::2] == (
        2,
        "keras-oocore: Type a PATH, or --versions. For example: keras-oocore info plant_seedlings\n",
    )
    status, _, error = run("info", "no such folder")
    assert status == 2
    assert error.startswith("keras-oocore: 'no such folder' does not exist. The working directory is ")
