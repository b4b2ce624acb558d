"""The demos and the command line, as a newcomer runs them."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_diabetes

from keras_oocore import cli
from keras_oocore.core.errors import DestinationError, MissingExtraError
from keras_oocore.demo import images as demo
from keras_oocore.demo import table as demo_csv
from keras_oocore.tables.csv import reader as csv


@pytest.mark.backend
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


@pytest.mark.backend
def test_the_demo_runs_again_in_the_same_folder(tmp_path):
    demo.run_demo(tmp_path, epochs=1)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "all_images").glob("*.png")}
    demo.run_demo(tmp_path, epochs=1)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "all_images").glob("*.png")}


@pytest.mark.backend
def test_without_matplotlib_the_demo_saves_a_plainer_picture(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    demo.run_demo(tmp_path, epochs=1)
    assert Image.open(tmp_path / "batch.png").size == (960, 272)


@pytest.mark.backend
def test_the_csv_demo_fits_a_line_and_a_network_and_tells_where_everything_lies(tmp_path, capsys):
    error = demo_csv.run_demo_csv(tmp_path)
    shown = capsys.readouterr().out
    assert 30 < error < 45  # 61 with the mean for everybody
    assert f"mean absolute error: {error:.1f} on 88 patients" in shown
    assert "442 rows, 11 columns" in shown
    (slope, intercept), (exact_slope, exact_intercept) = (
        map(float, line) for line in re.findall(r"progression = (\S+) bmi (\S+)", shown)
    )
    assert slope == pytest.approx(exact_slope, abs=0.2)
    assert intercept == pytest.approx(exact_intercept, abs=5)
    for name in ("patients.csv", "cache", "predicted.png", "model.keras"):
        assert (tmp_path / "csv" / name).exists()
        assert f"csv/{name}" in shown
    assert Image.open(tmp_path / "csv/predicted.png").size == (600, 600)


def test_the_patients_on_disk_are_those_of_scikit_learn(tmp_path):
    assert demo_csv.write_patients(tmp_path / "patients.csv")
    written = np.loadtxt(tmp_path / "patients.csv", delimiter=",", skiprows=1)
    patients = load_diabetes(scaled=False)
    np.testing.assert_array_equal(written, np.column_stack([patients.data, patients.target]))
    assert len(demo_csv.COLUMNS) == written.shape[1]
    assert not demo_csv.write_patients(tmp_path / "patients.csv")


@pytest.mark.backend
def test_the_csv_demo_runs_again_in_the_same_folder(tmp_path):
    def changed_ns():
        return [(tmp_path / "csv" / name).stat().st_mtime_ns for name in ("patients.csv", "cache/training/x.npy")]

    demo_csv.run_demo_csv(tmp_path, epochs=1)
    before = changed_ns()
    demo_csv.run_demo_csv(tmp_path, epochs=1)
    assert changed_ns() == before
    (tmp_path / "csv/patients.csv").unlink()  # what is stored is then of another file
    demo_csv.run_demo_csv(tmp_path, epochs=1)
    assert before != changed_ns()


@pytest.mark.backend
def test_both_demos_share_a_directory(tmp_path):
    demo.run_demo(tmp_path, epochs=1)
    demo_csv.run_demo_csv(tmp_path, epochs=1)
    demo.run_demo(tmp_path, epochs=1)
    assert (tmp_path / "model.keras").exists()
    assert (tmp_path / "csv/model.keras").exists()


@pytest.mark.backend
def test_without_matplotlib_the_csv_demo_has_no_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    demo_csv.run_demo_csv(tmp_path, epochs=1)
    assert not (tmp_path / "csv/predicted.png").exists()
    assert "predicted.png" not in capsys.readouterr().out


def test_without_pyarrow_the_csv_demo_says_what_to_type(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(csv, "pa", None)
    monkeypatch.setattr(cli, "prefer_installed", lambda: None)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    assert cli.main(["demo", "--csv", "--directory", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert shown.err == "keras-oocore: CSV files want pyarrow: pip install 'keras_oocore[csv]'\n"
    assert not shown.out
    assert not list(tmp_path.iterdir())


def test_the_command_runs_the_demo():
    child = subprocess.run(
        [sys.executable, "-m", "keras_oocore.cli", "demo", "--help"], capture_output=True, text=True, timeout=120
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
        (["--csv", "--epochs", "0", "--directory", "there"], ("rows", "there", {"epochs": 0})),
    ],
)
def test_what_is_typed_reaches_its_demo(typed, expected, monkeypatch):
    ran = []
    monkeypatch.setattr(demo, "run_demo", lambda directory, **options: ran.append(("images", directory, options)))
    monkeypatch.setattr(demo_csv, "run_demo_csv", lambda directory, **options: ran.append(("rows", directory, options)))
    monkeypatch.setattr(cli, "prefer_installed", lambda: None)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    assert cli.main(["demo", *typed]) == 0
    assert ran == [expected]


@pytest.mark.parametrize(
    ("error", "status"),
    [(MissingExtraError("install this"), 1), (DestinationError("disk is full"), 1), (KeyboardInterrupt(), 130)],
)
def test_an_error_is_one_line_and_an_exit_status(error, status, monkeypatch, capsys):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(demo, "run_demo", fail)
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "tensorflow"))
    assert cli.main(["demo"]) == status
    assert capsys.readouterr().err.startswith("keras-oocore: ")
