"""Creates and saves the figures of matplotlib (the extra `plots`), without pyplot."""

import functools
import io
import os
from typing import TYPE_CHECKING

from keras_oocore.core.errors import MissingExtraError
from keras_oocore.core.files import as_path, write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def empty_figure(width_inches: float, height_inches: float) -> "Figure":
    """An empty figure that pyplot does not manage, so it opens no window and is garbage-collected.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # without pyplot
    except ImportError as error:
        raise MissingExtraError('Plots require matplotlib: pip install "keras_oocore[plots]"') from error
    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def finished(figure: "Figure", path: str | os.PathLike[str] | None) -> "Figure":
    """Save the figure to `path`, unless it is `None`, and return it in a form that a notebook displays."""
    if path is not None:
        with write_whole(as_path(path, "path")) as file:
            figure.savefig(file, format="png", dpi=120)
    # Jupyter only displays a Figure once pyplot has been imported. It calls this method of any object.
    figure._repr_png_ = functools.partial(_as_png, figure)
    return figure


def _as_png(figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
