"""What callbacks remember, as plain values and back, and the rows of a `CSVLogger`'s file.

Keras's callbacks have no state to save: they start over in `on_train_begin`. Saved is every attribute that has changed
since then. Attributes that did not change keep the values passed to the constructor now.
"""

import contextlib
import enum
import os
import pathlib
import threading
import types
from collections import Counter
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_oocore.core.warn import warn_user
from keras_oocore.training.history import TrainingHistory
from keras_oocore.training.state.model import every_layer
from keras_oocore.training.state.plain_values import NotPlainError, from_plain, to_plain

LOG_BYTES = "bytes of the log"  # a key on disk that cannot be the name of an attribute
OWN_STATE = "own state"
OF_KERAS = ("_model", "params", "validation_data")
OF_A_FILE = ("csv_file", "writer", "append", "append_header")  # of a CSVLogger, which opens its file again
OF_A_MONITOR = ("min_delta",)  # Keras changes its sign once it knows the direction of the metric, as it will again
SETTINGS = (  # given to a callback, or made by it, and not state
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
# The history is saved separately.
WITHOUT_STATE = (keras.callbacks.History, TrainingHistory, keras.callbacks.ProgbarLogger)


class CallbackStates:
    """The states of a training's callbacks.

    Args:
        callbacks: The callbacks, in order.
    """

    def __init__(self, callbacks: list[keras.callbacks.Callback]):
        self.callbacks: dict[str, Any] = dict(_named(callbacks))
        self._initial = {}  # name -> attribute -> its plain value when the training began
        self._warned = set()

    def record_initial(self) -> None:
        """Record the attributes. Call this after `on_train_begin`."""
        self._initial = {
            name: {
                key: (plain, {place: array.copy() for place, array in arrays.items()})
                for key, (plain, arrays) in self.attributes(name).items()
            }
            for name in self.callbacks
        }

    def capture(self, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        """Return the states as plain JSON, and add their arrays to `arrays`. Warn once of what cannot be saved."""
        states = {}
        for name, callback in self.callbacks.items():
            if _saves_itself(callback):
                try:
                    states[name] = {OWN_STATE: to_plain(callback.state_dict(), arrays, f"callbacks.{name}")}
                except NotPlainError as error:
                    self._warn(name, error)
                continue
            initial, now = self._initial[name], self.attributes(name, warn=True)
            changed = {key: value for key, value in now.items() if key not in initial or not _same(initial[key], value)}
            states[name] = {key: plain for key, (plain, _) in changed.items()}
            for _, own_arrays in changed.values():
                arrays.update(own_arrays)
            if isinstance(callback, keras.callbacks.CSVLogger):
                with contextlib.suppress(OSError):  # the user may have moved the file away
                    states[name][LOG_BYTES] = os.path.getsize(callback.filename)
        return states

    @contextlib.contextmanager
    def logs_truncated(self, states: dict[str, Any]) -> Iterator[None]:
        """Run `on_train_begin` so that `CSVLogger` appends to the rows written before the checkpoint."""
        loggers = [
            (callback, callback.append, states[name][LOG_BYTES])
            for name, callback in self.callbacks.items()
            if LOG_BYTES in states.get(name, {})
        ]
        for logger, _, size_bytes in loggers:
            logger.append = True
            _truncate(logger.filename, size_bytes)
        yield
        for logger, append, _ in loggers:
            logger.append = append

    def restore(self, states: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Give the callbacks what they remembered. Call this after `on_train_begin` and `record_initial`.

        Attributes that had not changed get their initial values, because `on_epoch_begin` may have changed them since.
        """
        for name, callback in self.callbacks.items():
            state = states.get(name, {})
            if OWN_STATE in state and _saves_itself(callback):
                callback.load_state_dict(from_plain(state[OWN_STATE], _copies(arrays, f"callbacks.{name}")))
                continue
            saved = {key: (plain, arrays) for key, plain in state.items() if key not in (LOG_BYTES, OWN_STATE)}
            for key, (plain, own_arrays) in {**self._initial[name], **saved}.items():
                _set(callback, key, from_plain(plain, _copies(own_arrays, f"callbacks.{name}.{key}")))

    def attributes(self, name: str, warn: bool = False) -> dict[str, tuple[Any, dict[Any, Any]]]:
        """Return the attributes of a callback that can be saved: name → its value as plain JSON, and its arrays.

        Args:
            name: A key of `callbacks`.
            warn: Whether to warn of attributes that cannot be saved.
        """
        callback = self.callbacks[name]
        skipped = OF_KERAS + (OF_A_FILE if isinstance(callback, keras.callbacks.CSVLogger) else ())
        skipped += OF_A_MONITOR if hasattr(callback, "monitor_op") else ()
        attributes = {}
        for key, value in vars(callback).items():
            if key in skipped or _saves_itself(callback):
                continue
            arrays = {}
            try:
                attributes[key] = (to_plain(value, arrays, f"callbacks.{name}.{key}"), arrays)
            except NotPlainError as error:
                if warn and not isinstance(value, SETTINGS) and not _belongs_to_model(value, callback._model):
                    self._warn(name, error)
        return attributes

    def _warn(self, name: str, error: NotPlainError) -> None:
        """Warn of a callback whose state cannot be saved, once."""
        if name not in self._warned:
            self._warned.add(name)
            warn_user(
                f"The state of the callback {name} cannot be saved: {error} If the training resumes after a crash, "
                "that state starts over. Give the callback state_dict() and load_state_dict(state)."
            )


def _copies(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Return copies of a callback's arrays, which it may change in place."""
    return {name: array.copy() for name, array in arrays.items() if name.startswith(prefix)}


def _belongs_to_model(value: Any, model: keras.Model) -> bool:
    """Return whether a value is the model that is trained, or a part of it, which is saved with it."""
    return any(value is part for part in (model.optimizer, *model.metrics, *every_layer(model)))


def _set(callback, key: str, value: Any) -> None:
    """Set an attribute. Change a list or dictionary in place, because the code that passed it may read it too."""
    now = getattr(callback, key, None)
    if type(now) is type(value) is list:
        now[:] = value
    elif type(now) is type(value) is dict:
        now.clear()
        now.update(value)
    else:
        setattr(callback, key, value)


def _named(callbacks: list) -> Iterator[tuple[str, keras.callbacks.Callback]]:
    """Yield each callback that may have a state, by its class and a number, which are the same in the next run."""
    seen = Counter()
    for callback in callbacks:
        if type(callback) not in WITHOUT_STATE:
            name = type(callback).__name__
            seen[name] += 1
            yield (name if seen[name] == 1 else f"{name} {seen[name]}"), callback


def _saves_itself(callback) -> bool:
    return callable(getattr(callback, "state_dict", None)) and callable(getattr(callback, "load_state_dict", None))


def _same(left: tuple[Any, dict[str, Any]], right: tuple[Any, dict[str, Any]]) -> bool:
    """Return whether two plain values and their arrays are bit-identical."""
    (plain, arrays), (other_plain, other_arrays) = left, right
    return repr(plain) == repr(other_plain) and all(
        key in other_arrays
        and array.dtype == other_arrays[key].dtype
        and array.tobytes() == other_arrays[key].tobytes()
        for key, array in arrays.items()
    )


def _truncate(path: str, size_bytes: int) -> None:
    """Remove the rows that were written after the checkpoint. They will be written again."""
    now_bytes = os.path.getsize(path) if os.path.exists(path) else 0
    if now_bytes < size_bytes:
        warn_user(
            f"{path!r} had {size_bytes:,} bytes when the checkpoint was written, and now has {now_bytes:,}: "
            "rows of earlier epochs are missing."
        )
    elif now_bytes > size_bytes:
        os.truncate(path, size_bytes)
