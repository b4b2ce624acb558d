"""The command line's `profile`, as a person types it; its `demo` is in test_demo.py."""

import pytest
from PIL import Image

import keras_oocore as ko
from keras_oocore import cli


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """What a command sets for its own process ends with the test."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setattr(cli, "prefer_installed", lambda: None)  # Keras is imported already


@pytest.fixture
def folder(tmp_path):
    for name in ("a/1", "a/2", "b/3"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (6, 6)).save(path)
    return tmp_path


def test_profile_prints_the_table_of_a_folder(folder, capsys):
    options = ["--image-size", "8", "--batch-size", "2", "--workers", "0", "--num-batches", "3"]

    assert cli.main(["profile", str(folder), *options]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("3 batches, 5 samples in ")
    assert "batches of 2" in shown
    assert "decoding" in shown
    assert "If training is slower than" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--num-batches", "0"], "`num_batches` should be a positive integer. Received: num_batches=0"),
        (["--image-size", "0"], "`image_size` should be (height, width), two positive integers."),
        (["--batch-size", "0"], "`batch_size` should be a positive integer."),
        (["--workers", "-1"], "`workers` should be a number of threads"),
    ],
)
def test_options_that_cannot_work_are_one_line_and_an_exit_status(options, message, folder, capsys):
    assert cli.main(["profile", str(folder), *options]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"keras-oocore: {message}")
    assert error.count("\n") == 1


def test_a_directory_that_does_not_exist_is_one_line_too(tmp_path, capsys):
    assert cli.main(["profile", str(tmp_path / "nowhere")]) == 1
    assert "nowhere' does not exist" in capsys.readouterr().err


def test_the_stores_of_subsets_are_told_apart(folder, tmp_path, capsys):
    for sequence in ko.ImageFolderSequence(
        folder, image_size=4, cache=tmp_path / "cache", validation_split=0.5, subset="both", seed=0
    ):
        sequence.close()

    assert cli.main(["profile", str(tmp_path / "cache")]) == 1
    assert "holds a packed store of each subset; open one: " in capsys.readouterr().err


def test_a_packed_store_is_profiled_as_it_is(folder, tmp_path, capsys):
    ko.ImageFolderSequence(folder, image_size=4).pack(tmp_path / "packed")

    assert cli.main(["profile", str(tmp_path / "packed"), "--num-batches", "2"]) == 0
    assert "2 batches, 6 samples in " in capsys.readouterr().out
