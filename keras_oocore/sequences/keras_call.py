"""Which method of which Keras model reads a dataset. Keras does not tell it, so the stack does."""

import sys
from typing import Any, NamedTuple

METHODS = ("fit", "evaluate", "predict")


class KerasCall(NamedTuple):
    """A call of a Keras model.

    Attributes:
        method: `"fit"`, `"evaluate"` (also for the validation of `fit`) or `"predict"`.
        model: The model.
    """

    method: str
    model: Any


def keras_call() -> KerasCall | None:
    """Return the innermost call of Keras that led here, or `None`."""
    frame = sys._getframe(1)
    while frame is not None:
        method = frame.f_code.co_name
        if method in METHODS and frame.f_globals.get("__name__", "").startswith("keras.src."):
            return KerasCall(method, frame.f_locals.get("self"))
        frame = frame.f_back
    return None
