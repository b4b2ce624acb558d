"""`fit_resumable`: `fit`, as a training that resumes after a kill."""

import os
from collections.abc import Callable
from typing import Unpack

import keras

from keras_oocore.core.checks import positive
from keras_oocore.core.errors import OptionError
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.training.arguments import TrainingArguments, with_training_arguments
from keras_oocore.training.stages import Stage
from keras_oocore.training.start import train


@with_training_arguments
def fit_resumable(
    model: keras.Model | Callable[[], keras.Model],
    x: OutOfCoreSequence,
    epochs: int,
    checkpoint: str | os.PathLike[str],
    **arguments: Unpack[TrainingArguments],
) -> keras.callbacks.History:
    """Train like `model.fit`, and save the training: run the same script again after a crash, and it resumes.

    A checkpoint contains the position in the data (also within an epoch), weights, optimizer, metrics, learning rate,
    history, and the state of the callbacks and of the random generators. The file of a `CSVLogger` is truncated to the
    rows written before the checkpoint. On CPU, with the same versions and number of threads, the result is
    bit-identical to that of a training that was never interrupted.

    Checkpoints are written at the end of each epoch and, in a long epoch, every minute, but never so often that saving
    takes more than a twentieth of the time: not every epoch of one second gets a checkpoint. SIGTERM, which a
    preempted machine receives, and Ctrl-C stop the training after the current batch, save it and exit. The learning
    rate is restored too; to change it, use a callback or `ko.fit_phases`.

    On several processes, pass the `shard()` of each, and one directory. Process 0 writes, all processes start with its
    state, and a signal to one of them stops all after the same batch. The training can resume on any other number of
    processes. See the guide "Train on several processes".

    Options of the data that changed since the checkpoint, such as `transform` or `class_weight`, are named in a
    warning, and the training continues with them. Other samples, another `batch_size`, `shuffle` or `last_batch` are an
    error.

    Args:
        model: A compiled model, new or loaded, or a function without arguments that returns one. In that case, the
            model is `history.model`.
        x: A Sequence of keras_oocore. If it was made with `seed=None`, it adopts the seed in the checkpoint.
        epochs: Number of epochs of the whole training. More epochs than before continue a training that had ended.
        checkpoint: Directory for this training only. An empty or new directory starts a training. Of several
            processes, the first reads and writes it.
        **arguments: Shared by the three functions.

    Returns:
        The `keras.callbacks.History` of the whole training, from its first epoch.

    Raises:
        OptionError: If an argument cannot work, more epochs are done than `epochs`, or this is one of several processes
            and the data are not its shard.
        DataError: If the checkpoint belongs to another model or other data, or is damaged. The message says what
            differs.
        BusyError: If another training is running in the directory.
        DestinationError: If the directory cannot be written to.

    >>> import tempfile
    >>> import numpy as np
    >>> import keras_oocore as ko
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> numbers = ko.ArraySequence(np.arange(8.0)[:, None] / 8, np.arange(8.0), batch_size=2)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     _ = fit_resumable(model, numbers, epochs=2, checkpoint=directory, verbose=0)
    ...     history = fit_resumable(model, numbers, epochs=3, checkpoint=directory, verbose=0)
    >>> history.epoch, len(history.history["loss"])
    ([0, 1, 2], 3)
    """
    if checkpoint is None:
        raise OptionError("`checkpoint` should be a directory to save the training in. Received: checkpoint=None")
    stages = [Stage(x, positive(epochs, "epochs"), validation_data=arguments.get("validation_data"))]
    return train(fit_resumable, model, stages, checkpoint, arguments)
