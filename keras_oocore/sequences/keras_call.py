"""Finds out which method of which Keras model reads a dataset, from the call stack, because Keras does not say it."""

import sys
from typing import Any, NamedTuple

METHODS = ("fit", "evaluate", "predict")
ARGUMENTS = ("validation_data", "validation_steps", "steps", "callbacks", "epoch")


class KerasCall(NamedTuple):
    """A call of a Keras model.

    Attributes:
        method: `"fit"`, `"evaluate"` (also for the validation of `fit`) or `"predict"`.
        model: The model.
        arguments: Values of `ARGUMENTS` in the call, `None` for those that it does not have. `epoch` is the number of
            the epoch, `None` before the first one.
    """

    method: str
    model: Any
    arguments: dict[str, Any]


def keras_call() -> KerasCall | None:
    """Return the innermost call of Keras that led here, or `None`."""
    frame = sys._getframe(1)
    while frame is not None:
        method = frame.f_code.co_name
        if method in METHODS and frame.f_globals.get("__name__", "").startswith("keras.src."):
            names = frame.f_locals
            return KerasCall(method, names.get("self"), {name: names.get(name) for name in ARGUMENTS})
        frame = frame.f_back
    return None
