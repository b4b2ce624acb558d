"""Hides installed packages that Keras imports for seconds in each process, and that a process does not need."""

import importlib.util
import os
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "hidden"  # its modules raise ImportError
TENSORFLOW = FOLDER / "tensorflow"  # Keras imports it on any backend
OPTIONAL = FOLDER / "optional"  # what Keras imports for features that no child process and no test of models uses


class Finder:
    """An entry of `sys.meta_path` that finds the modules in folders.

    Args:
        folders: The folders.
        from_keras: Whether only Keras finds them, when it looks whether a package is installed.
    """

    def __init__(self, folders, from_keras=False):
        self.paths = {path.stem: path for folder in folders for path in folder.glob("*.py")}
        self.from_keras = from_keras

    def find_spec(self, name, path=None, target=None):
        if name not in self.paths or (self.from_keras and not _keras_looks()):
            return None
        return importlib.util.spec_from_file_location(name, self.paths[name])


def _keras_looks():
    frame = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__") != "keras.src.utils.module_utils":
        frame = frame.f_back
    return frame is not None


def hide(optional=False, from_keras=False):
    """Hide packages from this process, which has not imported them, and from the processes that it starts.

    Args:
        optional: Whether to hide the packages in `OPTIONAL`, too.
        from_keras: Whether this process may import them itself, and only Keras does not.
    """
    sys.meta_path.insert(0, Finder(_folders(os.environ.get("KERAS_BACKEND", "tensorflow"), optional), from_keras))
    os.environ.update(environment(optional=optional))


def environment(backend=None, optional=True):
    """Return the environment of a process that trains on this backend, by default on the one of this process."""
    backend = backend or os.environ.get("KERAS_BACKEND", "tensorflow")
    paths = [*map(str, _folders(backend, optional)), os.environ.get("PYTHONPATH")]
    return {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _folders(backend, optional):
    return [TENSORFLOW] * (backend in ("jax", "torch", "numpy")) + [OPTIONAL] * optional
