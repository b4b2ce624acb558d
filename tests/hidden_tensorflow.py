"""Hides an installed TensorFlow. Keras imports it on any backend, for seconds in each process, and does not need it."""

import importlib.util
import os
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "without_tensorflow"  # the module `tensorflow` there raises ImportError


class Finder:
    """An entry of `sys.meta_path` that finds the module in `FOLDER`."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        return importlib.util.spec_from_file_location(name, FOLDER / "tensorflow.py") if name == "tensorflow" else None


def hide():
    """Hide TensorFlow from this process, which has not imported it, and from the processes that it starts."""
    sys.meta_path.insert(0, Finder)
    os.environ.update(environment())


def environment(backend=None):
    """Return the environment of a process that trains on this backend, by default on the one of this process."""
    backend = backend or os.environ.get("KERAS_BACKEND", "tensorflow")
    hidden = [str(FOLDER)] if backend in ("jax", "torch") else []
    paths = [*hidden, os.environ.get("PYTHONPATH")]
    return {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
