"""The command line: `keras-oocore demo` and `keras-oocore profile`."""

import os
import subprocess
import sys

import pytest
from PIL import Image

import keras_oocore as ko
from keras_oocore import cli
from keras_oocore.core.errors import DestinationError, MissingExtraError
from keras_oocore.csv import cells
from keras_oocore.demo import images as demo
from keras_oocore.demo import table as demo_csv


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Reset the environment variables that a command sets."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setattr(cli, "prefer_installed", lambda: None)  # Keras is imported already


@pytest.fixture
def folder(tmp_path):
    for name in ("a/1", "a/2", "b/3"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (6, 6)).save(path)
    return tmp_path


def test_profile_of_a_directory(folder, capsys):
    options = ["--image-size", "8", "--batch-size", "2", "--workers", "0", "--num-batches", "3"]

    assert cli.main(["profile", str(folder), *options]) == 0
    output = capsys.readouterr().out
    assert output.startswith("3 batches, 5 samples in ")
    assert "batches of 2" in output
    assert "decoding" in output
    assert "If training is slower than" in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--num-batches", "0"], "`num_batches` should be a positive integer. Received: num_batches=0"),
        (["--image-size", "0"], "`image_size` should be (height, width), two positive integers."),
        (["--batch-size", "0"], "`batch_size` should be a positive integer."),
        (["--workers", "-1"], "`workers` should be a number of threads"),
    ],
)
def test_invalid_option_is_one_line_and_an_exit_status(options, message, folder, capsys):
    assert cli.main(["profile", str(folder), *options]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"keras-oocore: {message}")
    assert error.count("\n") == 1


def test_profile_survives_a_bad_file(folder, capsys):
    (folder / "a" / "1.png").write_bytes(b"not an image")

    assert cli.main(["profile", str(folder), "--image-size", "8", "--batch-size", "1", "--num-batches", "9"]) == 0
    assert " could not be made and are not counted: Cannot read sample 0" in capsys.readouterr().out
    for path in folder.rglob("*.png"):
        path.write_bytes(b"not an image")
    assert cli.main(["profile", str(folder)]) == 1
    assert capsys.readouterr().err.startswith("keras-oocore: Cannot read sample")


def test_missing_directory_is_one_line(tmp_path, capsys):
    assert cli.main(["profile", str(tmp_path / "nowhere")]) == 1
    assert "nowhere' does not exist" in capsys.readouterr().err


def test_profile_of_a_cache_with_subsets_lists_its_stores(folder, tmp_path, capsys):
    for subset in ("training", "validation"):
        options = dict(image_size=4, cache=tmp_path / "cache", validation_split=0.5, seed=0)
        with ko.ImageFolderSequence(folder, subset=subset, **options) as sequence:
            sequence[0]

    assert cli.main(["profile", str(tmp_path / "cache")]) == 1
    assert "packed store" in (error := capsys.readouterr().err)
    for subset in ("training", "validation"):
        assert str(tmp_path / "cache" / subset) in error


def test_profile_of_a_packed_store(folder, tmp_path, capsys):
    ko.ImageFolderSequence(folder, image_size=4).pack(tmp_path / "packed")

    assert cli.main(["profile", str(tmp_path / "packed"), "--num-batches", "2"]) == 0
    assert "2 batches, 6 samples in " in capsys.readouterr().out


def test_demo_csv_without_pyarrow_prints_how_to_install_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cells, "pa", None)
    assert cli.main(["demo", "--csv", "--directory", str(tmp_path)]) == 1
    output = capsys.readouterr()
    assert output.err.startswith("keras-oocore: CSV files ")
    assert output.err.endswith("pyarrow: pip install 'keras_oocore[csv]'\n")
    assert not output.out
    assert not list(tmp_path.iterdir())


def test_demo_help():
    child = subprocess.run(
        [sys.executable, "-m", "keras_oocore.cli", "demo", "--help"], capture_output=True, text=True, timeout=300
    )
    assert child.returncode == 0
    assert "--directory" in child.stdout
    assert "--csv" in child.stdout


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ([], ("images", "keras_oocore_demo", {})),
        (["--epochs", "2"], ("images", "keras_oocore_demo", {"epochs": 2})),
        (["--csv"], ("rows", "keras_oocore_demo", {})),
        (["--csv", "--epochs", "0", "--directory", "folder"], ("rows", "folder", {"epochs": 0})),
    ],
)
def test_demo_options(typed, expected, monkeypatch):
    ran = []
    monkeypatch.setattr(demo, "run_demo", lambda directory, **options: ran.append(("images", directory, options)))
    monkeypatch.setattr(demo_csv, "run_demo_csv", lambda directory, **options: ran.append(("rows", directory, options)))
    assert cli.main(["demo", *typed]) == 0
    assert ran == [expected]


@pytest.mark.parametrize(
    ("error", "status"),
    [(MissingExtraError("install this"), 1), (DestinationError("disk is full"), 1), (KeyboardInterrupt(), 130)],
)
def test_error_is_one_line_and_an_exit_status(error, status, monkeypatch, capsys):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(demo, "run_demo", fail)
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "tensorflow"))
    assert cli.main(["demo"]) == status
    assert capsys.readouterr().err.startswith("keras-oocore: ")
