"""Shards in real processes: one training on several processes, with `last_batch="pad"` too, and a cache for all."""

import itertools
import os
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import shared_table
from ranks import run_ranks

import keras_oocore as ko
from keras_oocore.sequences.distribution import averages_on_torch
from keras_oocore.tables import stored

TOLERANCE = 1e-6  # sums of gradients in another order

DATA = """
import keras
import numpy as np
import keras_oocore as ko

X = np.random.default_rng(0).random((320, 6)).astype("float32")
Y = (X.sum(1) > 3).astype("float32")

def rows(n=320, **options):
    return ko.ArraySequence(X[:n], Y[:n], batch_size=32, seed=1, **options)

def mixing_layers():
    return [keras.layers.BatchNormalization(), keras.layers.GaussianNoise(0.1), keras.layers.Dropout(0.5)]

def new_model(make_layers=list, seed=3, **metrics):
    keras.utils.set_random_seed(seed)  # before the first layer: Dropout draws its seed when it is made
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(8, "tanh"), *make_layers(), keras.layers.Dense(1, "sigmoid")]
    )
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", **(metrics or {"metrics": ["accuracy"]}))
    return model

def new_weighted_model():
    return new_model(weighted_metrics=["accuracy"])

def weights(model):
    return [np.asarray(keras.ops.convert_to_numpy(w)).tolist() for w in model.weights]

def drawn(run=lambda call: call(), seed=3):
    # what random layers draw
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dropout(0.5), keras.layers.GaussianNoise(1.0), keras.layers.RandomFlip()]
    images = np.arange(320, dtype="float32").reshape(20, 4, 4, 1)
    called = [run(lambda: layer(images, training=True)) for layer in layers]
    return [keras.ops.convert_to_numpy(images).tolist() for images in called]

def fitted(model, data, validation, checkpoint):
    callbacks = [
        keras.callbacks.EarlyStopping(min_delta=1, patience=2),
        keras.callbacks.ReduceLROnPlateau(min_delta=1, patience=1),
        keras.callbacks.ModelCheckpoint(checkpoint, save_best_only=True),
    ]
    history = model.fit(data, validation_data=validation, epochs=5, callbacks=callbacks, verbose=0).history
    return {"weights": weights(model), "history": history, "evaluated": model.evaluate(validation, verbose=0)}

def predicted(model, sequence):
    return [float(value) for value in ko.predict(model, sequence)["prediction"]]

def error_of(call, *arguments, **options):
    try:
        call(*arguments, verbose=0, **options)
    except ko.OptionError as error:
        return str(error)
"""

JAX = (
    DATA
    + """
def main(rank, world, port):
    keras.distribution.initialize(f"127.0.0.1:{port}", world, rank)
    devices = keras.distribution.list_devices("cpu")
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False))
    model, data, validation = new_model(mixing_layers), rows().shard(), rows(shuffle=False).shard()
    result = fitted(model, data, validation, f"{FOLDER}/{rank}.keras")
    history = model.fit(rows().shard(), validation_data=rows(317, shuffle=False), verbose=0).history
    padded, evaluated = new_weighted_model(), rows(293, shuffle=False, last_batch="pad_for_evaluation").shard()
    fit = padded.fit(rows(293, last_batch="pad").shard(), validation_data=evaluated, epochs=2, verbose=0)
    return result | {
        "padded": weights(padded),
        "padded_history": fit.history,
        "repr": repr(data),
        "later": weights(model),
        "later_history": history,
        "predicted": predicted(model, rows(317, shuffle=False)),
        "predict": [error_of(model.predict, rows()), error_of(model.predict, data)],
        "other": error_of(model.fit, rows().shard(0, 8)),
        "seeds": error_of_seed(rank),
    }

def error_of_seed(seed):
    try:
        new_model(seed=seed)
    except AssertionError as error:
        return str(error)
"""
)

TORCH = (
    DATA
    + """
import warnings
import torch

def main(rank, world, port):
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    data, averaged, whole = rows().shard(), rows().shard(gradients_averaged=True), rows(317, shuffle=False)
    result = {
        "repr": repr(data),
        "local": [error_of(new_model().fit, sequence) for sequence in (rows().shard(), rows())],
        "evaluate": error_of(new_model().evaluate, rows().shard(gradients_averaged=True)),
        "other": error_of(new_model().fit, rows().shard(0, 8, gradients_averaged=True)),
    }
    model = new_model()
    padded = new_weighted_model()
    for variable in model.trainable_variables + padded.trainable_variables:
        variable.value.register_post_accumulate_grad_hook(average)
    padded.fit(rows(293, last_batch="pad").shard(gradients_averaged=True), epochs=2, verbose=0)
    result["padded"] = weights(padded)
    result |= fitted(model, averaged, whole, f"{FOLDER}/{rank}.keras")
    result["predicted"] = predicted(model, whole)
    result["share"] = model.predict(rows(shuffle=False).shard(), verbose=0)[:, 0].tolist()
    result["seeds"] = error_of(new_model(seed=rank).fit, averaged)
    with warnings.catch_warnings(record=True) as caught:
        new_model().fit(averaged, epochs=2, verbose=0)  # without hooks
    result["no hooks"] = [str(warning.message) for warning in caught]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        result["decisions"] = decisions(rank, averaged, whole)
    result["drawn"] = drawn(), drawn(seed=rank)

    loop = new_model()
    parallel, optimizer = torch.nn.parallel.DistributedDataParallel(loop), torch.optim.SGD(loop.parameters(), 0.1)
    for epoch in range(2):
        for x, y in data:
            optimizer.zero_grad()
            predicted_y = parallel(torch.from_numpy(x))[:, 0]
            torch.nn.functional.binary_cross_entropy(predicted_y, torch.from_numpy(y)).backward()
            optimizer.step()
    result["loop"] = weights(loop)
    return result

def average(parameter):
    parameter.grad.div_(torch.distributed.get_world_size())
    torch.distributed.all_reduce(parameter.grad)

class AverageLogs(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs):
        for name, value in logs.items():
            mean = keras.ops.convert_to_tensor(value, "float32") / torch.distributed.get_world_size()
            torch.distributed.all_reduce(mean)
            logs[name] = float(mean)

def decisions(rank, data, validation):
    # a model with other random numbers in each process, whose callbacks decide by averaged logs
    model = new_model(mixing_layers, seed=rank)
    for variable in model.weights:
        torch.distributed.broadcast(variable.value.data, src=0)
    for variable in model.trainable_variables:
        variable.value.register_post_accumulate_grad_hook(average)
    reduce = keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=0.1)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=1)
    options = dict(validation_data=validation, epochs=6, callbacks=[AverageLogs(), reduce, stop], verbose=0)
    history = model.fit(data, **options).history
    return {
        "history": history,
        "trained": [np.asarray(keras.ops.convert_to_numpy(w)).tolist() for w in model.trainable_variables],
        "means": np.asarray(keras.ops.convert_to_numpy(model.layers[1].moving_mean)).tolist(),
        "error": error_of(model.fit, data, callbacks=[reduce]),
        "resumable": ko.fit_resumable(
            model, data, checkpoint=f"{FOLDER}/run", **options | {"callbacks": [reduce, stop]}
        ).history,
    }
"""
)

TENSORFLOW = (
    DATA
    + """
import json, os
import tensorflow as tf

def main(rank, world, port):
    cluster = {"worker": [f"127.0.0.1:{port}" for port in PORTS]}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": rank}})
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    train = rows().shard(rank, world)
    with strategy.scope():
        model = new_model(lambda: [keras.layers.BatchNormalization(synchronized=True)], seed=rank)
        model.optimizer.build(model.trainable_variables)

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    spec = tf.TensorSpec((None, 6), "float32"), tf.TensorSpec((None,), "float32")

    def dataset(context):
        return tf.data.Dataset.from_generator(lambda: iter(train), output_signature=spec).with_options(options)

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = keras.losses.BinaryCrossentropy()(y[:, None], model(x, training=True))  # divided by the replicas
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    @tf.function
    def train_step(x, y):
        return strategy.reduce("SUM", strategy.run(step, (x, y)), axis=None)

    batches = strategy.distribute_datasets_from_function(dataset)
    losses = [[float(train_step(x, y)) for x, y in batches] for epoch in range(2)]
    return {
        "weights": weights(model),
        "loss": [float(np.mean(of_epoch)) for of_epoch in losses],
        "local": [error_of(model.fit, rows()), error_of(model.evaluate, train)],
        "predict": error_of(model.predict, train),
        "predicted": model.predict(rows(shuffle=False), verbose=0)[:, 0].tolist(),
        "drawn": drawn_by(strategy),
    }

def drawn_by(strategy):
    with strategy.scope():
        return drawn(tf.function(strategy.run))
"""
)


@pytest.fixture
def alone():
    """The functions of `DATA`, in this process."""
    names = {}
    exec(DATA, names)
    return SimpleNamespace(**names)


def assert_close(weights, expected):
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(np.array(one, np.float32), np.array(other, np.float32), atol=TOLERANCE)


def assert_same_history(history, expected):
    assert history.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)


def padded_alone(alone):
    """A model that is trained by one process on the rows with which others pad the last batch, and its history.

    The last of 293 rows in batches of 32 leave one of two processes only padding.
    """
    model = alone.new_weighted_model()
    data, validation = alone.rows(293), alone.rows(293, shuffle=False)
    return model, model.fit(data, validation_data=validation, epochs=2, verbose=0).history


def run(code, world, tmp_path, backend):
    return enumerate(run_ranks(f"FOLDER = {str(tmp_path)!r}\n{code}", world, tmp_path, backend))


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="keras.distribution is of JAX")
@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.soak)])
def test_several_processes_of_jax_train_and_evaluate_as_one(world, tmp_path, alone):
    model, validation = alone.new_model(alone.mixing_layers), alone.rows(shuffle=False)
    expected = alone.fitted(model, alone.rows(), validation, tmp_path / "alone.keras")
    ragged = alone.rows(317, shuffle=False)
    history = model.fit(alone.rows(), validation_data=ragged, verbose=0).history
    padded, of_padded = padded_alone(alone)

    results = dict(run(JAX, world, tmp_path, "jax"))
    for name in ("weights", "history", "later", "later_history"):  # otherwise a callback could stop one process alone
        assert all(result[name] == results[0][name] for result in results.values())
    for rank, result in results.items():
        assert f", shard {rank} of {world} (by keras.distribution)" in result["repr"]
        assert_close(result["weights"], expected["weights"])
        assert_same_history(result["history"], expected["history"])
        assert len(result["history"]["loss"]) == 3  # stopped early
        np.testing.assert_allclose(result["evaluated"], expected["evaluated"], rtol=1e-5)
        assert_close(result["later"], alone.weights(model))
        assert_same_history(result["later_history"], history)
        assert_close(result["padded"], alone.weights(padded))
        for name in ("val_loss", "val_accuracy"):
            np.testing.assert_allclose(result["padded_history"][name], of_padded[name], rtol=1e-5)
        np.testing.assert_allclose(result["predicted"], alone.predicted(model, ragged), atol=TOLERANCE)
        assert all("`predict` of Keras does not work with several processes" in error for error in result["predict"])
        assert f"Keras trains with {world} processes, and this Sequence is a shard of 8. Use" in result["other"]
        assert "is not the same on each process" in result["seeds"]
        saved = keras.saving.load_model(tmp_path / f"{rank}.keras")
        assert_close(alone.weights(saved), alone.weights(keras.saving.load_model(tmp_path / "alone.keras")))


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="torch.distributed is of torch")
def test_two_processes_of_torch_train_as_one_and_fit_requires_averaged_gradients(tmp_path, alone):
    model, ragged = alone.new_model(), alone.rows(317, shuffle=False)
    expected = alone.fitted(model, alone.rows(), ragged, tmp_path / "alone.keras")
    loop = alone.new_model()
    loop.fit(alone.rows(), epochs=2, verbose=0)
    padded, _ = padded_alone(alone)

    results = dict(run(TORCH, 2, tmp_path, "torch"))
    for rank, result in results.items():
        assert f", shard {rank} of 2 (by torch.distributed)" in result["repr"]
        assert_close(result["weights"], expected["weights"])
        for name in ("val_loss", "val_accuracy", "learning_rate"):  # the others are of the shard
            np.testing.assert_allclose(result["history"][name], expected["history"][name], rtol=1e-5)
        np.testing.assert_allclose(result["evaluated"], expected["evaluated"], rtol=1e-5)
        np.testing.assert_allclose(result["predicted"], alone.predicted(model, ragged), atol=TOLERANCE)
        of_all = model.predict(alone.rows(shuffle=False), verbose=0).reshape(10, 2, 16)
        np.testing.assert_allclose(result["share"], of_all[:, rank].ravel(), atol=TOLERANCE)
        assert_close(result["loop"], alone.weights(loop))
        assert_close(result["padded"], alone.weights(padded))
        assert "Keras trains with 2 processes, and this Sequence is a shard of 8. Use" in result["other"]
        if not averages_on_torch():
            assert all("does not average the gradients of several processes" in error for error in result["local"])
            assert "each would report the loss of its own shard" in result["evaluate"]
            assert "differ between the 2 processes, before the first step" in result["seeds"]
            assert any("differ between the 2 processes, after 10 steps" in message for message in result["no hooks"])
            assert "`ReduceLROnPlateau` would decide by the `loss` of its own shard" in result["decisions"]["error"]
    first, second = (result["decisions"] for result in results.values())
    assert first["trained"] == second["trained"]
    assert first["history"] == second["history"]
    assert first["resumable"] == second["resumable"]
    (same, own), (same_too, other) = (result["drawn"] for result in results.values())
    assert same == same_too
    assert all(one != another for one, another in zip(own, other, strict=True))
    if not averages_on_torch():
        assert first["means"] != second["means"]


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strategies are of TensorFlow")
def test_loop_of_two_processes_of_tensorflow_trains_as_one(tmp_path, alone):
    expected = alone.new_model(lambda: [keras.layers.BatchNormalization()], seed=0)
    history = expected.fit(alone.rows(), epochs=2, verbose=0).history

    results = dict(run(TENSORFLOW, 2, tmp_path, "tensorflow"))
    assert results[0]["drawn"] == results[1]["drawn"]
    for result in results.values():
        assert_close(result["weights"], alone.weights(expected))
        np.testing.assert_allclose(result["loss"], history["loss"], rtol=1e-5)
        for method, error in zip(("fit", "evaluate"), result["local"], strict=True):
            assert f"`{method}` of Keras does not work with MultiWorkerMirroredStrategy on several machines" in error
        assert "TensorFlow divides the batches of `predict` itself" in result["predict"]
        of_all = expected.predict(alone.rows(shuffle=False), verbose=0)[:, 0]
        np.testing.assert_allclose(result["predicted"], of_all, atol=TOLERANCE)


TABLE = """
import sys
sys.path.insert(0, {tests!r})
from shared_table import served

def main(rank, world, port):
    return served({data!r}, {folder!r} + "/cache", lambda rows: rows.shard(rank, world))
"""


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_processes_that_open_one_cache_at_once_deliver_each_row_once(tmp_path, kind):
    path = shared_table.write(tmp_path, kind)
    code = TABLE.format(tests=os.path.dirname(shared_table.__file__), data=path, folder=str(tmp_path))
    first, second = run_ranks(code, 2, tmp_path)
    alone = shared_table.served(path, str(tmp_path / "cache"))
    without_cache = shared_table.served(path, None)

    assert first.keys() == second.keys() == alone.keys() == without_cache.keys() == {*shared_table.PARTS}
    for name, epochs in alone.items():
        for number, batches in enumerate(epochs):
            joined = [mine + other for mine, other in zip(first[name][number], second[name][number], strict=True)]
            assert joined == batches, name
            rows, expected = [*itertools.chain(*joined)], [*itertools.chain(*without_cache[name][number])]
            assert sorted(rows) == sorted(expected), name
            assert (rows == expected) == ("in order" in name), name
            assert len({row[-1] for row in rows}) == len(rows) == shared_table.PARTS[name]
        assert (epochs[0] == epochs[1]) == ("in order" in name)


def test_a_process_waits_for_the_cache_as_long_as_another_one_fills_it(tmp_path, monkeypatch):
    (tmp_path / "rows.csv").write_text("x,y\n" + "".join(f"{number},1\n" for number in range(8)))
    tries, open_writer = iter(range(3000)), stored.shared_writer  # more than the depth of Python's stack

    def busy(*arguments):
        if next(tries, None) is not None:
            raise ko.BusyError("another process is filling the cache")
        return open_writer(*arguments)

    monkeypatch.setattr(stored, "shared_writer", busy)
    monkeypatch.setattr(stored, "POLL_SECONDS", 0)
    rows = ko.CSVChunkSequence(tmp_path / "rows.csv", "y", batch_size=4, seed=1, cache=tmp_path / "cache")
    served = [rows.shard(index, 2) for index in range(2)]

    assert sorted(int(x) for shard in served for batch, _ in shard for x in batch[:, 0]) == [*range(8)]
    assert next(tries, None) is None
