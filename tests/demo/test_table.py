"""The demo with a CSV file, from the file to the trained model."""

import re
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_diabetes

from keras_oocore.demo import images as demo
from keras_oocore.demo import table as demo_csv


@pytest.mark.one_backend
def test_run_demo_csv_trains_and_prints_paths(tmp_path, capsys):
    error = demo_csv.run_demo_csv(tmp_path)
    output = capsys.readouterr().out
    assert 30 < error < 45  # predicting the mean gives 61
    assert f"mean absolute error: {error:.1f} on 88 validation patients" in output
    assert "442 rows, 11 columns" in output
    (slope, intercept), (exact_slope, exact_intercept) = (
        map(float, line) for line in re.findall(r"progression = (\S+) bmi (\S+)", output)
    )
    assert slope == pytest.approx(exact_slope, abs=0.2)
    assert intercept == pytest.approx(exact_intercept, abs=5)
    for name in ("patients.csv", "cache", "predicted.png", "model.keras"):
        assert (tmp_path / "csv" / name).exists()
        assert f"csv/{name}" in output
    assert Image.open(tmp_path / "csv/predicted.png").size == (600, 600)


def test_write_patients_equals_scikit_learn(tmp_path):
    assert demo_csv.write_patients(tmp_path / "patients.csv")
    written = np.loadtxt(tmp_path / "patients.csv", delimiter=",", skiprows=1)
    patients = load_diabetes(scaled=False)
    np.testing.assert_array_equal(written, np.column_stack([patients.data, patients.target]))
    assert len(demo_csv.COLUMNS) == written.shape[1]
    assert not demo_csv.write_patients(tmp_path / "patients.csv")


@pytest.mark.one_backend
def test_second_run_keeps_the_cache(tmp_path):
    def changed_ns():
        return [(tmp_path / "csv" / name).stat().st_mtime_ns for name in ("patients.csv", "cache/training/x.npy")]

    demo_csv.run_demo_csv(tmp_path, epochs=1)
    before = changed_ns()
    demo_csv.run_demo_csv(tmp_path, epochs=1)
    assert changed_ns() == before
    (tmp_path / "csv/patients.csv").unlink()  # so the cache belongs to another file
    demo_csv.run_demo_csv(tmp_path, epochs=1)
    assert before != changed_ns()


@pytest.mark.one_backend
def test_both_demos_share_a_directory_and_a_second_run_keeps_the_images(tmp_path, few_digits):
    def changed_ns():
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "all_images").glob("*.png")}

    demo.run_demo(tmp_path, epochs=1)
    before = changed_ns()
    demo_csv.run_demo_csv(tmp_path, epochs=1)
    demo.run_demo(tmp_path, epochs=1)
    assert len(before) == few_digits
    assert changed_ns() == before
    assert (tmp_path / "model.keras").exists()
    assert (tmp_path / "csv/model.keras").exists()


@pytest.mark.one_backend
def test_without_matplotlib_no_figure_is_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    demo_csv.run_demo_csv(tmp_path, epochs=1)
    assert not (tmp_path / "csv/predicted.png").exists()
    assert "predicted.png" not in capsys.readouterr().out
