"""Checks that Sequences with a padded last batch are used for what the weights of their samples are made for."""

import warnings
from typing import Any

import keras

from keras_oocore.core.errors import OptionError
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.training.stages import Stage


def require_purpose(stage: Stage) -> None:
    """Check that the data of a stage have weights for training, and its validation data weights for evaluation.

    Raises:
        OptionError: If they have not.
    """
    if stage.data.cursor.last_batch == "pad_for_evaluation":
        raise OptionError(
            'The samples of `x` have weights for evaluation. Use last_batch="pad" for training. '
            'Received: last_batch="pad_for_evaluation"'
        )
    if _last_batch(stage.validation_data) == "pad":
        raise OptionError(
            "The samples of `validation_data` have weights for training, and `val_loss` would be wrong. Use "
            'last_batch="pad_for_evaluation". Received: last_batch="pad"'
        )


def require_exact_validation(model: keras.Model, stages: list[Stage], validation_steps: int | None) -> None:
    """Check that the padding of validation data changes neither `val_loss` nor a metric.

    Raises:
        OptionError: If the model has `metrics=`, which have no weights, or only some of the batches are evaluated.
    """
    padded = [stage.validation_data for stage in stages if _is_padded(stage.validation_data)]
    if not padded:
        return
    if validation_steps is not None:
        raise OptionError(
            'With last_batch="pad_for_evaluation", the weights of the samples are those of a whole pass. Remove '
            f"`validation_steps`. Received: validation_steps={validation_steps!r}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, about what it cannot save, such as a lambda
        metrics = model.get_compile_config().get("metrics")
    if any(metric is not None for metric in keras.tree.flatten(metrics)):
        raise OptionError(
            "`metrics=` of `compile` counts the samples that fill the last batch of `validation_data` several times. "
            'Compile the model with `weighted_metrics=` instead, or use last_batch="keep" for `validation_data`. '
            'Received: metrics=... and last_batch="pad_for_evaluation"'
        )
    for data in padded:
        data.cursor.metrics_are_checked()


def _last_batch(data: Any) -> str | None:
    return data.cursor.last_batch if isinstance(data, OutOfCoreSequence) else None


def _is_padded(data: Any) -> bool:
    return _last_batch(data) == "pad_for_evaluation" and data.num_samples % data.batch_size > 0
