"""The demo and the command line, as a newcomer runs them."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from keras_oocore import cli, demo
from keras_oocore.errors import DestinationError, MissingExtraError


def test_the_demo_prepares_trains_and_tells_where_everything_lies(tmp_path, capsys):
    accuracy = demo.run_demo(tmp_path / "demo")
    shown = capsys.readouterr().out
    assert accuracy > 0.9
    assert f"val_accuracy: {accuracy:.4f}" in shown
    for name in ("digits", "all_images", "train", "val", "batch.png", "model.keras"):
        assert (tmp_path / "demo" / name).exists()
        assert name in shown
    assert len(np.load(tmp_path / "demo/train/filenames.npy")) + len(np.load(tmp_path / "demo/val/labels.npy")) == 1797
    assert Image.open(tmp_path / "demo" / "batch.png").size[0] > 500


def test_the_demo_runs_again_in_the_same_folder(tmp_path):
    demo.run_demo(tmp_path, epochs=1)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "all_images").glob("*.png")}
    demo.run_demo(tmp_path, epochs=1)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "all_images").glob("*.png")}


def test_without_matplotlib_the_demo_saves_a_plainer_picture(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    demo.run_demo(tmp_path, epochs=1)
    assert Image.open(tmp_path / "batch.png").size == (960, 272)


def test_the_command_runs_the_demo():
    child = subprocess.run(
        [sys.executable, "-m", "keras_oocore.cli", "demo", "--help"], capture_output=True, text=True, timeout=120
    )
    assert child.returncode == 0
    assert "--directory" in child.stdout


@pytest.mark.parametrize(
    ("error", "status"),
    [(MissingExtraError("install this"), 1), (DestinationError("disk is full"), 1), (KeyboardInterrupt(), 130)],
)
def test_an_error_is_one_line_and_an_exit_status(error, status, monkeypatch, capsys):
    def fail(*_):
        raise error

    monkeypatch.setattr(demo, "run_demo", fail)
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "tensorflow"))
    assert cli.main(["demo"]) == status
    assert capsys.readouterr().err.startswith("keras-oocore: ")
