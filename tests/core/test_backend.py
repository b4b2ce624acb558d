"""A missing backend of Keras is explained."""

import importlib.util
import os
import subprocess
import sys

import pytest

from keras_oocore.core import backend
from keras_oocore.core.errors import MissingExtraError


def test_without_a_backend_the_error_says_how_to_install_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)  # importing it fails
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install -e "\.\[tensorflow,fast\]"'):
        backend.require_backend()


def test_with_another_backend_the_error_names_the_environment_variable(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True if name == "jax" else None)
    with pytest.raises(MissingExtraError, match="KERAS_BACKEND=jax"):
        backend.require_backend()


def test_prefer_installed_respects_the_environment_and_keras_json(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True if name == "torch" else None)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    backend.prefer_installed()
    assert os.environ["KERAS_BACKEND"] == "torch"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    backend.prefer_installed()
    assert os.environ["KERAS_BACKEND"] == "jax"
    monkeypatch.delenv("KERAS_BACKEND")
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    backend.prefer_installed()
    assert "KERAS_BACKEND" not in os.environ


def test_preparing_data_does_not_import_keras():
    script = """
import sys
import keras_oocore as ko, keras_oocore.batches.maker, keras_oocore.batches.loader
ko.Manifest.from_arrays(["a.png"]), ko.flatten_images, ko.zip_folder
print([name for name in ("keras", "tensorflow", "jax", "torch") if name in sys.modules])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # TensorFlow is not hidden
    command = [sys.executable, "-c", script]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert child.stdout.strip() == "[]", child.stderr
