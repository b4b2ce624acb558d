"""Everything that training changes in a model, as arrays and back: variables of the model, optimizer and metrics.

This module does not know where the arrays are stored. Variables are matched by their order, shapes and names. Numbers
that Keras adds to names are ignored, because they differ when a notebook builds the same model twice.
"""

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_oocore.core.errors import DataError, OptionError

FURTHER = "optimizer "  # prefix of the groups of optimizers that are attributes of the model
AUTO_NUMBER = re.compile(r"_\d+(?=[/_]|$)")


def require_compiled(model: Any) -> None:
    """Raise an error unless `model` is a compiled Keras model.

    Raises:
        OptionError: If it is not a model, or not compiled.
    """
    if not isinstance(model, keras.Model):
        raise OptionError(
            "`model` should be a Keras model, or a function without arguments that builds and compiles one. "
            f"Received: {model!r:.200}"
        )
    if not model.compiled:
        raise OptionError(f"Compile the model first: model.compile(...). Received: {model.name!r}, not compiled")


def ensure_built(model: keras.Model, batch: Callable[[], Any]) -> None:
    """Create the variables of a model and its optimizer, if the model has not seen a batch yet.

    Raises:
        OptionError: If the model cannot be called on a batch.
    """
    if not all(layer.built for layer in every_layer(model)):
        x, _, _ = keras.utils.unpack_x_y_sample_weight(batch())
        try:
            model(keras.tree.map_structure(keras.ops.convert_to_tensor, x), training=False)
        except NotImplementedError as error:
            raise OptionError(
                f"The model {model.name!r} has no `call`, so its weights cannot be created here. Build it first: call "
                "its layers once, and set model.built = True."
            ) from error
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def ensure_stepped(model: keras.Model, paths: dict[str, list[str]], batch: Callable[[], Any]) -> None:
    """Create the variables that only a first step creates, by a step which `restore` undoes.

    These belong to further optimizers, as a GAN has them, and on TensorFlow to metrics. JAX and torch create metrics
    before the first step of `fit` (Keras 3.15.1, `Trainer._symbolic_build`).

    Args:
        model: A built model.
        paths: The variables that are needed, by group.
        batch: Returns a batch.
    """
    groups = _groups(model)
    later = [group for group in groups if group.startswith(FURTHER)]
    if keras.backend.backend() == "tensorflow":
        later.append("metrics")
    if any(len(groups[group]) < len(paths.get(group, ())) for group in later):
        model.fit(_OneBatch(batch()), verbose=0)  # not `train_on_batch`, whose batch always has three parts


def _groups(model: keras.Model) -> dict[str, list]:
    """Return the variables of a model by the object they belong to."""
    groups = {
        "model": model.variables,  # includes those of seed generators, which dropout has
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }
    inner = getattr(model.optimizer, "inner_optimizer", None)
    for name, value in vars(model).items():
        if isinstance(value, keras.optimizers.Optimizer) and value is not model.optimizer and value is not inner:
            groups[f"{FURTHER}{name}"] = value.variables
    return groups


class _OneBatch(keras.utils.PyDataset):
    """A dataset of one batch."""

    def __init__(self, batch: Any):
        super().__init__()
        self._batch = batch

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        return self._batch


def every_layer(model: keras.Model) -> list[keras.Layer]:
    """Return the model and all layers in it, as Keras's build step sees them (private: `Layer._flatten_layers`)."""
    return list(model._flatten_layers()) if hasattr(model, "_flatten_layers") else [model, *model.layers]


def _buffers(model: keras.Model) -> dict[str, Any]:
    """Return what torch modules in the model remember in addition to Keras's variables."""
    return {
        f"{number}/{name}": buffer
        for number, layer in enumerate(every_layer(model))
        if hasattr(layer, "named_buffers")
        for name, buffer in layer.named_buffers()
    }


def capture(model: keras.Model, with_metrics: bool) -> tuple[dict[str, list[str]], dict[str, np.ndarray]]:
    """Return the paths of all variables by group, and copies of their values."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()  # within an epoch, JAX keeps the values outside of the variables
    paths, arrays = {}, {}
    for group, variables in _groups(model).items():
        if group == "metrics" and not with_metrics:
            continue
        paths[group] = [variable.path for variable in variables]
        for number, variable in enumerate(variables):
            arrays[f"{group}/{number}"] = np.array(keras.ops.convert_to_numpy(variable))
    for name, buffer in _buffers(model).items():
        arrays[f"buffers/{name}"] = np.array(keras.ops.convert_to_numpy(buffer))
    return paths, arrays


def require_same_variables(
    model: keras.Model, paths: dict[str, list[str]], arrays: dict[str, np.ndarray], owner: str
) -> None:
    """Raise an error if captured variables belong to another model.

    Args:
        model: The model.
        paths: The paths that `capture` returned.
        arrays: The values that `capture` returned.
        owner: What the captured values belong to, for the message.

    Raises:
        DataError: If a variable differs. The message names the first one.
    """
    groups = _groups(model)
    for group in paths:
        before = [(path, arrays[f"{group}/{number}"].shape) for number, path in enumerate(paths[group])]
        now = [(variable.path, tuple(variable.shape)) for variable in groups.get(group, [])]
        _require_same(group, before, now, owner)


def _require_same(group: str, before: list[tuple], now: list[tuple], owner: str) -> None:
    is_optimizer = group.startswith("optimizer")
    for number in range(max(len(before), len(now))):
        was, is_now = (variables[number] if number < len(variables) else None for variables in (before, now))
        if (
            was is None
            or is_now is None
            or was[1] != is_now[1]
            or _identity(was[0], is_optimizer) != _identity(is_now[0], is_optimizer)
        ):
            kind = {"model": "model", "metrics": "set of metrics"}.get(group, "optimizer")
            raise DataError(
                f"{owner} belongs to another {kind}: its variable {number} was {_in_words(was)}, and is "
                f"{_in_words(is_now)}. Build and compile the same model as before, or choose another directory."
            )


def restore(model: keras.Model, paths: dict[str, list[str]], arrays: dict[str, np.ndarray]) -> None:
    """Give the variables captured values, which `require_same_variables` has checked."""
    groups = _groups(model)
    for group in paths:
        for number, variable in enumerate(groups[group]):
            variable.assign(arrays[f"{group}/{number}"].astype(keras.backend.standardize_dtype(variable.dtype)))


def restore_buffers(model: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    """Give torch modules what they remembered, where the model has them."""
    for name, buffer in _buffers(model).items():
        if arrays.get(f"buffers/{name}", np.empty(0)).shape == tuple(buffer.shape):
            buffer.copy_(keras.ops.convert_to_tensor(arrays[f"buffers/{name}"]))


def _identity(path: str, is_optimizer: bool = False) -> tuple[str, str]:
    """Return the part of a path that identifies a variable, without the models around it, which change on loading.

    >>> _identity("sequential_4/backbone/dense_5/kernel"), _identity("adam_1/backbone_dense_5_kernel_momentum", True)
    (('dense', 'kernel'), ('adam', 'momentum'))
    """
    *_, owner, name = ["", *AUTO_NUMBER.sub("", path).split("/")]
    return owner, name.rsplit("_", 1)[-1] if is_optimizer else name


def _in_words(variable: tuple[str, tuple[int, ...]] | None) -> str:
    return "missing" if variable is None else f"{variable[0]!r} of shape {variable[1]}"


class AveragedWeights:
    """The weights that Keras overwrites with averages when a `fit` ends, for an optimizer with `use_ema=True`.

    In a training of several fits this should happen after the last (Keras 3.15.1:
    `Optimizer.finalize_variable_values`).
    """

    def __init__(self, model: keras.Model):
        self.model = model
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        variables = model.trainable_variables if getattr(optimizer, "use_ema", False) else []
        self.values: list[np.ndarray] = [np.array(value) for value in map(keras.ops.convert_to_numpy, variables)]

    def put_back(self) -> None:
        """Give the variables the values that they had when this object was made."""
        for variable, value in zip(self.model.trainable_variables, self.values):
            variable.assign(value)
