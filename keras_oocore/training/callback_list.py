"""Callbacks that see one training across several calls of `fit`: it begins once, ends once, and steps count on."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

import keras

from keras_oocore.training.history import TrainingHistory


class Listener(Protocol):
    """The object that is told about the training. Its methods are called after the callbacks unless they say before."""

    def around_train_begin(self) -> AbstractContextManager[object]:
        """Return a context manager to run the callbacks' `on_train_begin` in."""

    def before_epoch_begin(self) -> int:
        """Called before the callbacks. Returns the batches of the epoch that an earlier call of `fit` trained on."""

    def after_epoch_begin(self) -> None: ...

    def before_batch(self) -> None:
        """Called before the callbacks."""

    def after_batch(self, step: int) -> None:
        """Called when the model was given `step` batches of the epoch."""

    def before_epoch_end(self, logs: dict[str, Any] | None) -> dict[str, Any]:
        """Called before the callbacks. Returns the logs to give them."""

    def after_epoch(self) -> None: ...


if TYPE_CHECKING:

    class CallbackList:
        """What type checkers know of `keras.callbacks.CallbackList`, because Keras has no types."""

        callbacks: list[Any]

        def __init__(self, callbacks: Any = None, **options: Any) -> None: ...
        def on_train_begin(self, logs: dict[str, Any] | None = None) -> None: ...
        def on_train_end(self, logs: dict[str, Any] | None = None) -> None: ...
        def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None: ...
        def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...
        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...
        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None: ...

else:
    CallbackList = keras.callbacks.CallbackList


class ContinuousCallbackList(CallbackList):
    """The callbacks of one training, to pass to each call of `fit`. Keras uses a `CallbackList` as it is.

    Args:
        callbacks: The user's callbacks.
        model: The model that is trained.
        listener: The object that is told about the training.
        verbose: The argument of `fit`.
        epochs: Number of epochs of the whole training.
    """

    def __init__(self, callbacks: Any, model: keras.Model, listener: Listener, verbose: str | int, epochs: int):
        has_history = any(isinstance(callback, keras.callbacks.History) for callback in callbacks)
        super().__init__(
            callbacks if has_history else [*callbacks, TrainingHistory()],
            add_history=False,
            add_progbar=verbose != 0,
            model=model,
            verbose=verbose,
            epochs=epochs,
            steps=None,
        )
        self._listener = listener
        self.begun = False  # whether the callbacks were told that the training begins
        self._steps_before = 0  # batches of this epoch in an earlier call of `fit`
        self.logs: dict[str, Any] | None = None  # logs of the last epoch

    @property
    def history(self) -> keras.callbacks.History:
        """The history of the whole training."""
        return [callback for callback in self.callbacks if isinstance(callback, keras.callbacks.History)][-1]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self.begun:
            self.begun: bool = True
            with self._listener.around_train_begin():
                super().on_train_begin(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Do nothing. Keras calls this after each `fit`; the training ends with `finish`."""

    def finish(self) -> None:
        """Tell the callbacks that the training has ended."""
        super().on_train_end(self.logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._steps_before = self._listener.before_epoch_begin()
        super().on_epoch_begin(epoch, logs)
        self._listener.after_epoch_begin()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._listener.before_batch()
        super().on_train_batch_begin(batch + self._steps_before, logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_train_batch_end(batch + self._steps_before, logs)
        self._listener.after_batch(batch + self._steps_before + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = self._listener.before_epoch_end(logs)
        super().on_epoch_end(epoch, logs)
        self.logs = logs
        self._listener.after_epoch()

    def wait(self) -> None:
        """Wait until every callback has been called, including those that Keras calls in a thread."""
        if self._async_train:  # private: `CallbackList` (keras/src/callbacks/callback_list.py, 3.15.1)
            self._flush_futures()
