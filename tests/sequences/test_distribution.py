"""What Keras reads in a training that is distributed over processes, or over replicas of a `tf.distribute` strategy."""

import subprocess
import sys
import textwrap

import hidden_packages
import keras
import numpy as np
import pytest
from recording import numbered

import keras_oocore as ko

TIMEOUT = 500  # seconds for a child process, on a busy machine


class FakeDistribution:
    """What Keras asks of a distribution, without other processes."""

    def __init__(self, num_processes, auto_shard_dataset=True):
        self.num_processes, self.auto_shard_dataset = num_processes, auto_shard_dataset


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
LONG = pytest.mark.soak


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strategies are of TensorFlow")
@pytest.mark.parametrize(
    ("num_replicas", "num_batches"),
    [(2, 12), *(pytest.param(n, k, marks=LONG) for n, k in [(1, 12), (4, 12), (1, 1), (2, 3), (4, 2), (2, 40)])],
)
def test_epochs_under_a_strategy_are_the_passes_of_the_plan(num_replicas, num_batches, request):
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(STRATEGY), str(num_replicas), str(num_batches)],
        env=hidden_packages.environment(),
        cwd=request.config.rootpath / "tests",
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert child.returncode == 0, child.stderr[-3000:]
