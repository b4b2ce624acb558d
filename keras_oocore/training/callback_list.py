"""Callbacks that see one training where there are several calls of `fit`: it begins once, ends once, steps count on."""

from contextlib import AbstractContextManager
from typing import Protocol

import keras


class Listener(Protocol):
    """Who is told of the training, each time after the callbacks, unless it says before."""

    def beginning(self) -> AbstractContextManager:
        """Around the callbacks' `on_train_begin`."""

    def before_epoch(self, epoch: int) -> int:
        """Called before the callbacks; how many of the epoch's batches were given to the model by an earlier call."""

    def epoch_begun(self) -> None:
        """Called after the callbacks."""

    def before_batch(self) -> None: ...

    def after_batch(self, step: int) -> None:
        """The model was given so many batches of the epoch."""

    def after_epoch(self, epoch: int) -> None: ...


class ContinuousCallbackList(keras.callbacks.CallbackList):
    """Passed to each `fit` as its callbacks; Keras takes a `CallbackList` as it is.

    Args:
        callbacks: the user's.
        model: that is trained.
        listener: who is told.
        verbose: as `fit` has it.
        epochs: of the whole training.
    """

    def __init__(self, callbacks, model: keras.Model, listener: Listener, verbose, epochs: int):
        super().__init__(
            callbacks,
            add_history=True,
            add_progbar=verbose != 0,
            model=model,
            verbose=verbose,
            epochs=epochs,
            steps=None,
        )
        self._listener = listener
        self.begun = False  # the training, whose callbacks are told once
        self._steps_before = 0  # of this epoch, in an earlier call of `fit`
        self.logs = None  # of the last epoch

    @property
    def history(self) -> keras.callbacks.History:
        """The history of the whole training."""
        return [callback for callback in self.callbacks if isinstance(callback, keras.callbacks.History)][-1]

    def on_train_begin(self, logs=None):
        if not self.begun:
            self.begun = True
            with self._listener.beginning():
                super().on_train_begin(logs)

    def on_train_end(self, logs=None):
        """Keras calls it after each `fit`; the training ends with `finish`."""

    def finish(self) -> None:
        """The training ends."""
        super().on_train_end(self.logs)

    def on_epoch_begin(self, epoch, logs=None):
        self._steps_before = self._listener.before_epoch(epoch)
        super().on_epoch_begin(epoch, logs)
        self._listener.epoch_begun()

    def on_train_batch_begin(self, batch, logs=None):
        self._listener.before_batch()
        super().on_train_batch_begin(batch + self._steps_before, logs)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch + self._steps_before, logs)
        self._listener.after_batch(batch + self._steps_before + 1)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.logs = logs
        self._listener.after_epoch(epoch)

    def wait(self) -> None:
        """Until every callback has been called, also those that Keras calls in a thread."""
        if self._async_train:
            self._flush_futures()
