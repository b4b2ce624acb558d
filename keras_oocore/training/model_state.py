"""All that training changes in a model, as arrays and back: variables of the model, its optimizer and its metrics.

It does not know where the arrays are kept. Variables are matched by their order, shapes and names; numbers that Keras
gives to names do not count, because they differ when a notebook builds the same model twice.
"""

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_oocore.errors import DataError, OptionError

AUTO_NUMBER = re.compile(r"_\d+(?=[/_]|$)")


def require_compiled(model: Any) -> None:
    """Raise when `model` is not a compiled Keras model.

    Raises:
        OptionError: which says what it is.
    """
    if not isinstance(model, keras.Model):
        raise OptionError(
            "`model` should be a Keras model, or a function without arguments that builds and compiles one. "
            f"Received: {model!r:.200}"
        )
    if not model.compiled:
        raise OptionError(f"Compile the model first: model.compile(...). Received: {model.name!r}, not compiled")


def ensure_built(model: keras.Model, batch: Callable[[], Any]) -> None:
    """Make the variables of a model and its optimizer, where the model has not seen a batch yet."""
    if not model.built:
        x, _, _ = keras.utils.unpack_x_y_sample_weight(batch())
        model(keras.tree.map_structure(keras.ops.convert_to_tensor, x))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def ensure_metrics(model: keras.Model, num_variables: int, batch: Callable[[], Any]) -> None:
    """Make the variables of the metrics, which TensorFlow does in the first step: by one, which `restore` undoes.

    JAX and torch make them before the first step of `fit` (Keras 3.15.1, `Trainer._symbolic_build`).
    """
    if keras.backend.backend() == "tensorflow" and len(model.metrics_variables) < num_variables:
        model.train_on_batch(*keras.utils.unpack_x_y_sample_weight(batch()))


def _groups(model: keras.Model) -> dict[str, list]:
    return {
        "model": model.variables,  # those of seed generators, as dropout has them, are among them
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }


def captured(model: keras.Model, with_metrics: bool) -> tuple[dict[str, list[str]], dict[str, np.ndarray]]:
    """The paths of all variables by group, and copies of their values."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()  # within an epoch, JAX keeps the values outside of the variables
    paths, arrays = {}, {}
    for group, variables in _groups(model).items():
        if group == "metrics" and not with_metrics:
            continue
        paths[group] = [variable.path for variable in variables]
        for number, variable in enumerate(variables):
            arrays[f"{group}/{number}"] = np.array(keras.ops.convert_to_numpy(variable))
    return paths, arrays


def restore(model: keras.Model, group: str, paths: list[str], arrays: dict[str, np.ndarray], whose: str) -> None:
    """Give the variables of a group the values that `captured` took.

    Raises:
        DataError: when they are not those of this model; it names the first that differs, and `whose` values they are.
    """
    variables = _groups(model)[group]
    values = [arrays[f"{group}/{number}"] for number in range(len(paths))]
    there = [(path, value.shape) for path, value in zip(paths, values)]
    here = [(variable.path, tuple(variable.shape)) for variable in variables]
    for number in range(max(len(there), len(here))):
        was, now = (described[number] if number < len(described) else None for described in (there, here))
        if was is None or now is None or was[1] != now[1] or _named(was[0]) != _named(now[0]):
            kind = {"model": "model", "optimizer": "optimizer", "metrics": "set of metrics"}[group]
            raise DataError(
                f"{whose} is of another {kind}: its variable {number} was {_shown(was)}, and is {_shown(now)}. "
                f"Build and compile the same model as then, or choose another directory."
            )
    for variable, value in zip(variables, values):
        variable.assign(value.astype(keras.backend.standardize_dtype(variable.dtype)))


def _named(path: str) -> str:
    return AUTO_NUMBER.sub("", path)


def _shown(described: tuple[str, tuple[int, ...]] | None) -> str:
    return "missing" if described is None else f"{described[0]!r} of shape {described[1]}"


class AveragedWeights:
    """What Keras puts averages in place of when a `fit` ends, with an optimizer of `use_ema=True`, put back.

    In a training of several fits that is due after the last (Keras 3.15.1: `Optimizer.finalize_variable_values`).
    """

    def __init__(self, model: keras.Model):
        self.model = model
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        self.values = [np.array(v) for v in map(keras.ops.convert_to_numpy, self._variables(optimizer))]

    def _variables(self, optimizer) -> list:
        return self.model.trainable_variables if getattr(optimizer, "use_ema", False) else []

    def put_back(self) -> None:
        """Give the variables their values from when this was made."""
        for variable, value in zip(self.model.trainable_variables, self.values):
            variable.assign(value)
