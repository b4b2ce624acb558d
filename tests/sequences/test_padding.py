"""What `last_batch="pad"` makes equal in real calls of `fit` and `evaluate`, and what not."""

import keras
import numpy as np
import pytest

import keras_oocore as ko

X = np.random.default_rng(0).random((37, 6)).astype("float32")
Y = (X.sum(1) > 3).astype("float32")[:, np.newaxis]
pytestmark = pytest.mark.backend


def rows(**options):
    """Five batches of 8, of which the last has 5 rows."""
    return ko.ArraySequence(X, Y, batch_size=8, seed=1, label_mode="raw", **options)


def two_outputs(x, y, rng):
    return x, {"a": y, "b": x[:, :3]}


def new_model(optimizer="sgd", outputs=1, mixes_rows=False, **options):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    x = keras.layers.Dense(8, activation="tanh")(inputs)
    if mixes_rows:
        x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(x))
    a = keras.layers.Dense(1, activation="sigmoid", name="a")(x)
    if outputs == 2:
        model = keras.Model(inputs, {"a": a, "b": keras.layers.Dense(3, name="b")(x)})
        loss = {"a": "binary_crossentropy", "b": "mse"}
    else:
        model, loss = keras.Model(inputs, a), "binary_crossentropy"
    model.compile(optimizer, loss, **options)
    return model


def weights(model):
    return [keras.ops.convert_to_numpy(variable) for variable in [*model.variables, *model.optimizer.variables]]


@pytest.mark.parametrize(
    ("optimizer", "outputs", "options"),
    [
        pytest.param("sgd", 1, {}, marks=pytest.mark.one_backend),
        ("adam", 2, dict(transform=two_outputs)),
        pytest.param("adam", 1, dict(sample_weight=np.arange(37) / 20), marks=pytest.mark.one_backend),
    ],
    ids=["SGD", "Adam, two outputs", "Adam, sample_weight"],
)
def test_weight_updates_are_those_of_keep(optimizer, outputs, options):
    kept, padded = (new_model(optimizer, outputs) for _ in range(2))
    kept.fit(rows(**options), epochs=2, verbose=0)
    padded.fit(rows(last_batch="pad", **options), epochs=2, verbose=0)

    for one, other in zip(weights(kept), weights(padded), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6)


def test_loss_and_weighted_metrics_of_evaluate_are_exact():
    """Also if a batch has another loss than the others, as here, where rows are sorted."""
    model = new_model(mixes_rows=True, weighted_metrics=["accuracy", "mse"])
    order = np.argsort(Y[:, 0], kind="stable")
    expected = model.evaluate(X[order], Y[order], batch_size=8, verbose=0)
    padded = ko.ArraySequence(
        X[order], Y[order], label_mode="raw", batch_size=8, shuffle=False, last_batch="pad_for_evaluation"
    )

    np.testing.assert_allclose(model.evaluate(padded, verbose=0), expected, rtol=1e-5)


class Steps(keras.callbacks.Callback):
    """Counts the steps."""

    num_steps = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.num_steps += 1

    on_test_batch_begin = on_train_batch_begin


EVALUATED = dict(last_batch="pad_for_evaluation", shuffle=False)
OF_TRAINING, FOR_EVALUATION = 'Received: last_batch="pad"', 'weights for evaluation. Use last_batch="pad" for training'
COUNTS = r"`metrics=` of `compile` counts the samples that fill .* with `weighted_metrics=` instead"


@pytest.mark.parametrize(
    ("method", "arguments", "compiled", "message"),
    [
        ("evaluate", dict(x=dict(last_batch="pad")), {}, OF_TRAINING),
        ("fit", dict(x=EVALUATED), {}, FOR_EVALUATION),
        ("fit", dict(x={}, validation_data=dict(last_batch="pad")), {}, f"`val_loss` would be wrong.*{OF_TRAINING}"),
        ("evaluate", dict(x=EVALUATED), dict(metrics=["mae"]), COUNTS),
        ("fit", dict(x={}, validation_data=EVALUATED), dict(metrics=["mae"]), COUNTS),
        ("evaluate", dict(x=EVALUATED, steps=2), {}, "whole pass. Remove `steps`. Received: steps=2"),
        ("fit", dict(x={}, validation_data=EVALUATED, validation_steps=1), {}, "Remove `validation_steps`"),
    ],
)
def test_what_padding_is_not_made_for_is_refused_before_the_first_step(method, arguments, compiled, message):
    model, steps = new_model(**compiled), Steps()
    data = {name: rows(**value) if isinstance(value, dict) else value for name, value in arguments.items()}

    with pytest.raises(ko.OptionError, match=message):
        getattr(model, method)(callbacks=[steps], verbose=0, **data)
    assert steps.num_steps == 0


@pytest.mark.one_backend
def test_arrays_do_not_hide_the_validation_data():
    """The validation then finds the error, after the first epoch."""
    with pytest.raises(ko.OptionError, match=OF_TRAINING):
        new_model().fit(X, Y, validation_data=rows(last_batch="pad"), verbose=0)


def test_metrics_of_full_batches_are_exact_in_plain_keras():
    full = ko.ArraySequence(X[:32], Y[:32], batch_size=8, label_mode="raw", **EVALUATED)
    model = new_model(metrics=["mae"], weighted_metrics=["mse"])

    np.testing.assert_allclose(model.evaluate(full, verbose=0), model.evaluate(X[:32], Y[:32], verbose=0), rtol=1e-5)


def test_val_loss_of_fit_is_exact_and_each_row_of_predict_is_named():
    train = rows(last_batch="pad", validation_split=0.3, subset="training")
    val = rows(last_batch="pad", validation_split=0.3, subset="validation", shuffle=False)
    kept = rows(validation_split=0.3, subset="training")
    assert "pad_for_evaluation" in repr(val)
    one, other = new_model(), new_model()
    history = one.fit(train, validation_data=val, epochs=2, verbose=0).history
    members = np.concatenate([x for x, _, weight in val])[:11]
    targets = np.concatenate([y for _, y, weight in val])[:11]
    expected = other.fit(kept, validation_data=(members, targets), validation_batch_size=8, epochs=2, verbose=0).history

    np.testing.assert_allclose(history["val_loss"], expected["val_loss"], rtol=1e-5)
    predicted = one.predict(val, verbose=0)
    assert (len(predicted), val.served_samples.tolist()) == (16, [*range(11), 8, 9, 10, 8, 9])
    np.testing.assert_allclose(predicted[11:], predicted[[8, 9, 10, 8, 9]], rtol=1e-6)


def test_ko_predict_has_one_row_per_sample():
    model = new_model()
    padded = ko.predict(model, rows(last_batch="pad"))
    kept = ko.predict(model, rows())

    assert len(padded["prediction"]) == 37
    np.testing.assert_array_equal(padded["prediction"], kept["prediction"])


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX compiles again for another batch size")
def test_one_compilation_for_all_batches():
    traced = []

    class Traced(keras.layers.Layer):
        def call(self, x):
            traced.append(x.shape[0])
            return x

    def sizes(last_batch):
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1), Traced()])
        model.compile("sgd", "mse")
        del traced[:]
        model.fit(rows(last_batch=last_batch), epochs=2, verbose=0)
        return traced.copy()

    kept, padded = sizes("keep"), sizes("pad")
    assert set(kept) - {None} == {8, 5}
    assert len(padded) < len(kept)
    assert padded == sizes("drop")
