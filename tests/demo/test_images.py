"""The demo with images, from the preparation to the trained model."""

import sys

import numpy as np
import pytest
from PIL import Image

from keras_oocore.demo import images as demo


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("epochs", "least_accuracy"), [(3, 0.6), pytest.param(demo.EPOCHS, 0.9, marks=pytest.mark.soak)]
)
def test_run_demo_prepares_trains_and_prints_paths(tmp_path, capsys, epochs, least_accuracy):
    accuracy = demo.run_demo(tmp_path / "demo", epochs)
    output = capsys.readouterr().out
    assert accuracy > least_accuracy
    assert f"val_accuracy: {accuracy:.4f}" in output
    for name in ("digits", "all_images", "train", "val", "batch.png", "model.keras"):
        assert (tmp_path / "demo" / name).exists()
        assert name in output
    assert len(np.load(tmp_path / "demo/train/filenames.npy")) + len(np.load(tmp_path / "demo/val/labels.npy")) == 1797
    assert Image.open(tmp_path / "demo" / "batch.png").size[0] > 500


@pytest.mark.one_backend
@pytest.mark.usefixtures("few_digits")
def test_without_matplotlib_pillow_draws_the_batch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    demo.run_demo(tmp_path, epochs=1)
    assert Image.open(tmp_path / "batch.png").size == (960, 272)
