"""The versions of everything that a bug report should name. Nothing is imported for them."""

import importlib.metadata
import os
import platform
from pathlib import Path

from keras_oocore.core.cpu import num_cpus
from keras_oocore.core.version import __version__

PACKAGES = (
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "opencv-python",
    "simplejpeg",
    "imagecodecs",
    "pyarrow",
    "matplotlib",
    "scikit-learn",
    "pandas",
    "filelock",
    "joblib",
    "tqdm",
    "rich",
)


def versions() -> dict[str, str | int | None]:
    """Return name → version. Packages that are not installed are `None`."""
    return {
        "keras_oocore": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": num_cpus(),
        "backend": _backend(),
        **{name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _backend() -> str:
    """Return what chooses the backend of Keras, as Keras looks for it: the environment, then its configuration file."""
    if "KERAS_BACKEND" in os.environ:
        return f"{os.environ['KERAS_BACKEND']} (KERAS_BACKEND)"
    configuration = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras.json"
    return f"chosen by {configuration}" if configuration.exists() else "not chosen"


def as_text(found: dict[str, str | int | None]) -> str:
    """Return the versions as lines that fit into a bug report."""
    lines = [f"{name:<24}{version}" for name, version in found.items() if version is not None]
    missing = [name for name, version in found.items() if version is None]
    return "\n".join([*lines, f"{'not installed':<24}{', '.join(missing)}"])
