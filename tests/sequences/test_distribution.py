"""What Keras reads in a training that is distributed over processes, or over replicas of a `tf.distribute` strategy."""

import subprocess
import sys
import textwrap
import warnings

import hidden_packages
import keras
import numpy as np
import pytest
from recording import IdleRecorder, compiled, idle_recorder, numbered

import keras_oocore as ko

TIMEOUT = 500  # seconds for a child process, on a busy machine


class FakeDistribution:
    """What Keras asks of a distribution, without other processes."""

    def __init__(self, num_processes, auto_shard_dataset=True):
        self.num_processes, self.auto_shard_dataset = num_processes, auto_shard_dataset
        self.num_model_replicas, self.data_shard_id = num_processes, 0


def served_under(distribution, monkeypatch):
    """The samples of an epoch of Keras, whose process asks for every second index as in Keras 3.16."""
    monkeypatch.setattr(keras.distribution, "distribution", lambda: distribution)
    sequence = numbered(24)
    sequence.on_epoch_begin()
    return sequence


def test_several_processes_that_keras_gives_indices_are_an_error(monkeypatch):
    """Each process would ask for its own indices and receive the same batches, those of the first half of the pass."""
    with pytest.raises(ko.OptionError) as caught:
        served_under(FakeDistribution(2), monkeypatch)
    message = str(caught.value)

    assert "Keras divides the data among 2 processes by index. This ArraySequence serves batches in the" in message
    assert "Set `auto_shard_dataset=False` of FakeDistribution" in message
    assert "train on `sequence.shard()`, the share of this process in every batch" in message
    assert message.endswith("Received: auto_shard_dataset=True")


@pytest.mark.parametrize(
    "distribution",
    [None, FakeDistribution(1), FakeDistribution(2, auto_shard_dataset=False)],
    ids=["no distribution", "one process", "data that is divided already"],
)
def test_one_process_or_data_that_is_divided_already_is_read_whole(distribution, monkeypatch):
    sequence = served_under(distribution, monkeypatch)

    served = [int(x) for index in range(len(sequence)) for x in sequence[index][0][:, 0]]
    assert sorted(served) == [*range(24)]


def test_loop_of_the_user_is_not_divided(monkeypatch):
    monkeypatch.setattr(keras.distribution, "distribution", lambda: FakeDistribution(2))

    assert sum(len(x) for x, _ in numbered(24)) == 24


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="keras.distribution works on JAX")
def test_one_process_under_a_distribution_trains_on_every_sample():
    rows = np.arange(24, dtype="float32")[:, np.newaxis]
    distribution = keras.distribution.DataParallel(devices=keras.distribution.list_devices("cpu")[:1])
    with distribution.scope():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
        model.compile("sgd", "mse")
        predicted = model.predict(ko.ArraySequence(rows, labels=None, shuffle=False, batch_size=4), verbose=0)

    assert predicted[:, 0].tolist() == rows[:, 0].tolist()


FOUND = "keras_oocore.sequences.distribution.found_process"


@pytest.fixture
def two_processes(monkeypatch):
    """This is process 0 of 2, as far as the package knows, and Keras averages gradients."""
    monkeypatch.setattr(FOUND, lambda: (0, 2, "keras.distribution"))
    monkeypatch.setattr("keras_oocore.sequences.distribution.averages_nothing", lambda: False)


@pytest.mark.one_backend
def test_fit_of_a_whole_sequence_in_several_processes_warns(two_processes):
    model = idle_recorder()

    with pytest.warns(UserWarning, match="2 processes train, and each reads this whole Sequence"):
        model.fit(numbered(8), verbose=0)
    for sequence in (numbered(8).shard(0, 2), numbered(8).shard(0, 1), numbered(16).partition(2)[0]):
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            model.fit(sequence, validation_data=numbered(8), verbose=0)


@pytest.mark.one_backend
def test_shard_of_another_number_of_processes_is_an_error(two_processes):
    with pytest.raises(ko.OptionError, match="Keras trains with 2 processes, and this Sequence is a shard of 4"):
        idle_recorder().fit(numbered(8).shard(0, 4), verbose=0)


@pytest.fixture
def on_torch(two_processes, monkeypatch):
    """Keras trains each of two processes for itself, and their weights are equal."""
    monkeypatch.setattr("keras_oocore.sequences.distribution.averages_nothing", lambda: True)
    monkeypatch.setattr("keras_oocore.sequences.equal_training._require_equal_weights", lambda model: None)


@pytest.mark.one_backend
def test_processes_that_average_nothing_do_not_fit_and_do_not_evaluate_shards(on_torch):
    model, shard = idle_recorder(), numbered(8).shard(0, 2, gradients_averaged=True)

    model.fit(shard, validation_data=numbered(8), verbose=0)
    for sequence in (numbered(8), numbered(8).shard(0, 2)):
        with pytest.raises(ko.OptionError, match="does not average the gradients of several processes on torch"):
            model.fit(sequence, verbose=0)
    with pytest.raises(ko.OptionError, match="Evaluate the whole Sequence in all processes, without `shard`"):
        model.fit(shard, validation_data=shard, verbose=0)


def test_batches_that_may_be_shorter_are_an_error_with_several_devices(monkeypatch, tmp_path):
    devices = FakeDistribution(1)
    devices.num_model_replicas = 2
    monkeypatch.setattr(keras.distribution, "distribution", lambda: devices)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    np.save(tmp_path / "a.npy", np.zeros(3))
    sequence = ko.NpyManifestSequence([tmp_path / "a.npy"] * 4, labels=None, batch_size=2, on_error="skip")

    with pytest.raises(ko.OptionError, match='on_error="skip" makes batches shorter, so 2 devices may not divide'):
        sequence.on_epoch_begin()


@pytest.fixture
def steps(monkeypatch):
    """The calls of `train_step` that came so far, while one process has two devices of JAX, as the package sees it."""
    devices = FakeDistribution(1)
    devices.num_model_replicas = 2
    monkeypatch.setattr("keras_oocore.sequences.distribution.found_process", lambda: None)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(keras.distribution, "distribution", lambda: devices)
    return []


def counting(steps):
    """A model that counts the batches that it trains on."""

    class Counting(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            steps.append(batch)

    return Counting()


@pytest.mark.one_backend
@pytest.mark.parametrize("how", ["fit", "fit_resumable", "fit_phases"])
def test_bad_validation_data_are_refused_before_the_first_step(steps, how, tmp_path):
    model, train, ragged = idle_recorder(), numbered(8, batch_size=4), numbered(7, batch_size=4)
    options = dict(callbacks=[counting(steps)], verbose=0)
    kept = dict(checkpoint=tmp_path / "run", **options)
    phases = [ko.Phase(1), ko.Phase(1, validation_data=ragged)]
    fit = {
        "fit": lambda: model.fit(train, validation_data=ragged, **options),
        "fit_resumable": lambda: ko.fit_resumable(model, train, epochs=2, validation_data=ragged, **kept),
        "fit_phases": lambda: ko.fit_phases(model, phases, train, **kept),
    }

    with pytest.raises(ko.OptionError, match="The last batch has 3 samples, which 2 devices of this process cannot"):
        fit[how]()
    assert steps == []


@pytest.mark.one_backend
def test_shards_to_validate_are_refused_before_the_first_step(on_torch):
    shard, steps = numbered(8).shard(0, 2, gradients_averaged=True), []

    with pytest.raises(ko.OptionError, match="The same applies to `validation_data`"):
        idle_recorder().fit(shard, validation_data=numbered(8).shard(0, 2), callbacks=[counting(steps)], verbose=0)
    assert steps == []


class Normalizing(IdleRecorder):
    """A model whose validation depends on moving statistics."""

    def __init__(self, fail_at=None):
        super().__init__(fail_at)
        self.normalization = keras.layers.BatchNormalization()

    def call(self, x, training=False):
        return self.dense(self.normalization(x, training=training))


def normalizing_recorder(trainable=True):
    model = compiled(Normalizing)
    model.normalization.trainable = trainable
    return model


class AverageLogs(keras.callbacks.Callback):
    """A callback of a user."""


EARLY, REDUCE = keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau
MEAN = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("callbacks", "model", "message"),
    [
        (EARLY("loss"), idle_recorder, "`EarlyStopping` would decide by the `loss` of its own shard.*wait for it"),
        (REDUCE("accuracy"), idle_recorder, "by the `accuracy` of its own shard.*with different learning rates"),
        (keras.callbacks.TerminateOnNaN(), idle_recorder, "`TerminateOnNaN` would decide by the `loss` of its own"),
        (EARLY(), normalizing_recorder, "`val_loss`, which depends on the moving statistics of `BatchNormalization`"),
        ([EARLY("loss"), AverageLogs()], idle_recorder, "Use `ko.fit_resumable`, which gives callbacks the mean"),
    ],
)
def test_callbacks_that_decide_by_the_numbers_of_one_process_are_refused(on_torch, callbacks, model, message):
    model, shard, steps = model(), numbered(8).shard(0, 2, gradients_averaged=True), []

    for _ in range(2):  # Keras builds the model in the first call only
        with pytest.raises(ko.OptionError, match=message):
            model.fit(shard, validation_data=numbered(8), callbacks=[callbacks, counting(steps)], verbose=0)
        assert steps == []


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("callbacks", "model"),
    [
        ([EARLY(), REDUCE("val_loss")], idle_recorder),
        ([AverageLogs(), EARLY("loss")], normalizing_recorder),
        ([MEAN, EARLY("loss")], idle_recorder),
        ([EARLY()], lambda: normalizing_recorder(trainable=False)),
    ],
)
def test_callbacks_that_decide_by_equal_numbers_are_used(on_torch, callbacks, model):
    shard = numbered(8).shard(0, 2, gradients_averaged=True)

    assert model().fit(shard, validation_data=numbered(8), callbacks=callbacks, verbose=0).epoch == [0]


@pytest.mark.one_backend
def test_fit_of_a_shard_in_one_process_warns(monkeypatch):
    monkeypatch.setattr(FOUND, lambda: None)
    with pytest.warns(UserWarning, match="This process trains alone on shard 1 of 2, because Keras knows of no other"):
        idle_recorder().fit(numbered(8).shard(1, 2), verbose=0)


def test_shard_cannot_be_predicted_in_order():
    with pytest.raises(ko.OptionError, match="All samples are predicted, and this is shard 0 of 2"):
        numbered(8).shard(0, 2).in_order()


DEVICES = """
import keras, numpy as np, pytest
import keras_oocore as ko
x = np.random.default_rng(0).random((37, 6)).astype("float32")
def rows(n, **options):
    return ko.ArraySequence(x[:n], x[:n].sum(1), batch_size=8, seed=1, **options)
def trained():
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((6,)), *layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    history = model.fit(rows(37, last_batch="drop"), validation_data=rows(36), epochs=2, verbose=0).history
    return model, [np.asarray(weight) for weight in model.weights], history["loss"] + history["val_loss"]
model, expected, losses = trained()
even, ragged = model.predict(rows(36), verbose=0), ko.predict(model, rows(37))["prediction"]
devices = keras.distribution.DataParallel(devices=keras.distribution.list_devices("cpu"))
assert devices.num_model_replicas == 2
with devices.scope():
    parallel, weights, found = trained()
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    np.testing.assert_allclose(parallel.predict(rows(36), verbose=0), even, atol=1e-5)
    for call in (parallel.fit, parallel.evaluate):
        with pytest.raises(ko.OptionError, match='The last batch has 5 samples, which 2 devices .*last_batch="pad"'):
            call(rows(37), verbose=0)
    with pytest.raises(ko.OptionError, match="Use `ko.predict"):
        parallel.predict(rows(37), verbose=0)
    table = ko.predict(parallel, rows(37))
    with pytest.raises(ko.OptionError, match="Batches have 7 samples, which 2 devices .*Use a `batch_size` that 2"):
        parallel.fit(ko.ArraySequence(x, x[:, 0], batch_size=7), verbose=0)
np.testing.assert_allclose(table["prediction"], ragged, atol=1e-5)
"""


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="keras.distribution works on JAX")
def test_two_devices_of_jax_train_as_one(request):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    run_child(DEVICES, [], request, JAX_DISABLE_MOST_OPTIMIZATIONS="1", **flags)  # compiled faster


def run_child(script, arguments, request, **environment):
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        env={**hidden_packages.environment(), **environment},
        cwd=request.config.rootpath / "tests",
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert child.returncode == 0, child.stderr[-3000:]


STRATEGY = """
import sys
import keras, numpy as np, tensorflow as tf
from recording import numbered, planned
num_replicas, num_samples = int(sys.argv[1]), 8 * int(sys.argv[2])
devices = [tf.config.LogicalDeviceConfiguration()] * num_replicas
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
strategy, given = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(num_replicas)]), []
class Recorder(keras.Sequential):
    def train_step(self, data):
        tf.py_function(lambda x: given.append(x.numpy().ravel().astype(int).tolist()), [data[0]], [])
        return super().train_step(data)
with strategy.scope():
    model = Recorder([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e-9), "mse")
sequence, validation = numbered(num_samples, 8), numbered(num_samples, 8)
model.fit(sequence, epochs=2, validation_data=validation, verbose=0)
model.fit(sequence, epochs=1, verbose=0)
model.evaluate(sequence, verbose=0)
steps = num_samples // 8 * num_replicas
for epoch in range(3):  # the replicas of a batch may come in any order
    of_epoch = given[epoch * steps : (epoch + 1) * steps]
    served = [sorted(sum(of_epoch[i : i + num_replicas], [])) for i in range(0, steps, num_replicas)]
    plan = planned(sequence, epoch)
    assert served == [sorted(plan[i : i + 8]) for i in range(0, num_samples, 8)], (epoch, served, plan)
assert sequence.cursor.position == (4, 0) and validation.cursor.position == (2, 0)
"""
WEIGHTS = """
import keras, numpy as np, tensorflow as tf
import keras_oocore as ko
devices = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
x = np.random.default_rng(0).random((37, 6)).astype("float32")
def rows(n, **options):
    return ko.ArraySequence(x[:n], x[:n].sum(1), batch_size=8, seed=1, **options)
def results(strategy):
    with strategy.scope():
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
    validation = rows(36, shuffle=False)
    history = model.fit(rows(37, last_batch="drop"), validation_data=validation, epochs=2, verbose=0).history
    weights = np.concatenate([weight.numpy().ravel() for weight in model.weights])
    predicted = model.predict(rows(37, shuffle=False), verbose=0)[:, 0]
    np.testing.assert_allclose(ko.predict(model, rows(37))["prediction"], predicted, atol=1e-6)
    return weights, history["loss"], history["val_loss"], model.evaluate(validation, verbose=0), predicted
alone = results(tf.distribute.get_strategy())
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for one, other in zip(results(strategy), alone, strict=True):
    np.testing.assert_allclose(one, other, atol=1e-6)
with strategy.scope():
    keras.utils.set_random_seed(3)
    for layer in [keras.layers.Dropout(0.5), keras.layers.GaussianNoise(1.0), keras.layers.RandomFlip()]:
        drawn = tf.function(strategy.run)(lambda: layer(np.reshape(x[:32], (12, 4, 4, 1)), training=True))
        one, other = strategy.experimental_local_results(drawn)
        np.testing.assert_array_equal(one, other)
"""


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strategies are of TensorFlow")
def test_two_replicas_of_tensorflow_train_as_one(request):
    run_child(WEIGHTS, [], request)


LONG = pytest.mark.soak


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strategies are of TensorFlow")
@pytest.mark.parametrize(
    ("num_replicas", "num_batches"),
    [(2, 12), *(pytest.param(n, k, marks=LONG) for n, k in [(1, 12), (4, 12), (1, 1), (2, 3), (4, 2), (2, 40)])],
)
def test_epochs_under_a_strategy_are_the_passes_of_the_plan(num_replicas, num_batches, request):
    run_child(STRATEGY, [str(num_replicas), str(num_batches)], request)
