"""One `fit` for each partition of the data, as one training."""

import os
from collections.abc import Callable
from typing import Any

import keras

from keras_oocore.core.checks import positive
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.training.run import Stage
from keras_oocore.training.start import require_data, train


def fit_partitions(
    model: keras.Model | Callable[[], keras.Model],
    x: OutOfCoreSequence,
    n: int,
    epochs_per_partition: int = 1,
    passes: int = 1,
    checkpoint: str | os.PathLike | None = None,
    save_every_batches: int | None = None,
    keep: int = 2,
    validation_data: Any = None,
    callbacks: list | None = None,
    verbose="auto",
    **fit_options,
) -> keras.callbacks.History:
    """Train on one partition of the data after another, with one `fit` each, as one training.

    Epochs count on from partition to partition, and callbacks see one training: early stopping waits across partitions,
    and ends all of them. The history has a column `partition`.

    Args:
        model: as in `fit_resumable`.
        x: a Sequence of keras_oocore; `x.partition(n)` are its partitions.
        n: how many, at most the number of batches.
        epochs_per_partition: epochs on one before the next.
        passes: how often all of them come: `passes * n * epochs_per_partition` epochs in all.
        checkpoint: a directory for this training alone, to go on from after a kill, as in `fit_resumable`; `None` saves
            nothing.
        save_every_batches, keep, validation_data, callbacks, verbose, **fit_options: as in `fit_resumable`.

    Returns:
        The `keras.callbacks.History` of the whole training.

    Raises:
        OptionError: when there are fewer batches than partitions, or another argument cannot work.
        DataError, BusyError, DestinationError: as in `fit_resumable`.

    >>> import numpy as np
    >>> import keras_oocore as ko
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> numbers = ko.NpyManifestSequence(np.arange(8.0)[:, None] / 8, np.arange(8.0), batch_size=2, seed=1)
    >>> history = fit_partitions(model, numbers, n=2, passes=2, verbose=0)
    >>> history.epoch, history.history["partition"]
    ([0, 1, 2, 3], [0, 1, 0, 1])
    """
    require_data(x, validation_data)
    epochs, passes = positive(epochs_per_partition, "epochs_per_partition"), positive(passes, "passes")
    parts = x.partition(n)
    stages = [
        Stage(
            part,
            end_epoch=(number * len(parts) + index + 1) * epochs,
            validation_data=validation_data,
            note=("partition", index),
        )
        for number in range(passes)
        for index, part in enumerate(parts)
    ]
    return train("fit_partitions", model, stages, checkpoint, save_every_batches, keep, callbacks, verbose, fit_options)
