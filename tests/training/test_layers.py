"""Names, prefixes, functions and "all" select the layers to freeze, and Keras trains the other layers."""

import keras
import numpy as np
import pytest

from keras_oocore.core.errors import OptionError
from keras_oocore.training.layers import set_trainable, trainable_flags, trainable_summary

pytestmark = pytest.mark.backend
layers = keras.layers


def nested():
    """Return 'input', 'backbone' ('in', 'stem', 'block1' ('a', 'bn'), 'conv1'), 'head_1' and 'head_2' as a model."""
    block = keras.Sequential([layers.Dense(3, name="a"), layers.BatchNormalization(name="bn")], name="block1")
    inside = keras.Input((3,), name="in")
    hidden = block(layers.Dense(3, name="stem")(inside))
    backbone = keras.Model(inside, layers.Dense(3, name="conv1")(hidden), name="backbone")
    inputs = keras.Input((3,), name="input")
    outputs = layers.Dense(1, name="head_2")(layers.Dense(2, name="head_1")(backbone(inputs)))
    return keras.Model(inputs, outputs)


class Subclassed(keras.Model):
    """A model with a list of layers and a nested model."""

    def __init__(self):
        super().__init__()
        self.bodies = [layers.Dense(3, name="body_0"), layers.Dense(3, name="body_1")]
        self.inner = Scaled(name="inner")
        self.head = layers.Dense(1, name="head")

    def call(self, x):
        for body in self.bodies:
            x = body(x)
        return self.head(self.inner(x))


class Scaled(keras.Model):
    """A model with a layer and its own weight, named 'scale'."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(3, name="dense")
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x):
        return self.dense(x) * self.scale


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 3)))
    return model


def every(model):
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from every(layer)


def trained(model):
    """Return the names of the layers whose weights Keras trains, in the model's order."""
    ids = {id(weight) for weight in model.trainable_variables}
    single = [layer for layer in every(model) if not isinstance(layer, keras.Model)]
    return [layer.name for layer in single if any(id(weight) in ids for weight in layer.weights)]


def changed_weights(model):
    """Return the paths of all weights that one step of `fit` changes, including BatchNormalization statistics."""
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=keras.backend.backend() == "tensorflow")
    before = [np.array(keras.ops.convert_to_numpy(weight)) for weight in model.weights]
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(8, 3)), rng.normal(size=(8, 1)) + 5, batch_size=8, verbose=0)
    after = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    return {weight.path for weight, a, b in zip(model.weights, before, after) if not np.array_equal(a, b)}


def changed_layers(model):
    return {path.split("/")[-2] for path in changed_weights(model)}


EVERY = ["stem", "a", "bn", "conv1", "head_1", "head_2"]


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("freeze", "expected"),
    [
        (None, EVERY),
        ((), EVERY),
        ([], EVERY),
        ("stem", ["a", "bn", "conv1", "head_1", "head_2"]),
        (["stem", "head_1"], ["a", "bn", "conv1", "head_2"]),
        ("a", ["stem", "bn", "conv1", "head_1", "head_2"]),
        ("block1", ["stem", "conv1", "head_1", "head_2"]),
        ("backbone", ["head_1", "head_2"]),
        ("back", ["head_1", "head_2"]),
        ("head_", ["stem", "a", "bn", "conv1"]),
        (("head_", "conv1"), ["stem", "a", "bn"]),
        (lambda layer: isinstance(layer, layers.BatchNormalization), ["stem", "a", "conv1", "head_1", "head_2"]),
        (lambda layer: not isinstance(layer, layers.BatchNormalization), ["bn"]),
        ([lambda layer: layer.name == "stem", "head_"], ["a", "bn", "conv1"]),
        ("all", []),
    ],
)
def test_freeze_and_unfreeze_select_the_same_layers(freeze, expected):
    model = nested()
    set_trainable(model, freeze=freeze)
    assert trained(model) == expected
    set_trainable(model, unfreeze=freeze)
    assert trained(model) == EVERY
    assert all(layer.trainable for layer in [model, *every(model)])


def test_exact_name_takes_precedence_over_prefix():
    model = keras.Sequential([keras.Input((2,)), *(layers.Dense(2, name=name) for name in ("d", "d_1", "d_2"))])
    set_trainable(model, freeze="d")
    assert trained(model) == ["d_1", "d_2"]
    set_trainable(model, freeze="d_")
    assert trained(model) == []


def test_unselected_layers_keep_their_flag():
    model = nested()
    set_trainable(model, freeze=["stem", "head_1"])
    set_trainable(model, freeze="conv1", unfreeze="head_1")
    assert trained(model) == ["a", "bn", "head_1", "head_2"]


def test_freeze_all_with_exceptions():
    model = nested()
    set_trainable(model, freeze="all", unfreeze=["a", "head_2"])
    assert trained(model) == ["a", "head_2"]
    set_trainable(model, freeze="all", unfreeze="backbone")
    assert trained(model) == ["stem", "a", "bn", "conv1"]


@pytest.mark.parametrize(
    "freeze",
    ["all", *(pytest.param(freeze, marks=pytest.mark.one_backend) for freeze in ("backbone", lambda layer: True))],
)
def test_unfreeze_one_layer_of_a_frozen_nested_model(freeze):
    model = nested()
    set_trainable(model, freeze=freeze)
    set_trainable(model, freeze="head_")
    set_trainable(model, unfreeze="a")
    assert changed_layers(model) == {"a"}
    # Keras reads only the weights. The flags of the models around the layer are consistent with them.
    backbone = model.get_layer("backbone")
    assert [weight.path.split("/")[-2] for weight in backbone.trainable_variables] == ["a", "a"]
    assert (backbone.trainable, backbone.get_layer("block1").trainable, model.trainable) == (True, True, True)


def test_model_with_trainable_false_ignores_inner_flags():
    model = nested()
    model.trainable = False
    model.get_layer("head_1").trainable = True
    assert model.trainable_variables == []
    set_trainable(model, unfreeze="head_2")
    assert trained(model) == ["head_2"]


def test_nested_model_with_all_layers_frozen_is_frozen():
    model = nested()
    set_trainable(model, freeze=["stem", "block1", "conv1"])
    assert trained(model) == ["head_1", "head_2"]
    set_trainable(model, freeze="in")
    assert not model.get_layer("backbone").trainable
    assert model.trainable


def test_frozen_weights_and_statistics_do_not_change():
    model = nested()
    assert changed_layers(model) == set(EVERY)
    set_trainable(model, freeze="backbone")
    assert changed_layers(model) == {"head_1", "head_2"}
    set_trainable(model, unfreeze=lambda layer: not isinstance(layer, layers.BatchNormalization))
    assert changed_layers(model) == set(EVERY) - {"bn"}


def test_loaded_model_trains_the_same_layers(tmp_path):
    model = nested()
    set_trainable(model, freeze="all", unfreeze=["a", "head_2"])
    model.save(tmp_path / "model.keras")
    assert trained(keras.models.load_model(tmp_path / "model.keras")) == ["a", "head_2"]


def test_shared_layer_counts_once():
    shared = layers.Dense(3, name="shared")
    first = keras.Sequential([keras.Input((3,)), shared, layers.Dense(3, name="one")], name="first")
    second = keras.Sequential([keras.Input((3,)), shared, layers.Dense(3, name="two")], name="second")
    model = keras.Sequential([keras.Input((3,)), first, second])
    set_trainable(model, freeze="all", unfreeze="shared")
    assert set(trained(model)) == {"shared"}
    assert trainable_summary(model) == "1 of 3 layers train, 12 of 36 weights"
    set_trainable(model, freeze="shared", unfreeze="two")
    assert set(trained(model)) == {"two"}


@pytest.mark.one_backend
def test_wrapper_layer_counts_as_one_layer():
    model = keras.Sequential(
        [keras.Input((4, 2)), layers.Bidirectional(layers.SimpleRNN(2), name="both_ways"), layers.Dense(1, name="head")]
    )
    set_trainable(model, freeze="both_ways")
    assert len(model.trainable_variables) == 2
    assert trainable_summary(model) == "1 of 2 layers train, 5 of 25 weights"
    with pytest.raises(OptionError, match="matches no layer: 'forward'"):
        set_trainable(model, freeze="forward")


def test_subclassed_model_with_own_weights():
    model = subclassed()
    assert trainable_summary(model) == "5 of 5 layers train, 41 of 41 weights"
    set_trainable(model, freeze="body_")
    assert trained(model) == ["dense", "head"]
    set_trainable(model, freeze="all", unfreeze="dense")
    assert changed_weights(model) == {weight.path for weight in model.inner.dense.weights}
    set_trainable(model, unfreeze="inner")
    assert trainable_summary(model) == "2 of 5 layers train, 13 of 41 weights"
    set_trainable(model, freeze="dense")
    assert model.trainable_variables == [model.inner.scale]
    set_trainable(model, unfreeze="all")
    assert trainable_summary(model) == "5 of 5 layers train, 41 of 41 weights"


def test_freeze_before_the_model_is_built():
    model = Subclassed()
    set_trainable(model, freeze="body_")
    model(np.zeros((1, 3)))
    assert trained(model) == ["dense", "head"]


def test_separately_frozen_weights_of_unselected_layers_stay_frozen():
    model = nested()
    stem = model.get_layer("backbone").get_layer("stem")
    stem.bias.trainable = False
    set_trainable(model, freeze="a")
    set_trainable(model, unfreeze="a")
    assert not stem.bias.trainable
    assert stem.kernel.trainable


@pytest.mark.one_backend
def test_trainable_flags_detect_changes():
    model = nested()
    before = trainable_flags(model)
    set_trainable(model, unfreeze="all")
    assert trainable_flags(model) == before
    bare = keras.Sequential([keras.Input((2,)), layers.BatchNormalization(center=False, scale=False, name="bn")])
    before = trainable_flags(bare)
    set_trainable(bare, freeze="bn")
    assert trainable_flags(bare) != before


THE_LAYERS = (
    "The layers are: 'input', 'backbone' (with 'in', 'stem', 'block1' (with 'a', 'bn'), 'conv1'), 'head_1', 'head_2'."
)
WRONG_TYPE = (
    "`freeze` should be the name of a layer, a prefix of names, a function of a layer, or a list of these. Received: "
)


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        ("bakbone", f"`freeze` matches no layer: 'bakbone'. {THE_LAYERS} Did you mean 'backbone'?"),
        (["stem", "xyz"], f"`freeze` matches no layer: 'xyz'. {THE_LAYERS}"),
        ("", f"`freeze` matches no layer: ''. {THE_LAYERS}"),
        (3, f"{WRONG_TYPE}3"),
        ([["stem"]], f"{WRONG_TYPE}['stem']"),
        ({"stem"}, WRONG_TYPE + "{'stem'}"),
        (layers.Dense, f"{WRONG_TYPE}{layers.Dense!r}"),
    ],
)
def test_selector_without_match_lists_the_layers(freeze, message):
    model = nested()
    with pytest.raises(OptionError) as error:
        set_trainable(model, freeze=freeze)
    assert str(error.value) == message
    assert trained(model) == EVERY


@pytest.mark.one_backend
def test_function_without_match_and_layer_object_are_errors():
    model = nested()
    with pytest.raises(OptionError, match=r"^`unfreeze` matches no layer: <function .*The layers are: 'input'"):
        set_trainable(model, unfreeze=lambda layer: False)
    with pytest.raises(OptionError, match=r"^`unfreeze` should be the name of a layer.*Received: <Dense name=head_1"):
        set_trainable(model, unfreeze=[model.get_layer("head_1")])


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("freeze", "unfreeze", "names"),
    [
        ("stem", "stem", "'stem'"),
        ("backbone", ["conv1"], "'conv1'"),
        ("backbone", "all", "'backbone', 'in', 'stem', 'block1', 'a', ..."),
        ("all", "all", "'input', 'backbone', 'in', 'stem', 'block1', ..."),
    ],
)
def test_layer_in_freeze_and_unfreeze_is_an_error(freeze, unfreeze, names):
    model = nested()
    with pytest.raises(OptionError) as error:
        set_trainable(model, freeze, unfreeze)
    assert str(error.value) == (
        f"`freeze` and `unfreeze` both match {names}. Name each layer in one of them; only freeze='all' may have "
        f"exceptions in `unfreeze`. Received: freeze={freeze!r}, unfreeze={unfreeze!r}"
    )
    assert trained(model) == EVERY


@pytest.mark.one_backend
def test_long_lists_of_names_are_truncated():
    inner = keras.Sequential([layers.Activation("relu", name=f"relu_{i}") for i in range(70)], name="inner")
    model = keras.Sequential([inner, layers.Dense(1, name="head")])
    with pytest.raises(OptionError) as error:
        set_trainable(model, freeze="conv")
    names = ", ".join(f"'relu_{i}'" for i in range(48))
    assert f"The layers are: 'inner' (with {names}, ... (22 more)), 'head'." in str(error.value)
    flat = keras.Sequential([keras.Sequential([layers.Flatten()], name=f"part_{i}") for i in range(60)])
    with pytest.raises(OptionError, match=r"'part_49' \(1 inside\), ... \(10 more\)\."):
        set_trainable(flat, freeze="conv")
