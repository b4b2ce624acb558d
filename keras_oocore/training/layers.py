"""Selects layers of a model by name or function, and freezes or unfreezes them. It knows no optimizers."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import did_you_mean

MAX_NAMES = 50  # names that an error message lists
Selector = str | Callable[[keras.layers.Layer], bool]


def set_trainable(
    model: keras.Model,
    freeze: Selector | list[Selector] | tuple[Selector, ...] | None = (),
    unfreeze: Selector | list[Selector] | tuple[Selector, ...] | None = (),
) -> None:
    """Freeze some layers of a model and unfreeze others. Layers that are not selected keep their setting.

    A string is `"all"`, or the name of a layer anywhere in the model (a nested model means all of its layers), or, if
    no layer has that name, a prefix of names (`"block1_"`). A function is called with each layer that is not a model.
    A layer with inner layers that is not a model (`Bidirectional`) is one layer. `freeze="all"` may have exceptions in
    `unfreeze`; otherwise no layer can be in both. Compile the model again afterwards: Keras decides at `compile` which
    weights train.

    Args:
        model: A model of any kind, with or without nested models.
        freeze: `None`, a string, a function `layer -> bool`, or a list of these.
        unfreeze: The same.

    Raises:
        OptionError: If something matches no layer, a layer is in both, or an argument is of another type.

    >>> model = keras.Sequential([keras.layers.Dense(8, name="body"), keras.layers.Dense(1, name="head")])
    >>> set_trainable(model, freeze="all", unfreeze="head")
    >>> [layer.trainable for layer in model.layers]
    [False, True]
    >>> set_trainable(model, unfreeze=lambda layer: layer.units == 8)
    >>> [layer.trainable for layer in model.layers]
    [True, True]
    """
    frozen, frozen_all = _select(model, freeze, "freeze")
    unfrozen, _ = _select(model, unfreeze, "unfreeze")
    both = [layer.name for layer in _nested_layers(model) if id(layer) in frozen & unfrozen]
    if both and (not frozen_all or id(model) in unfrozen):
        names = ", ".join(map(repr, both[:5])) + (", ..." if len(both) > 5 else "")
        raise OptionError(
            f"`freeze` and `unfreeze` both match {names}. Name each layer in one of them; only freeze='all' may have "
            f"exceptions in `unfreeze`. Received: freeze={freeze!r}, unfreeze={unfreeze!r}"
        )
    _apply(model, dict.fromkeys(frozen, False) | dict.fromkeys(unfrozen, True))


def trainable_flags(model: keras.Model) -> tuple[Any, ...]:
    """Return the `trainable` flags of all layers and weights, to compare with earlier flags.

    Layers without trainable weights count too: a frozen BatchNormalization does not update its statistics.

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> before = trainable_flags(model)
    >>> trainable_flags(model) == before
    True
    >>> set_trainable(model, freeze="all")
    >>> trainable_flags(model) == before
    False
    """
    layers = tuple(layer.trainable for layer in [model, *_nested_layers(model)])
    return layers, tuple(weight.trainable for weight in model.weights)


def trainable_summary(model: keras.Model) -> str:
    """Return how many layers and weights of a model train, in words. Layers without weights do not count.

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, name="body"), keras.layers.Dense(1)])
    >>> set_trainable(model, freeze="body")
    >>> trainable_summary(model)
    '1 of 2 layers train, 5 of 17 weights'
    """
    trained = {id(weight) for weight in model.trainable_weights}
    weights = [_own_weights(layer) for layer in [model, *_nested_layers(model)]]
    weights = [own for own in weights if own]
    num_trained = sum(any(id(weight) in trained for weight in own) for own in weights)
    return (
        f"{num_trained:,} of {len(weights):,} layers train, "
        f"{_size(model.trainable_weights):,} of {_size(model.weights):,} weights"
    )


def _size(weights: list[keras.Variable]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _inner(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return the layers of a model, or none for a layer that is not a model."""
    return list(layer.layers) if isinstance(layer, keras.Model) else []


def _own_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Return the weights of a layer, or those that a model added itself, outside its layers."""
    inner = {id(weight) for child in _inner(layer) for weight in child.weights}
    return [weight for weight in layer.weights if id(weight) not in inner]


def _walk(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in _inner(model):
        yield layer
        yield from _walk(layer)


def _nested_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return each layer and nested model in `model` once, with a model before its layers.

    A layer that two models share comes after both of them.
    """
    last_first = {id(layer): layer for layer in reversed(list(_walk(model)))}
    return list(last_first.values())[::-1]


def _select(model: keras.Model, selectors, argument: str) -> tuple[set[int], bool]:
    """Return the ids of the layers that an argument selects, and whether it contains "all"."""
    selectors = () if selectors is None else selectors
    selectors = list(selectors) if isinstance(selectors, (list, tuple)) else [selectors]
    layers = [layer for selector in selectors for layer in _matches(model, selector, argument)]
    below = [inner for layer in layers if _inner(layer) for inner in _walk(layer)]
    has_all = any(isinstance(selector, str) and selector == "all" for selector in selectors)
    return {id(layer) for layer in layers + below}, has_all


def layer_flags(model: keras.Model) -> list[bool]:
    """Return the `trainable` flag of each layer, in the model's order."""
    return [bool(layer.trainable) for layer in _nested_layers(model)]


def set_layer_flags(model: keras.Model, flags: list[bool]) -> bool:
    """Give each layer the flag that `layer_flags` returned, and return whether any flag changed."""
    pairs = [pair for pair in zip(_nested_layers(model), flags) if not _inner(pair[0])]
    changed = {id(layer): flag for layer, flag in pairs if bool(layer.trainable) != flag}
    _apply(model, changed)
    return bool(changed)


def _matches(model: keras.Model, selector: Selector, argument: str) -> list[keras.layers.Layer]:
    layers = _nested_layers(model)
    if isinstance(selector, str):
        if selector == "all":
            return [model, *layers]
        found = [layer for layer in layers if layer.name == selector]
        found = found or [layer for layer in layers if selector and layer.name.startswith(selector)]
    elif callable(selector) and not isinstance(selector, (type, keras.layers.Layer)):
        # Not called with nested models: `not isinstance(layer, BatchNormalization)` would be true for them, and select
        # all of their layers, including BatchNormalization.
        found = [layer for layer in layers if not _inner(layer) and selector(layer)]
    else:
        raise OptionError(
            f"`{argument}` should be the name of a layer, a prefix of names, a function of a layer, or a list of "
            f"these. Received: {selector!r}"
        )
    if not found:
        near = did_you_mean(selector, [layer.name for layer in layers]) if isinstance(selector, str) else ""
        listed, _ = _listed(_inner(model), MAX_NAMES)
        raise OptionError(f"`{argument}` matches no layer: {selector!r}. The layers are: {listed}.{near}")
    return found


def _listed(layers: list[keras.layers.Layer], room: int) -> tuple[str, int]:
    """Return the names of layers and their inner layers, and how many more names there is room for.

    >>> _listed([keras.layers.Dense(1, name=name) for name in "abcd"], 2)
    ("'a', 'b', ... (2 more)", 0)
    """
    shown, parts = layers[:room], []
    room -= len(shown)
    for layer in shown:
        inner, part = _inner(layer), repr(layer.name)
        if inner and room:
            text, room = _listed(inner, room)
            part += f" (with {text})"
        elif inner:
            part += f" ({len(inner)} inside)"
        parts.append(part)
    if len(layers) > len(shown):
        parts.append(f"... ({len(layers) - len(shown)} more)")
    return ", ".join(parts), room


def _apply(model: keras.Model, wanted: dict[int, bool]) -> None:
    """Set the flags of the layers in `wanted` (id → flag), and those of the models that contain them.

    Two quirks of Keras 3.15.1 (`keras/src/layers/layer.py`): setting `trainable` on a model sets it on all of its
    layers, and `trainable_variables` of the outermost model reads its own flag and that of each weight, so a layer
    trains inside a nested model whose flag is False. We keep both flags consistent, because loading a saved model sets
    the nested model's flag on all of its layers. Therefore models are set first, from the outside in, then their
    layers. Only flags that change are set, because a layer may contain weights or layers that were frozen separately.
    """
    if not wanted:
        return
    if not model.trainable:  # nothing trains in this case, whatever the inner flags are
        _push(model, False)
    layers = _nested_layers(model)
    models = [model, *(layer for layer in layers if _inner(layer))]
    single = [layer for layer in layers if not _inner(layer)]
    own = {id(layer): _own_weights(layer) for layer in models}
    kept = [(w, w.trainable and id(layer) not in wanted) for layer in models for w in own[id(layer)]]

    flags = {id(layer): wanted.get(id(layer), layer.trainable) for layer in single}
    for layer in reversed(models):
        own_trains = own[id(layer)] and wanted.get(id(layer), any(w.trainable for w in own[id(layer)]))
        flags[id(layer)] = any(flags[id(inner)] for inner in _inner(layer)) or bool(own_trains)

    for layer in models:
        _set(layer, flags, wanted)
    unfrozen = {id(w) for layer in models if wanted.get(id(layer)) for w in own[id(layer)]}
    for weight, flag in kept:
        if id(weight) not in unfrozen:
            weight.trainable = flag
    for layer in single:
        _set(layer, flags, wanted)


def _set(layer: keras.layers.Layer, flags: dict[int, bool], wanted: dict[int, bool]) -> None:
    if id(layer) in wanted or layer.trainable != flags[id(layer)]:
        _push(layer, flags[id(layer)])


def _push(layer: keras.layers.Layer, flag: bool) -> None:
    """Set a flag on a layer and everything in it.

    On TensorFlow, Keras 3.15.1 skips a flag that already has the value, and with it everything in the layer
    (`keras/src/backend/tensorflow/trackable.py`).
    """
    layer.trainable = not flag
    layer.trainable = flag
