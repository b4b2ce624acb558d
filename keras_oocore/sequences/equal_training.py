"""Whether processes of torch train one model in `fit`, if the script averages their gradients and Keras does not.

Keras trains each process for itself. Equal gradients keep equal weights equal, as long as callbacks do the same in all
processes.
"""

import sys
from typing import Any

import keras

from keras_oocore.core.errors import OptionError
from keras_oocore.core.warn import warn_user
from keras_oocore.sequences.keras_call import KerasCall

STOPS = "one process would stop alone, and the others would wait for it forever"
DECIDES = {  # callbacks of Keras that change the training, and what would happen if they decide by other numbers
    keras.callbacks.EarlyStopping: STOPS,
    keras.callbacks.TerminateOnNaN: STOPS,
    keras.callbacks.ReduceLROnPlateau: "the processes would train with different learning rates",
}


def require_equal_training(call: KerasCall) -> None:
    """Check the processes of a call of `fit` in its build step and at the beginning of every epoch.

    Args:
        call: The call of `fit`.

    Raises:
        OptionError: If a callback decides by numbers of its process, or the weights differ before the first step.
    """
    _require_equal_decisions(call)
    if call.arguments["epoch"] is not None:  # in the build step, which one process may not need, do not talk
        _require_equal_weights(call.model)


def _require_equal_decisions(call: KerasCall) -> None:
    """Check that callbacks decide by numbers that are equal in all processes."""
    callbacks = call.arguments["callbacks"]
    if isinstance(callbacks, keras.callbacks.CallbackList):
        if type(callbacks) is not keras.callbacks.CallbackList:
            return  # that of `ko.fit_*` averages the logs
        callbacks = callbacks.callbacks
    for callback in keras.tree.flatten(callbacks):
        kind = type(callback)
        if kind in DECIDES and (number := _own_number(callback, call)) is not None:
            raise OptionError(
                f"`{kind.__name__}` would decide by {number}, and the processes have different ones: {DECIDES[kind]}. "
                "Use `ko.fit_resumable`, which gives callbacks the mean of all processes, or a callback before it that "
                'averages `logs`. The guide "Train on several processes" has one.'
            )
        if kind is keras.callbacks.LambdaCallback or not kind.__module__.startswith("keras.src."):
            return  # it may average the logs for those after it


def _own_number(callback: Any, call: KerasCall) -> str | None:
    """Return what a user calls the number that a callback decides by, or `None` if all processes have the same."""
    monitor = getattr(callback, "monitor", "loss")
    if not monitor.startswith("val_"):
        return f"the `{monitor}` of its own shard"
    if call.arguments["validation_data"] is not None and any(map(_has_own_statistics, call.model._flatten_layers())):
        return f"`{monitor}`, which depends on the moving statistics of `BatchNormalization`"
    return None


def _has_own_statistics(layer: Any) -> bool:
    """Whether a layer computes, in `fit`, statistics of the shard that it uses in the validation."""
    return isinstance(layer, keras.layers.BatchNormalization) and layer.trainable


def _require_equal_weights(model: keras.Model) -> None:
    """Check that the weights to train are equal in all processes. All processes call this at the same step."""
    distributed = sys.modules["torch"].distributed
    lowest = _fingerprint(model)
    distributed.all_reduce(lowest, distributed.ReduceOp.MIN)
    low, minus_high, num_steps = lowest.tolist()
    if low == -minus_high:
        return
    differ = f"The weights of the model differ between the {distributed.get_world_size()} processes"
    if num_steps == 0:
        raise OptionError(
            f"{differ}, before the first step. Equal gradients would not make them equal. Call "
            "`keras.utils.set_random_seed` with the same seed in all processes before you make the first layer, or "
            "load the same weights in all of them."
        )
    warn_user(
        f"{differ}, after {num_steps} steps: each trains a model of its own. Average the gradients of all weights, "
        "also of those that were made, loaded or unfrozen after the hooks, and use the same learning rate."
    )


def _fingerprint(model: keras.Model) -> Any:
    """Return a tensor of three integers: a sum over the bits of the weights, its negative, and the number of steps."""
    torch = sys.modules["torch"]
    integers = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    total = torch.zeros((), dtype=torch.int64)
    for number, variable in enumerate(model.trainable_variables, 1):
        value = variable.value.detach().contiguous()
        total = total.to(value.device) + number * value.view(integers[value.element_size()]).sum(dtype=torch.int64)
    steps = model.optimizer.iterations.value.to(total)
    return torch.stack([total, -total, steps])
