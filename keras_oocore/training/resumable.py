"""`fit`, as a training that a kill does not end."""

import os
from collections.abc import Callable
from typing import Any

import keras

from keras_oocore.core.checks import positive
from keras_oocore.core.errors import OptionError
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.training.run import Stage
from keras_oocore.training.start import train


def fit_resumable(
    model: keras.Model | Callable[[], keras.Model],
    x: OutOfCoreSequence,
    epochs: int,
    checkpoint: str | os.PathLike,
    save_every_batches: int | None = None,
    keep: int = 2,
    validation_data: Any = None,
    callbacks: list | None = None,
    verbose="auto",
    **fit_options,
) -> keras.callbacks.History:
    """`model.fit`, saved on the way: run the same script again after a kill, and it goes on as if nothing had been.

    What comes back is the place in the data, also in the middle of an epoch, weights, optimizer, metrics, learning
    rate, history, the state of the callbacks (a `CSVLogger`'s file is cut back to the rows of then) and of the random
    generators. On CPU, with the same versions and as many threads, the training is then the same to the last bit as one
    that was never killed.

    It saves at the end of each epoch and, in a long one, every minute, but never more often than costs a twentieth of
    the time: of epochs of a second, not each has a checkpoint. SIGTERM, as a preempted machine gets it, and Ctrl-C stop
    the training after the batch, save it and end. The learning rate is the checkpoint's too; to change it, use a
    callback, or `ko.fit_phases`.

    Args:
        model: a compiled model, new or loaded; or a function without arguments that returns one: the model is then
            `history.model`.
        x: a Sequence of keras_oocore. Made with `seed=None`, it takes the seed of the checkpoint over.
        epochs: of the whole training. More than before goes on with a training that had ended.
        checkpoint: a directory for this training alone; an empty or new one begins it.
        save_every_batches: save after so many batches, and at the end of each epoch, whatever that costs.
        keep: how many checkpoints stay; the newest is used, an older one should that be damaged.
        validation_data: as `fit` has it.
        callbacks: as `fit` has them. What their attributes hold is saved where it is numbers, texts, arrays and lists
            of these; what is not is named in a warning, and what a function closes over is not seen. One with
            `state_dict()` and `load_state_dict(state)` saves itself.
        verbose: as `fit` has it; 0 prints nothing but that a signal came.
        **fit_options: others of `fit`: `steps_per_epoch`, `class_weight`, `validation_freq` and so on.

    Returns:
        The `keras.callbacks.History` of the whole training, from its first epoch.

    Raises:
        OptionError: when an argument cannot work, or fewer epochs are wanted than were done.
        DataError: when the checkpoint is of another model or of other data, or damaged; it says what differs.
        BusyError: when another training runs in the directory.
        DestinationError: when nothing can be written there.

    >>> import tempfile
    >>> import numpy as np
    >>> import keras_oocore as ko
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> numbers = ko.NpyManifestSequence(np.arange(8.0)[:, None] / 8, np.arange(8.0), batch_size=2)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     _ = fit_resumable(model, numbers, epochs=2, checkpoint=directory, verbose=0)
    ...     history = fit_resumable(model, numbers, epochs=3, checkpoint=directory, verbose=0)
    >>> history.epoch, len(history.history["loss"])
    ([0, 1, 2], 3)
    """
    if checkpoint is None:
        raise OptionError("`checkpoint` should be a directory, where the training is saved. Received: checkpoint=None")
    stages = [Stage(x, positive(epochs, "epochs"), validation_data=validation_data)]
    return train("fit_resumable", model, stages, checkpoint, save_every_batches, keep, callbacks, verbose, fit_options)
