"""Checks that Keras has an installed backend, and says what to type if it does not."""

import importlib.util
import os
from pathlib import Path

from keras_oocore.core.errors import MissingExtraError

BACKENDS = ("tensorflow", "jax", "torch")


def require_backend() -> None:
    """Import Keras, or say how to install its backend.

    Raises:
        MissingExtraError: If the backend that Keras is configured to use is not installed.
    """
    try:
        import keras  # noqa: F401
    except ImportError as error:
        installed = _installed_backends()
        remedy = (
            f"Set the environment variable KERAS_BACKEND={installed[0]}, which is installed."
            if installed
            else 'Install one: pip install "keras_oocore[tensorflow,fast]", or in a checkout of it '
            'pip install -e ".[tensorflow,fast]" (or jax, or torch with KERAS_BACKEND=torch).'
        )
        raise MissingExtraError(f"Keras has no backend to run on ({error}). {remedy}") from error


def prefer_installed() -> None:
    """Choose an installed backend before Keras is imported, unless the environment or `keras.json` chooses one."""
    if (Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "keras.json").exists():
        return
    installed = _installed_backends()
    if installed:
        os.environ.setdefault("KERAS_BACKEND", installed[0])


def _installed_backends() -> list[str]:
    return [name for name in BACKENDS if importlib.util.find_spec(name)]
