"""Which backend Keras runs on, and what to type when there is none."""

import importlib.util
import os
from pathlib import Path

from keras_oocore.core.errors import MissingExtraError

BACKENDS = ("tensorflow", "jax", "torch")


def require_backend() -> None:
    """Import Keras, or say how to install what it lacks.

    Raises:
        MissingExtraError: when the backend that Keras is set to is not installed.
    """
    try:
        import keras  # noqa: F401
    except ImportError as error:
        installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
        remedy = (
            f"Set the environment variable KERAS_BACKEND={installed[0]}, which is installed."
            if installed
            else 'Install one: pip install "keras_oocore[tensorflow,fast]", or in a checkout of it '
            'pip install -e ".[tensorflow,fast]" (or jax, or torch with KERAS_BACKEND=torch).'
        )
        raise MissingExtraError(f"Keras has no backend to run on ({error}). {remedy}") from error


def prefer_installed() -> None:
    """Set Keras to an installed backend, before its import, when neither the environment nor `keras.json` names one."""
    if (Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras.json").exists():
        return
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    if installed:
        os.environ.setdefault("KERAS_BACKEND", installed[0])
