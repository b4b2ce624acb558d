"""`fit_partitions`: one `fit` for each partition of the data, as one training."""

import os
from collections.abc import Callable
from typing import Unpack

import keras

from keras_oocore.core.checks import positive
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.training.arguments import TrainingArguments, with_training_arguments
from keras_oocore.training.stages import Stage
from keras_oocore.training.start import require_data, train


@with_training_arguments
def fit_partitions(
    model: keras.Model | Callable[[], keras.Model],
    x: OutOfCoreSequence,
    n: int,
    epochs_per_partition: int = 1,
    passes: int = 1,
    checkpoint: str | os.PathLike[str] | None = None,
    **arguments: Unpack[TrainingArguments],
) -> keras.callbacks.History:
    """Train on one partition of the data after another, with one `fit` each, as one training.

    Epochs count on from partition to partition, and callbacks see one training: the patience of early stopping
    continues across partitions, and early stopping ends all of them. The history has a column `partition`.

    Args:
        model: A compiled model, new or loaded, or a function without arguments that returns one. In that case, the
            model is `history.model`.
        x: A Sequence of keras_oocore. Its partitions are `x.partition(n)`.
        n: Number of partitions, at most the number of batches.
        epochs_per_partition: Number of epochs on one partition before the next.
        passes: Number of times to train on all partitions: `passes * n * epochs_per_partition` epochs in total.
        checkpoint: Directory for this training only, to resume it after a crash as `fit_resumable` does. `None` saves
            nothing.
        **arguments: Shared by the three functions.

    Returns:
        The `keras.callbacks.History` of the whole training.

    Raises:
        OptionError: If there are fewer batches than partitions, or another argument cannot work.
        DataError, BusyError, DestinationError: As in `fit_resumable`.

    >>> import numpy as np
    >>> import keras_oocore as ko
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> numbers = ko.ArraySequence(np.arange(8.0)[:, None] / 8, np.arange(8.0), batch_size=2, seed=1)
    >>> history = fit_partitions(model, numbers, n=2, passes=2, verbose=0)
    >>> history.epoch, history.history["partition"]
    ([0, 1, 2, 3], [0, 1, 0, 1])
    """
    validation_data = arguments.get("validation_data")
    require_data(x, validation_data)
    epochs, passes = positive(epochs_per_partition, "epochs_per_partition"), positive(passes, "passes")
    partitions = x.partition(n)
    stages = [
        Stage(
            partition,
            end_epoch=(number * len(partitions) + index + 1) * epochs,
            validation_data=validation_data,
            note=("partition", index),
        )
        for number in range(passes)
        for index, partition in enumerate(partitions)
    ]
    return train(fit_partitions, model, stages, checkpoint, arguments)
