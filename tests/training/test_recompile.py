"""A model gets another learning rate or other trainable layers, and its optimizer keeps its state."""

import re
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_oocore.core.errors import OptionError
from keras_oocore.training.recompile import recompile

pytestmark = pytest.mark.backend
BACKEND = keras.backend.backend()
optimizers = keras.optimizers
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(8, 3)).astype("float32"), rng.normal(size=(8, 1)).astype("float32")


def small(optimizer="adam", steps=2, **options):
    """Return a model of 'body' and 'head', trained for a few steps. Eager steps take less time than tracing."""
    branching = isinstance(optimizer, optimizers.LossScaleOptimizer) or getattr(
        optimizer, "gradient_accumulation_steps", None
    )
    branches = BACKEND == "jax" and branching  # which JAX compiles in each eager step
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, name="body"), keras.layers.Dense(1, name="head")]
    )
    model.compile(optimizer, **{"loss": "mse", "run_eagerly": not branches} | options)
    if steps:
        train(model, steps)
    return model


def train(model, steps=2):
    for _ in range(steps):
        model.train_on_batch(X, Y)


def fit(model):
    return model.fit(X, Y, batch_size=8, epochs=2, verbose=0)


def numbers(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def same(first, second):
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second))


def state(optimizer):
    """Return the values of an optimizer by name, without the rate. Keras numbers a variable of Nadam without a name."""
    names = [re.sub(r"^variable_\d+$", "variable", variable.name) for variable in optimizer.variables]
    named = dict(zip(names, numbers(optimizer.variables)))
    return {name: value for name, value in named.items() if name != "learning_rate"}


def rate_of(model):
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def freeze(model, name, frozen=True):
    model.get_layer(name).trainable = not frozen


class Halving(optimizers.schedules.LearningRateSchedule):
    """A schedule without `get_config`."""

    def __call__(self, step):
        return 0.1 / (1.0 + keras.ops.cast(step, "float32"))


def without_biases():
    """Return an optimizer with a setting that its config does not contain."""
    optimizer = optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


OPTIMIZERS = {
    "Adam": lambda: optimizers.Adam(0.1),
    "Adam amsgrad": lambda: optimizers.Adam(0.1, beta_1=0.5, amsgrad=True, clipnorm=0.1),
    "SGD": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "AdamW": without_biases,
    "RMSprop": lambda: optimizers.RMSprop(0.1, momentum=0.5, centered=True),
    "Nadam": lambda: optimizers.Nadam(0.1),
    "Adamax": lambda: optimizers.Adamax(0.1),
    "Adafactor": lambda: optimizers.Adafactor(0.1),
    "averages": lambda: optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3),
    "accumulation": lambda: optimizers.Adam(0.1, gradient_accumulation_steps=2),
    "schedule": lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)),
    "own schedule": lambda: optimizers.Adam(Halving()),
    "loss scale": lambda: optimizers.LossScaleOptimizer(
        optimizers.Adam(0.1), initial_scale=8.0, dynamic_growth_steps=2
    ),
}


def on_one_backend(*names):
    """Return cases that one backend shows, next to cases that run on every backend."""
    return [pytest.param(name, marks=pytest.mark.one_backend) for name in names]


LIKE_OTHERS = "Adam amsgrad", "SGD", "AdamW", "RMSprop", "Adamax", "Adafactor", "schedule", "own schedule"


@pytest.mark.parametrize("name", [*sorted(OPTIMIZERS.keys() - LIKE_OTHERS), *on_one_backend(*LIKE_OTHERS)])
def test_training_after_recompile_is_bit_identical(name):
    through = small(OPTIMIZERS[name](), steps=3)
    recompiled = small(OPTIMIZERS[name](), steps=3)
    old = recompiled.optimizer
    assert recompile(recompiled, trainable_changed=True).endswith(" as before; the optimizer keeps its state")
    assert recompiled.optimizer is not old
    assert type(recompiled.optimizer) is type(old)
    assert same(numbers(recompiled.optimizer.variables), numbers(old.variables))
    train(through, 3)
    train(recompiled, 3)
    assert same(numbers(through.weights), numbers(recompiled.weights))
    assert same(numbers(through.optimizer.variables), numbers(recompiled.optimizer.variables))


@pytest.mark.parametrize("name", ["Nadam", "loss scale", *on_one_backend("SGD")])
def test_optimizer_state_is_kept_for_weights_that_stay_trainable(name):
    model = small(OPTIMIZERS[name](), steps=3)
    both = state(model.optimizer)
    freeze(model, "body")
    assert recompile(model, trainable_changed=True) == "learning rate 0.1 as before; the optimizer keeps its state"
    head = state(model.optimizer)
    assert head
    assert not any("body" in name for name in head)
    assert all(np.array_equal(head[name], both[name]) for name in head)

    train(model, 2)
    freeze(model, "body", False)
    before = state(model.optimizer)
    message = recompile(model, trainable_changed=True)
    assert message == "learning rate 0.1 as before; the optimizer keeps its state of 2 variables, 2 start over"
    after = state(model.optimizer)
    assert after.keys() == both.keys()
    assert all(np.array_equal(after[name], before[name]) for name in before)
    assert all(not after[name].any() for name in after.keys() - before.keys())
    weights = numbers(model.get_layer("body").weights)
    train(model, 2)
    assert not same(weights, numbers(model.get_layer("body").weights))


@pytest.mark.one_backend
def test_message_for_one_weight_that_starts_over():
    model = small()
    bias = model.get_layer("head").bias
    bias.trainable = False
    recompile(model, trainable_changed=True)
    bias.trainable = True
    message = recompile(model, trainable_changed=True)
    assert message.endswith("the optimizer keeps its state of 3 variables, 1 starts over")


def test_moving_averages_of_new_weights_start_at_the_weights():
    model = small(optimizers.SGD(0.0, use_ema=True), steps=0)
    freeze(model, "body")
    recompile(model, trainable_changed=True)
    fit(model)
    freeze(model, "body", False)
    recompile(model, trainable_changed=True)
    weights = numbers(model.weights)
    fit(model)  # with a rate of 0, only averages that start at zero would change the weights
    assert all(np.allclose(a, b, rtol=1e-5) for a, b in zip(weights, numbers(model.weights)))


def test_fit_after_recompile_with_moving_averages():
    model = small(optimizers.SGD(0.1, use_ema=True), steps=0, run_eagerly=False)
    fit(model)
    before = numbers(model.optimizer.variables)
    recompile(model)
    assert same(before, numbers(model.optimizer.variables))
    fit(model)  # fails on JAX if averages share memory with weights


@pytest.mark.parametrize("name", ["Nadam", *on_one_backend("Adam", "loss scale")])
def test_keep_optimizer_state_false_creates_a_new_optimizer(name):
    model = small(OPTIMIZERS[name](), steps=3)
    assert recompile(model, 0.25, keep_optimizer_state=False) == "learning rate 0.25; the optimizer starts over"
    new = OPTIMIZERS[name]()
    new.build(model.trainable_variables)
    fresh = state(new)
    assert state(model.optimizer).keys() == fresh.keys()
    assert all(np.array_equal(value, fresh[name]) for name, value in state(model.optimizer).items())
    assert rate_of(model) == 0.25


@pytest.mark.parametrize("name", ["Adam", *on_one_backend("loss scale")])
def test_float_learning_rate_keeps_the_optimizer(name):
    model = small(OPTIMIZERS[name]())
    optimizer, before = model.optimizer, state(model.optimizer)
    assert recompile(model, np.float32(1e-5)) == "learning rate 1e-05; the optimizer keeps its state"
    assert model.optimizer is optimizer
    assert rate_of(model) == pytest.approx(1e-5)
    assert recompile(model) == "learning rate 1e-05 as before; the optimizer keeps its state"
    assert model.optimizer is optimizer
    assert all(np.array_equal(value, before[name]) for name, value in state(optimizer).items())


@pytest.mark.parametrize("name", ["Adam", *on_one_backend("loss scale")])
def test_learning_rate_from_float_to_schedule_and_back(name):
    model = small(OPTIMIZERS[name](), steps=3)
    before = state(model.optimizer)
    schedule = Halving()
    assert recompile(model, schedule) == "learning rate Halving; the optimizer keeps its state"
    assert rate_of(model) == pytest.approx(0.1 / 4)
    assert all(np.array_equal(value, before[name]) for name, value in state(model.optimizer).items())
    train(model, 1)
    assert rate_of(model) == pytest.approx(0.1 / 5)
    assert recompile(model) == "learning rate Halving as before; the optimizer keeps its state"
    assert recompile(model, 0.5) == "learning rate 0.5; the optimizer keeps its state"
    assert rate_of(model) == 0.5
    assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == 4


def test_learning_rate_lowered_by_a_callback_is_kept():
    model = small(optimizers.Adam(0.5))
    lowered = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=1e9)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[lowered])
    assert rate_of(model) == 0.25
    freeze(model, "body")
    assert recompile(model, trainable_changed=True).startswith("learning rate 0.25 as before;")
    assert rate_of(model) == 0.25


def test_frozen_layer_keeps_its_weights_and_the_rate_changes():
    model = small()
    freeze(model, "body")
    recompile(model, 0.5, trainable_changed=True)
    body, head = numbers(model.get_layer("body").weights), numbers(model.get_layer("head").weights)
    train(model)
    assert same(body, numbers(model.get_layer("body").weights))
    assert not same(head, numbers(model.get_layer("head").weights))
    assert rate_of(model) == 0.5


def test_loss_and_metrics_objects_are_kept():
    scale = 3.0

    def loss(y, y_pred):
        return scale * keras.ops.mean(keras.ops.square(y - y_pred))

    metric = keras.metrics.MeanAbsoluteError(name="off_by")
    options = dict(metrics=["mse", metric], weighted_metrics=["mae"], loss_weights=[0.5])
    model = small(loss=loss, **options)
    before = sorted(fit(model).history)
    value = model.evaluate(X, Y, verbose=0, return_dict=True)
    recompile(model, 0.0, keep_optimizer_state=False)
    assert model.loss is loss
    assert model.run_eagerly
    assert sorted(fit(model).history) == before
    assert model.evaluate(X, Y, verbose=0, return_dict=True) == pytest.approx(value)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras has no steps_per_execution on torch")
def test_steps_per_execution_and_jit_compile_are_kept():
    model = small(steps=1, steps_per_execution=2, jit_compile=False, run_eagerly=False)
    recompile(model, trainable_changed=True)
    assert (model.steps_per_execution, model.jit_compile, model.run_eagerly) == (2, False, False)
    fit(model)


def test_mixed_precision_optimizer_is_wrapped_once():
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense(1, dtype="mixed_float16")
    model = keras.Sequential([keras.Input((3,)), dense])
    model.dtype_policy = keras.DTypePolicy("mixed_float16")
    model.compile(optimizers.SGD(0.01, momentum=0.5), "mse", run_eagerly=True, jit_compile=False)
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    train(model)
    before = state(model.optimizer)
    recompile(model, trainable_changed=True)
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    assert isinstance(model.optimizer.inner_optimizer, optimizers.SGD)
    assert all(np.array_equal(value, before[name]) for name, value in state(model.optimizer).items())
    train(model)


@pytest.mark.one_backend
def test_auto_scale_loss_false_is_kept():
    model = small(steps=0)
    model.dtype_policy = keras.DTypePolicy("mixed_float16")
    model.compile("sgd", "mse", auto_scale_loss=False)
    recompile(model, trainable_changed=True)
    assert type(model.optimizer).__name__ == "SGD"


@pytest.mark.one_backend
def test_optimizer_without_steps_starts_over():
    model = small(steps=0)
    freeze(model, "body")
    message = recompile(model, 0.5, trainable_changed=True)
    assert message == "learning rate 0.5; the optimizer starts over"
    train(model)


@pytest.mark.one_backend
def test_slots_in_a_dictionary_are_matched_by_name():
    class Unusual(optimizers.Optimizer):
        def __init__(self, learning_rate=0.1, **options):
            super().__init__(learning_rate=learning_rate, **options)

        def build(self, variables):
            super().build(variables)
            self.slots = {i: self.add_variable_from_reference(v, "speed") for i, v in enumerate(variables)}

        def update_step(self, gradient, variable, learning_rate):
            slot = self.slots[self._get_variable_index(variable)]
            slot.assign(slot * 0.9 + gradient)
            variable.assign(variable - slot * keras.ops.cast(learning_rate, variable.dtype))

    through, model = small(Unusual()), small(Unusual())
    recompile(model, trainable_changed=True)
    train(through)
    train(model)
    assert same(numbers(through.weights), numbers(model.weights))


# Classes that override `compile`


class Passing(keras.Model):
    """A model whose `compile` wraps the loss."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def compile(self, optimizer, loss="mse", **options):
        def doubled(y, y_pred):
            return 2 * keras.losses.get(loss)(y, y_pred)

        super().compile(optimizer=optimizer, loss=doubled, **options)
        self.mine = self.optimizer


@pytest.mark.one_backend
def test_compile_that_wraps_the_loss_wraps_it_once():
    model = Passing()
    model.compile("sgd", run_eagerly=True)
    train(model)
    loss = model.loss
    recompile(model, 0.5, keep_optimizer_state=False)
    assert model.loss is loss
    assert model.mine is model.optimizer
    assert rate_of(model) == 0.5


class Demanding(Passing):
    """A model whose `compile` has another argument."""

    def compile(self, optimizer, strength):
        keras.Model.compile(self, optimizer, "mse", run_eagerly=True)
        self.strength = strength


@pytest.mark.one_backend
def test_compile_with_further_arguments_is_an_error():
    model = Demanding()
    model.compile("sgd", strength=2)
    train(model)
    assert recompile(model, 0.5) == "learning rate 0.5; the optimizer keeps its state"
    with pytest.raises(OptionError) as error:
        recompile(model, trainable_changed=True)
    assert str(error.value) == (
        "The model's `compile` takes `strength`, which Keras does not keep. Give the class a `get_compile_config` and "
        "a `compile_from_config`, or compile the model yourself and call fit for each phase. Received: Demanding"
    )


class Stubborn(Passing):
    """A model whose `compile` passes `loss` twice if it receives one."""

    def compile(self, optimizer, **options):
        keras.Model.compile(self, optimizer=optimizer, loss="mse", **options)


@pytest.mark.one_backend
def test_compile_that_fails_is_an_error():
    model = Stubborn()
    model.compile("sgd")
    model(X)
    with pytest.raises(
        OptionError, match=r"^The model's `compile` cannot be called again \(.*loss.*Received: Stubborn$"
    ):
        recompile(model, trainable_changed=True)


class Saying(Demanding):
    """A model with `get_compile_config` and `compile_from_config`."""

    def get_compile_config(self):
        return {"its_optimizer": self.optimizer, "strength": self.strength}

    def compile_from_config(self, config):
        config = keras.saving.deserialize_keras_object(config)
        self.compile(config["its_optimizer"], config["strength"])


@pytest.mark.one_backend
def test_compile_from_config_of_the_class_is_used():
    model = Saying()
    model.compile(optimizers.Adam(0.1), strength=2)
    train(model)
    old, before = model.optimizer, state(model.optimizer)
    assert recompile(model, 0.5, trainable_changed=True) == "learning rate 0.5; the optimizer keeps its state"
    assert model.optimizer is not old
    assert model.strength == 2
    assert rate_of(model) == 0.5
    assert all(np.array_equal(value, before[name]) for name, value in state(model.optimizer).items())


@pytest.mark.one_backend
def test_public_compile_config_is_the_fallback():
    model = small(loss=keras.losses.Huber(delta=0.5))
    before = state(model.optimizer)
    model._compile_config = SimpleNamespace(serialize=model._compile_config.serialize)
    recompile(model, optimizers.schedules.ExponentialDecay(0.1, 2, 0.5))
    assert isinstance(model.loss, keras.losses.Huber)
    assert isinstance(model.optimizer._learning_rate, optimizers.schedules.ExponentialDecay)
    assert all(np.array_equal(value, before[name]) for name, value in state(model.optimizer).items())


@pytest.mark.one_backend
def test_closure_as_loss_is_kept_with_compile_from_config():
    class Loadable(Passing):
        def compile(self, *args, **options):
            keras.Model.compile(self, *args, **options)

        def compile_from_config(self, config):
            raise NotImplementedError

    model = Loadable()
    model.compile("sgd", lambda y, y_pred: keras.ops.mean(keras.ops.abs(y - y_pred)))
    model(X)
    loss = model.loss
    recompile(model, trainable_changed=True)
    assert model.loss is loss


@pytest.mark.one_backend
def test_compile_from_config_without_optimizer_is_an_error():
    class Idle(Saying):
        def compile_from_config(self, config):
            pass

    model = Idle()
    model.compile("sgd", strength=2)
    train(model)
    with pytest.raises(OptionError, match=r"^`compile_from_config` of the model did not give it a new optimizer\."):
        recompile(model, trainable_changed=True)


# Errors


@pytest.mark.one_backend
@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf"), True, "0.1", [0.1], lambda: 0.1])
def test_learning_rate_of_wrong_type_or_value(rate):
    with pytest.raises(OptionError) as error:
        recompile(small(steps=0), rate)
    assert str(error.value) == (
        "`learning_rate` should be a number of 0 or more, a keras.optimizers.schedules.LearningRateSchedule, or None "
        f"to leave it as it is. Received: {rate!r}"
    )


@pytest.mark.one_backend
def test_model_that_is_not_compiled_or_not_built():
    model = keras.Sequential([keras.layers.Dense(1)], name="raw")
    with pytest.raises(OptionError) as error:
        recompile(model, 0.1)
    assert str(error.value) == (
        "The model should be compiled, with an optimizer of Keras: model.compile(optimizer, loss). Received: the model "
        "'raw' with optimizer=None"
    )
    model.compile("adam", "mse")
    assert recompile(model, 0.5) == "learning rate 0.5; the optimizer keeps its state"
    with pytest.raises(OptionError) as error:
        recompile(model, trainable_changed=True)
    assert str(error.value) == (
        "The model has no weights yet, so its optimizer cannot be created for them. Build it first: call it once on "
        "a batch, or start it with keras.Input(shape). Received: the model 'raw', not built"
    )


@pytest.mark.one_backend
def test_optimizer_with_incomplete_get_config():
    class Forgetful(optimizers.SGD):
        def __init__(self, learning_rate, secret):
            super().__init__(learning_rate)

        def get_config(self):
            return {"learning_rate": 0.1}

    model = small(Forgetful(0.1, secret=1))
    old = model.optimizer
    with pytest.raises(OptionError, match=r"^The optimizer cannot be created again from its settings \(.*secret.*"):
        recompile(model, trainable_changed=True)
    assert model.optimizer is old


@pytest.mark.one_backend
@pytest.mark.skipif(not hasattr(optimizers, "MultiOptimizer"), reason="newer than this Keras")
def test_multi_optimizer_is_an_error():
    model = small(optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.Adam())))
    with pytest.raises(OptionError, match=r"^An optimizer without its own learning rate.*Received: MultiOptimizer$"):
        recompile(model, 0.1)
