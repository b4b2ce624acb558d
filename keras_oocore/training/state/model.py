"""All that training changes in a model, as arrays and back: variables of the model, its optimizer and its metrics.

It does not know where the arrays are kept. Variables are matched by their order, shapes and names; numbers that Keras
gives to names do not count, because they differ when a notebook builds the same model twice.
"""

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_oocore.core.errors import DataError, OptionError

FURTHER = "optimizer "  # begins the groups of optimizers that are attributes of the model
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
    """Make the variables of a model and its optimizer, where the model has not seen a batch yet.

    Raises:
        OptionError: when the model cannot be called on a batch.
    """
    if not all(layer.built for layer in every_layer(model)):
        x, _, _ = keras.utils.unpack_x_y_sample_weight(batch())
        try:
            model(keras.tree.map_structure(keras.ops.convert_to_tensor, x), training=False)
        except NotImplementedError as error:
            raise OptionError(
                f"The model {model.name!r} has no `call`, so that its weights cannot be made here. Build it first: "
                "call its layers once, and set model.built = True."
            ) from error
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def ensure_stepped(model: keras.Model, paths: dict[str, list[str]], batch: Callable[[], Any]) -> None:
    """Make the variables that only a first step makes: by one, which `restore` undoes.

    Those are of further optimizers, as a GAN has them, and on TensorFlow of metrics. JAX and torch make metrics before
    the first step of `fit` (Keras 3.15.1, `Trainer._symbolic_build`).

    Args:
        model: that is built.
        paths: the variables that are wanted, by group.
        batch: makes one.
    """
    groups = _groups(model)
    later = [group for group in groups if group.startswith(FURTHER)]
    if keras.backend.backend() == "tensorflow":
        later.append("metrics")
    if any(len(groups[group]) < len(paths.get(group, ())) for group in later):
        model.fit(_OneBatch(batch()), verbose=0)  # and not `train_on_batch`, whose batch always has three parts


def _groups(model: keras.Model) -> dict[str, list]:
    """The variables of a model by what they are of."""
    groups = {
        "model": model.variables,  # those of seed generators, as dropout has them, are among them
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
    """The model and all layers within, as Keras's own build step looks at them (private: `Layer._flatten_layers`)."""
    return list(model._flatten_layers()) if hasattr(model, "_flatten_layers") else [model, *model.layers]


def _buffers(model: keras.Model) -> dict[str, Any]:
    """What modules of torch within the model remember beside Keras's variables."""
    return {
        f"{number}/{name}": buffer
        for number, layer in enumerate(every_layer(model))
        if hasattr(layer, "named_buffers")
        for name, buffer in layer.named_buffers()
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
    for name, buffer in _buffers(model).items():
        arrays[f"buffers/{name}"] = np.array(keras.ops.convert_to_numpy(buffer))
    return paths, arrays


def require_same_variables(
    model: keras.Model, paths: dict[str, list[str]], arrays: dict[str, np.ndarray], whose: str
) -> None:
    """Raise when the variables that `captured` took are not those of this model.

    Raises:
        DataError: which names the first that differs, and `whose` values they are.
    """
    for group in paths:
        there = [(path, arrays[f"{group}/{number}"].shape) for number, path in enumerate(paths[group])]
        here = [(variable.path, tuple(variable.shape)) for variable in _groups(model).get(group, [])]
        _require_same(group, there, here, whose)


def _require_same(group: str, there: list[tuple], here: list[tuple], whose: str) -> None:
    by_role = group.startswith("optimizer")
    for number in range(max(len(there), len(here))):
        was, now = (described[number] if number < len(described) else None for described in (there, here))
        if was is None or now is None or was[1] != now[1] or _named(was[0], by_role) != _named(now[0], by_role):
            kind = {"model": "model", "metrics": "set of metrics"}.get(group, "optimizer")
            raise DataError(
                f"{whose} is of another {kind}: its variable {number} was {_shown(was)}, and is {_shown(now)}. "
                f"Build and compile the same model as then, or choose another directory."
            )


def restore(model: keras.Model, paths: dict[str, list[str]], arrays: dict[str, np.ndarray]) -> None:
    """Give the variables the values that `captured` took, once `require_same_variables` has found them to fit."""
    groups = _groups(model)
    for group in paths:
        for number, variable in enumerate(groups[group]):
            variable.assign(arrays[f"{group}/{number}"].astype(keras.backend.standardize_dtype(variable.dtype)))


def restore_buffers(model: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    """Give modules of torch what they remembered, where the model has them."""
    for name, buffer in _buffers(model).items():
        if arrays.get(f"buffers/{name}", np.empty(0)).shape == tuple(buffer.shape):
            buffer.copy_(keras.ops.convert_to_tensor(arrays[f"buffers/{name}"]))


def _named(path: str, of_optimizer: bool = False) -> tuple[str, str]:
    """What of a path says which variable it is: not the models around it, which differ once a model was loaded.

    >>> _named("sequential_4/backbone/dense_5/kernel"), _named("adam_1/backbone_dense_5_kernel_momentum", True)
    (('dense', 'kernel'), ('adam', 'momentum'))
    """
    *_, owner, name = ["", *AUTO_NUMBER.sub("", path).split("/")]
    return owner, name.rsplit("_", 1)[-1] if of_optimizer else name


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
