"""What callbacks remember, as plain values and back; a CSVLogger's file is cut back to the rows of then.

Keras's callbacks have no state to save: they begin anew in `on_train_begin`. So what is kept is every attribute that
changed since then; what was given to the constructor and did not change stays as it is given now.
"""

import contextlib
import enum
import os
import pathlib
import threading
import types
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_oocore.training.state.model import every_layer
from keras_oocore.training.state.plain_values import NotPlainError, from_plain, to_plain

LOG_BYTES = "bytes of the log"  # no attribute can be called so
OWN_STATE = "own state"
OF_KERAS = ("_model", "params", "validation_data")
OF_A_FILE = ("csv_file", "writer", "append", "append_header")  # of a CSVLogger, which opens its file anew
OF_A_MONITOR = ("min_delta",)  # whose sign Keras turns when it finds out the metric's direction, as it will again
SETTINGS = (  # given to a callback, or made by it, and no state
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    type,
    np.ufunc,
    enum.Enum,
    os.PathLike,
    pathlib.PurePath,
    type(threading.Lock()),
    keras.optimizers.schedules.LearningRateSchedule,
    keras.losses.Loss,
    keras.utils.PyDataset,
)
WITHOUT_STATE = (keras.callbacks.History, keras.callbacks.ProgbarLogger)  # the history is kept apart


class CallbackStates:
    """The states of a training's callbacks.

    Args:
        callbacks: in their order.
    """

    def __init__(self, callbacks: list[keras.callbacks.Callback]):
        self.callbacks = dict(_named(callbacks))
        self._begun = {}  # name -> attribute -> its plain value when the training began
        self._warned = set()

    def begun(self) -> None:
        """Note how things stand once `on_train_begin` has been called."""
        self._begun = {
            name: {
                key: (plain, {place: array.copy() for place, array in arrays.items()})
                for key, (plain, arrays) in self._attributes(callback, name).items()
            }
            for name, callback in self.callbacks.items()
        }

    def captured(self, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        """The states as plain JSON, and the arrays in them beside it; warns once of what cannot be saved."""
        states = {}
        for name, callback in self.callbacks.items():
            if _keeps_own_state(callback):
                try:
                    states[name] = {OWN_STATE: to_plain(callback.state_dict(), arrays, f"callbacks.{name}")}
                except NotPlainError as error:
                    self._warn(name, error)
                continue
            begun, now = self._begun[name], self._attributes(callback, name, warn=True)
            changed = {key: value for key, value in now.items() if key not in begun or not _same(begun[key], value)}
            states[name] = {key: plain for key, (plain, _) in changed.items()}
            for _, beside in changed.values():
                arrays.update(beside)
            if isinstance(callback, keras.callbacks.CSVLogger):
                with contextlib.suppress(OSError):  # moved away by somebody
                    states[name][LOG_BYTES] = os.path.getsize(callback.filename)
        return states

    @contextlib.contextmanager
    def logs_cut_back(self, states: dict[str, Any]) -> Iterator[None]:
        """Around `on_train_begin`: logs are opened to go on in them, after the rows that were there then."""
        loggers = [
            (callback, callback.append, states[name][LOG_BYTES])
            for name, callback in self.callbacks.items()
            if LOG_BYTES in states.get(name, {})
        ]
        for logger, _, size_bytes in loggers:
            logger.append = True
            _cut_back(logger.filename, size_bytes)
        yield
        for logger, append, _ in loggers:
            logger.append = append

    def restore(self, states: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Give the callbacks what they remembered, once `on_train_begin` has been called.

        Attributes that had not changed get back what they had then; `on_epoch_begin` may have changed them since.
        """
        for name, callback in self.callbacks.items():
            state = states.get(name, {})
            if OWN_STATE in state and _keeps_own_state(callback):
                callback.load_state_dict(from_plain(state[OWN_STATE], _copied(arrays, f"callbacks.{name}")))
                continue
            then = {key: (plain, arrays) for key, plain in state.items() if key not in (LOG_BYTES, OWN_STATE)}
            for key, (plain, beside) in {**self._begun[name], **then}.items():
                _set(callback, key, from_plain(plain, _copied(beside, f"callbacks.{name}.{key}")))

    def _attributes(self, callback, name: str, warn: bool = False) -> dict[str, tuple[Any, dict]]:
        """Attribute → its value as plain JSON, and the arrays in it."""
        skipped = OF_KERAS + (OF_A_FILE if isinstance(callback, keras.callbacks.CSVLogger) else ())
        skipped += OF_A_MONITOR if hasattr(callback, "monitor_op") else ()
        attributes = {}
        for key, value in vars(callback).items():
            if key in skipped or _keeps_own_state(callback):
                continue
            arrays = {}
            try:
                attributes[key] = (to_plain(value, arrays, f"callbacks.{name}.{key}"), arrays)
            except NotPlainError as error:
                if warn and not isinstance(value, SETTINGS) and not _is_of_model(value, callback._model):
                    self._warn(name, error)
        return attributes

    def _warn(self, name: str, error: NotPlainError) -> None:
        """Name a callback whose state cannot be saved, once."""
        if name not in self._warned:
            self._warned.add(name)
            warnings.warn(
                f"The state of the callback {name} cannot be saved: {error} When the training goes on after a kill, "
                "that begins anew. Give the callback state_dict() and load_state_dict(state).",
                stacklevel=2,
            )


def _copied(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Arrays of their own for a callback, which may change them in place."""
    return {name: array.copy() for name, array in arrays.items() if name.startswith(prefix)}


def _is_of_model(value: Any, model: keras.Model) -> bool:
    """Whether this is the model that is trained, or a part of it, which is saved with it."""
    return any(value is part for part in (model.optimizer, *model.metrics, *every_layer(model)))


def _set(callback, key: str, value: Any) -> None:
    """Set an attribute; a list or dictionary in place, because whoever gave it to the callback may look at it too."""
    now = getattr(callback, key, None)
    if type(now) is type(value) is list:
        now[:] = value
    elif type(now) is type(value) is dict:
        now.clear()
        now.update(value)
    else:
        setattr(callback, key, value)


def _named(callbacks: list) -> Iterator[tuple[str, keras.callbacks.Callback]]:
    """Each callback that may have a state, by its class and, of several, its number: the same in the next run."""
    seen = Counter()
    for callback in callbacks:
        if type(callback) not in WITHOUT_STATE:
            name = type(callback).__name__
            seen[name] += 1
            yield (name if seen[name] == 1 else f"{name} {seen[name]}"), callback


def _keeps_own_state(callback) -> bool:
    return callable(getattr(callback, "state_dict", None)) and callable(getattr(callback, "load_state_dict", None))


def _same(one: tuple[Any, dict], other: tuple[Any, dict]) -> bool:
    """Whether two plain values, with their arrays, are the same to the last bit."""
    (plain, arrays), (other_plain, other_arrays) = one, other
    return repr(plain) == repr(other_plain) and all(
        key in other_arrays
        and array.dtype == other_arrays[key].dtype
        and array.tobytes() == other_arrays[key].tobytes()
        for key, array in arrays.items()
    )


def _cut_back(path: str, size_bytes: int) -> None:
    """Remove the rows that were written after the checkpoint; they will be written again."""
    there = os.path.getsize(path) if os.path.exists(path) else 0
    if there < size_bytes:
        warnings.warn(
            f"{path!r} had {size_bytes:,} bytes when the checkpoint was written, and now has {there:,}: "
            "rows of earlier epochs are missing.",
            stacklevel=2,
        )
    elif there > size_bytes:
        os.truncate(path, size_bytes)
