"""Compiles a model again with another learning rate or other trainable layers. It knows no phases.

This needs private parts of Keras. Each use below says where they are defined in Keras 3.15.1, and what happens if they
are missing.
"""

import inspect
import math
from numbers import Real
from typing import Any

import keras

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import counted
from keras_oocore.training.state.optimizer import copy_state, unshare_averages

Schedule = keras.optimizers.schedules.LearningRateSchedule


def recompile(
    model: keras.Model,
    learning_rate: float | Schedule | None = None,
    keep_optimizer_state: bool = True,
    trainable_changed: bool = False,
) -> str:
    """Give a compiled model another learning rate, and adapt its optimizer to the layers that train now.

    Loss, metrics and everything else passed to `compile` are kept. The optimizer keeps its step count and its state
    (momentum, velocity, ...) for each weight that trained before and trains now. For a weight that starts to train, the
    state is new. With Adam, the first steps of that weight are up to three times as large as usual, because the step
    count continues.

    Args:
        model: A compiled model, which must also be built unless only a float rate changes.
        learning_rate: A float, a `LearningRateSchedule`, or `None` to keep the current rate.
        keep_optimizer_state: `False` starts with a new optimizer with the same settings.
        trainable_changed: Whether layers were frozen or unfrozen since `compile`.

    Returns:
        What happened, in words.

    Raises:
        OptionError: If the rate is not a learning rate, or the model cannot be compiled again.

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="head")])
    >>> model.compile("adam", "mse"); model.optimizer.build(model.trainable_variables)
    >>> recompile(model, 1e-5)
    'learning rate 1e-05; the optimizer keeps its state'
    >>> model.get_layer("head").trainable = False
    >>> recompile(model, trainable_changed=True)
    'learning rate 1e-05 as before; the optimizer keeps its state'
    >>> model.get_layer("head").trainable = True
    >>> recompile(model, keep_optimizer_state=False, trainable_changed=True)
    'learning rate 1e-05 as before; the optimizer starts over'
    """
    check_rate(learning_rate)
    old = _optimizer_of(model)
    if _only_rate(old, learning_rate) and keep_optimizer_state and not trainable_changed:
        if learning_rate is not None:
            old.learning_rate = learning_rate
        unshare_averages(old)
        return f"{_rate_in_words(old, learning_rate)}; the optimizer keeps its state"
    if not model.built:
        raise OptionError(
            "The model has no weights yet, so its optimizer cannot be created for them. Build it first: call it once "
            f"on a batch, or start it with keras.Input(shape). Received: the model {model.name!r}, not built"
        )
    _compile_again(model, _recreated(old, learning_rate))
    new = model.optimizer
    if not new.built:
        new.build(model.trainable_variables)
    rate = _rate_in_words(new, learning_rate)
    if not (keep_optimizer_state and old.built):
        return f"{rate}; the optimizer starts over"
    num_kept, num_new = copy_state(old, new, model.trainable_variables)
    if not num_new:
        return f"{rate}; the optimizer keeps its state"
    start = "starts" if num_new == 1 else "start"
    return f"{rate}; the optimizer keeps its state of {counted(num_kept, 'variable')}, {num_new:,} {start} over"


# The learning rate


def check_rate(rate: Any) -> None:
    """Raise an error unless this is a learning rate or `None`.

    Raises:
        OptionError: If it is neither.
    """
    number = isinstance(rate, Real) and not isinstance(rate, bool) and math.isfinite(rate) and rate >= 0
    if not (rate is None or number or isinstance(rate, Schedule)):
        raise OptionError(
            "`learning_rate` should be a number of 0 or more, a keras.optimizers.schedules.LearningRateSchedule, or "
            f"None to leave it as it is. Received: {rate!r}"
        )


def _has_plain_rate(optimizer: keras.optimizers.Optimizer) -> bool:
    return isinstance(optimizer.learning_rate, keras.Variable)


def _only_rate(optimizer: keras.optimizers.Optimizer, rate) -> bool:
    """Return whether the optimizer can stay as it is, apart from its rate."""
    return rate is None or (_has_plain_rate(optimizer) and not isinstance(rate, Schedule))


def _rate_in_words(optimizer: keras.optimizers.Optimizer, given) -> str:
    as_before = " as before" if given is None else ""
    if _has_plain_rate(optimizer):
        value = float(keras.ops.convert_to_numpy(optimizer.learning_rate)) if given is None else given
        return f"learning rate {float(value):g}{as_before}"
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    # Private: `learning_rate` of an optimizer with a schedule is its value at this step (base_optimizer.py).
    schedule = getattr(optimizer, "_learning_rate", None) if given is None else given
    return f"learning rate {'schedule' if schedule is None else type(schedule).__name__}{as_before}"


# The optimizer


def _optimizer_of(model: keras.Model) -> keras.optimizers.Optimizer:
    optimizer = getattr(model, "optimizer", None)
    if not getattr(model, "compiled", False) or not isinstance(optimizer, keras.optimizers.Optimizer):
        raise OptionError(
            "The model should be compiled, with an optimizer of Keras: model.compile(optimizer, loss). "
            f"Received: the model {model.name!r} with optimizer={optimizer!r}"
        )
    if getattr(optimizer, "learning_rate", None) is None:  # MultiOptimizer has none
        raise OptionError(
            "An optimizer without its own learning rate cannot be changed here: compile the model yourself, and call "
            f"fit for each phase. Received: {type(optimizer).__name__}"
        )
    return optimizer


def _recreated(optimizer: keras.optimizers.Optimizer, rate) -> keras.optimizers.Optimizer:
    """Return a new optimizer with the same settings, and another rate unless that is None."""
    inner = getattr(optimizer, "inner_optimizer", None)
    try:
        if inner is not None:  # LossScaleOptimizer of mixed precision: its config contains the inner one serialized
            names = ("initial_scale", "dynamic_growth_steps", "name")
            return type(optimizer)(_recreated(inner, rate), **{name: getattr(optimizer, name) for name in names})
        config = _config(optimizer)
        if rate is not None:
            config["learning_rate"] = rate if isinstance(rate, Schedule) else float(rate)
        new = type(optimizer).from_config(config)
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        raise OptionError(
            f"The optimizer cannot be created again from its settings ({error}). Give it a `get_config` that returns "
            f"every argument of its `__init__`. Received: {type(optimizer).__name__}"
        ) from error
    _copy_exclusions(optimizer, new)
    return new


def _config(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    """Return the settings of an optimizer, with a schedule as the object itself instead of serialized.

    Private: the schedule is in `_learning_rate` (base_optimizer.py), and `get_config` fails if the schedule has no
    `get_config`. Without that attribute, the schedule is serialized.
    """
    schedule = getattr(optimizer, "_learning_rate", None)
    if _has_plain_rate(optimizer) or schedule is None:
        return optimizer.get_config()
    optimizer._learning_rate = 0.5
    try:
        config = optimizer.get_config()
    finally:
        optimizer._learning_rate = schedule
    return {**config, "learning_rate": schedule}


def _copy_exclusions(old: keras.optimizers.Optimizer, new: keras.optimizers.Optimizer) -> None:
    """Copy `exclude_from_weight_decay`, which no config contains (private: base_optimizer.py)."""
    variables = getattr(old, "_exclude_from_weight_decay", None)
    pattern = getattr(old, "_exclude_from_weight_decay_pattern", None)
    if variables or pattern:
        new._exclude_from_weight_decay = set(variables or ())
        new._exclude_from_weight_decay_pattern = pattern


# Compiling again


def _compile_again(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Compile a model with another optimizer, and everything else as before.

    Private: `_compile_config.config` (trainers/trainer.py) contains the objects that were passed to `compile`, so a
    loss that is a closure is kept. Without it, or if a class has its own arguments of `compile` and overrides
    `compile_from_config`, the public `get_compile_config` and `compile_from_config` are used.
    """
    given = getattr(getattr(model, "_compile_config", None), "config", None)
    if given is None or (_own_arguments(model) and _overrides(model, "compile_from_config")):
        _compile_from_config(model, optimizer)
        return
    run_eagerly = model.run_eagerly  # may have been set after `compile`
    # Keras does not keep `auto_scale_loss`. An optimizer for mixed precision is already wrapped.
    options = {**given, "optimizer": optimizer, "run_eagerly": run_eagerly, "auto_scale_loss": False}
    options["jit_compile"] = given.get("jit_compile", "auto") if not run_eagerly else False
    if _overrides(model, "compile"):
        _compile_by_class(model, options)
    # Also if the class overrides `compile`: it may wrap the loss, and here the loss is already wrapped.
    keras.Model.compile(model, **options)


STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
KERAS_ARGUMENTS = tuple(inspect.signature(keras.Model.compile).parameters)  # `self` among them


def _overrides(model: keras.Model, method: str) -> bool:
    return getattr(type(model), method) is not getattr(keras.Model, method)


def _own_arguments(model: keras.Model) -> list[str]:
    """Return the arguments of the `compile` of a model's class that Keras's does not have."""
    own = inspect.signature(type(model).compile).parameters.values()
    return [p.name for p in own if p.kind not in STARRED and p.name not in KERAS_ARGUMENTS]


def _compile_by_class(model: keras.Model, options: dict[str, Any]) -> None:
    """Call the `compile` of a model's class, unless it has arguments that Keras's does not have."""
    remedy = (
        "Give the class a `get_compile_config` and a `compile_from_config`, or compile the model yourself and call fit "
        f"for each phase. Received: {type(model).__name__}"
    )
    if own := _own_arguments(model):
        names = ", ".join(f"`{name}`" for name in own)
        raise OptionError(f"The model's `compile` takes {names}, which Keras does not keep. {remedy}")
    parameters = inspect.signature(model.compile).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    try:
        model.compile(**{name: value for name, value in options.items() if anything or name in parameters})
    except (TypeError, ValueError) as error:
        raise OptionError(f"The model's `compile` cannot be called again ({error}). {remedy}") from error


def _compile_from_config(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Compile from the serialized configuration, as loading a saved model does."""
    old = model.optimizer
    config = dict(model.get_compile_config() or {})
    places = [name for name, value in config.items() if value is old] or ["optimizer"]
    config.update(dict.fromkeys(places, optimizer))
    serialize = keras.saving.serialize_keras_object
    try:
        model.compile_from_config({name: serialize(value) for name, value in config.items()})
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise OptionError(
            f"The model cannot be compiled again from its `get_compile_config` ({error}). Register its functions and "
            f"classes with @keras.saving.register_keras_serializable(). Received: {type(model).__name__}"
        ) from error
    if model.optimizer is old or type(model.optimizer) is not type(old):
        raise OptionError(
            "`compile_from_config` of the model did not give it a new optimizer. Let `get_compile_config` return the "
            f"optimizer and `compile_from_config` compile with it. Received: {type(model).__name__}"
        )
