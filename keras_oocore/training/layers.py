"""Which layers of a model are meant, and which of them train; it knows neither optimizers nor how training goes."""

import math
from collections.abc import Callable, Iterator

import keras

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import did_you_mean

MAX_NAMES = 50  # that an error message lists
Chosen = str | Callable[[keras.layers.Layer], bool]


def set_trainable(
    model: keras.Model,
    freeze: Chosen | list[Chosen] | tuple[Chosen, ...] | None = (),
    unfreeze: Chosen | list[Chosen] | tuple[Chosen, ...] | None = (),
) -> None:
    """Freeze some layers of a model and let others train; layers that are not named stay as they are.

    A text is `"all"`; or the name of a layer anywhere in the model, a nested model standing for all that it holds;
    or, when no layer has that name, the beginning of names (`"block1_"`). A function is asked about each layer that is
    no model. A layer that holds layers and is no model (`Bidirectional`) is one layer. `freeze="all"` may be followed
    by exceptions in `unfreeze`; otherwise no layer can be in both. Compile the model again afterwards: Keras decides at
    `compile` what trains.

    Args:
        model: a model of any kind, with models nested in it or not.
        freeze: None, a text, a function `layer -> bool`, or a list of these.
        unfreeze: the same.

    Raises:
        OptionError: when something matches no layer, when a layer is in both, or when an argument is of another type.

    >>> model = keras.Sequential([keras.layers.Dense(8, name="body"), keras.layers.Dense(1, name="head")])
    >>> set_trainable(model, freeze="all", unfreeze="head")
    >>> [layer.trainable for layer in model.layers]
    [False, True]
    >>> set_trainable(model, unfreeze=lambda layer: layer.units == 8)
    >>> [layer.trainable for layer in model.layers]
    [True, True]
    """
    frozen, frozen_all = _meant(model, freeze, "freeze")
    thawed, _ = _meant(model, unfreeze, "unfreeze")
    both = [layer.name for layer in _every(model) if id(layer) in frozen & thawed]
    if both and (not frozen_all or id(model) in thawed):
        names = ", ".join(map(repr, both[:5])) + (", ..." if len(both) > 5 else "")
        raise OptionError(
            f"`freeze` and `unfreeze` both match {names}. Name each layer in one of them; only freeze='all' may be "
            f"followed by exceptions in `unfreeze`. Received: freeze={freeze!r}, unfreeze={unfreeze!r}"
        )
    _apply(model, dict.fromkeys(frozen, False) | dict.fromkeys(thawed, True))


def trainable_flags(model: keras.Model) -> tuple:
    """What is trained now, to be compared with what was trained before.

    A layer without weights that train counts too: a frozen BatchNormalization no longer moves its statistics.

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> before = trainable_flags(model)
    >>> trainable_flags(model) == before
    True
    >>> set_trainable(model, freeze="all")
    >>> trainable_flags(model) == before
    False
    """
    layers = tuple(layer.trainable for layer in [model, *_every(model)])
    return layers, tuple(weight.trainable for weight in model.weights)


def described(model: keras.Model) -> str:
    """How many of a model's layers and weights train, in words; layers without weights do not count.

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, name="body"), keras.layers.Dense(1)])
    >>> set_trainable(model, freeze="body")
    >>> described(model)
    '1 of 2 layers train, 5 of 17 weights'
    """
    trained = {id(weight) for weight in model.trainable_weights}
    weights = [_own_weights(layer) for layer in [model, *_every(model)]]
    weights = [own for own in weights if own]
    num_trained = sum(any(id(weight) in trained for weight in own) for own in weights)
    return (
        f"{num_trained:,} of {len(weights):,} layers train, "
        f"{_num_numbers(model.trainable_weights):,} of {_num_numbers(model.weights):,} weights"
    )


def _num_numbers(weights: list[keras.Variable]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _inner(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers of a model, none for a layer that is no model."""
    return list(layer.layers) if isinstance(layer, keras.Model) else []


def _own_weights(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The weights of a layer; of a model those which it added itself, outside its layers."""
    inner = {id(weight) for child in _inner(layer) for weight in child.weights}
    return [weight for weight in layer.weights if id(weight) not in inner]


def _walk(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in _inner(model):
        yield layer
        yield from _walk(layer)


def _every(model: keras.Model) -> list[keras.layers.Layer]:
    """Each layer and nested model below `model` once, a model before all that it holds.

    A layer shared by two models counts where it comes last, so that it comes after both.
    """
    last_first = {id(layer): layer for layer in reversed(list(_walk(model)))}
    return list(last_first.values())[::-1]


def _meant(model: keras.Model, chosen, argument: str) -> tuple[set[int], bool]:
    """The ids of the layers that an argument means, and whether "all" is in it."""
    chosen = () if chosen is None else chosen
    chosen = list(chosen) if isinstance(chosen, (list, tuple)) else [chosen]
    layers = [layer for one in chosen for layer in _matches(model, one, argument)]
    below = [inner for layer in layers if _inner(layer) for inner in _walk(layer)]
    return {id(layer) for layer in layers + below}, any(isinstance(one, str) and one == "all" for one in chosen)


def flags(model: keras.Model) -> list[bool]:
    """Whether each layer trains, in the order of the model's."""
    return [bool(layer.trainable) for layer in _every(model)]


def set_flags(model: keras.Model, flags_then: list[bool]) -> bool:
    """Give each layer the flag that `flags` had of it; whether any had another."""
    pairs = [pair for pair in zip(_every(model), flags_then) if not _inner(pair[0])]
    other = {id(layer): flag for layer, flag in pairs if bool(layer.trainable) != flag}
    _apply(model, other)
    return bool(other)


def _matches(model: keras.Model, one: Chosen, argument: str) -> list[keras.layers.Layer]:
    layers = _every(model)
    if isinstance(one, str):
        if one == "all":
            return [model, *layers]
        found = [layer for layer in layers if layer.name == one]
        found = found or [layer for layer in layers if one and layer.name.startswith(one)]
    elif callable(one) and not isinstance(one, (type, keras.layers.Layer)):
        # Nested models are not asked: `not isinstance(layer, BatchNormalization)` would be true of them, and mean all
        # that they hold, BatchNormalization as well.
        found = [layer for layer in layers if not _inner(layer) and one(layer)]
    else:
        raise OptionError(
            f"`{argument}` should be a layer's name, the beginning of names, a function of a layer, or a list of "
            f"these. Received: {one!r}"
        )
    if not found:
        near = did_you_mean(one, [layer.name for layer in layers]) if isinstance(one, str) else ""
        listed, _ = _listed(_inner(model), MAX_NAMES)
        raise OptionError(f"`{argument}` matches no layer: {one!r}. The layers are: {listed}.{near}")
    return found


def _listed(layers: list[keras.layers.Layer], room: int) -> tuple[str, int]:
    """The names of layers and of what they hold, and how many more names there is room for.

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
    """Set the flags of the layers in `wanted`, id to flag, and those of the models around them.

    Two quirks of Keras 3.15.1 (`keras/src/layers/layer.py`): setting `trainable` on a model sets it on all that it
    holds, and `trainable_variables` of the model that trains looks at its own flag and each weight's, so that a layer
    trains inside a nested model whose flag is False. We keep both flags in line, since a saved model is loaded with the
    nested model's flag set on all of its layers. So models come first, from the outside in, then the layers in them;
    and only what changes is set, for a layer may hold weights or layers that were frozen one by one.
    """
    if not wanted:
        return
    if not model.trainable:  # then nothing was trained, whatever the flags inside say
        _push(model, False)
    layers = _every(model)
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
    thawed = {id(w) for layer in models if wanted.get(id(layer)) for w in own[id(layer)]}
    for weight, flag in kept:
        if id(weight) not in thawed:
            weight.trainable = flag
    for layer in single:
        _set(layer, flags, wanted)


def _set(layer: keras.layers.Layer, flags: dict[int, bool], wanted: dict[int, bool]) -> None:
    if id(layer) in wanted or layer.trainable != flags[id(layer)]:
        _push(layer, flags[id(layer)])


def _push(layer: keras.layers.Layer, flag: bool) -> None:
    """Set a flag on a layer and all that it holds.

    On TensorFlow Keras 3.15.1 passes over a flag that is set already, and so over what the layer holds
    (`keras/src/backend/tensorflow/trackable.py`).
    """
    layer.trainable = not flag
    layer.trainable = flag
