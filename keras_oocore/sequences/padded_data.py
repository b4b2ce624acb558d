"""Checks that a padded last batch is used in the call of Keras that the weights of its samples are made for."""

import warnings
from typing import Any

import keras

from keras_oocore.core.errors import OptionError
from keras_oocore.sequences.keras_call import keras_call
from keras_oocore.sequences.position import Cursor


def require_right_call(data: Any) -> None:
    """Check the call of Keras that reads a Sequence, before its first step.

    Args:
        data: The Sequence.

    Raises:
        OptionError: If the weights of its samples, or those of the validation data, are made for something else.
    """
    call = keras_call()
    if call is None:
        return
    if call.method == "fit":
        validation_data = call.arguments["validation_data"]
        require_purpose(data, validation_data)
        require_exact(call.model, [validation_data], "validation_data", call.arguments["validation_steps"])
    elif call.method == "evaluate":
        _require_weights_of_evaluation(data, "the data to evaluate", "the loss")
        require_exact(call.model, [data], "the data to evaluate", call.arguments["steps"])


def require_purpose(x: Any, validation_data: Any) -> None:
    """Check that the data have weights for training, and the validation data weights for evaluation.

    Raises:
        OptionError: If they have not.
    """
    if _last_batch(x) == "pad_for_evaluation":
        raise OptionError(
            'The samples of `x` have weights for evaluation. Use last_batch="pad" for training. '
            'Received: last_batch="pad_for_evaluation"'
        )
    _require_weights_of_evaluation(validation_data, "`validation_data`", "`val_loss`")


def require_exact(model: keras.Model, data: list[Any], owner: str, num_steps: int | None) -> None:
    """Check that the padding of data to evaluate changes neither the loss nor a metric.

    Args:
        model: The model.
        data: The data to evaluate. Those that are not padded are ignored.
        owner: What a user calls the data.
        num_steps: The argument `validation_steps` or `steps`.

    Raises:
        OptionError: If the model has `metrics=`, which have no weights, or only some of the batches are evaluated.
    """
    if not any(map(_is_padded, data)):
        return
    owner, steps = (f"`{owner}`", "validation_steps") if owner == "validation_data" else (owner, "steps")
    if num_steps is not None:
        raise OptionError(
            'With last_batch="pad_for_evaluation", the weights of the samples are those of a whole pass. Remove '
            f"`{steps}`. Received: {steps}={num_steps!r}"
        )
    if _has_unweighted_metrics(model):
        raise OptionError(
            f"`metrics=` of `compile` counts the samples that fill the last batch of {owner} several times. "
            f'Compile the model with `weighted_metrics=` instead, or use last_batch="keep" for {owner}. '
            'Received: metrics=... and last_batch="pad_for_evaluation"'
        )


def _require_weights_of_evaluation(data: Any, owner: str, loss: str) -> None:
    if _last_batch(data) == "pad":
        raise OptionError(
            f"The samples of {owner} have weights for training, and {loss} would be wrong. Use "
            'last_batch="pad_for_evaluation". Received: last_batch="pad"'
        )


def _has_unweighted_metrics(model: keras.Model) -> bool:
    """Whether a model was compiled with `metrics=`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, about what it cannot save, such as a lambda
        config = model.get_compile_config() or {}
    return any(metric is not None for metric in keras.tree.flatten(config.get("metrics")))


def _last_batch(data: Any) -> str | None:
    cursor = getattr(data, "cursor", None)
    return cursor.last_batch if isinstance(cursor, Cursor) else None


def _is_padded(data: Any) -> bool:
    return _last_batch(data) == "pad_for_evaluation" and data.num_samples % data.batch_size > 0
