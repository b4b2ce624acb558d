"""Shards in real processes: one training on several processes, and a cache that all of them open at once."""

import itertools

import keras
import numpy as np
import pytest
from ranks import run_ranks

import keras_oocore as ko
from keras_oocore.tables import stored

TOLERANCE = 1e-6  # sums of gradients in another order

DATA = """
import numpy as np
import keras
import keras_oocore as ko

X = np.random.default_rng(0).random((NUM_ROWS, 6)).astype("float32")
Y = (X.sum(1) > 3).astype("float32")

def rows(**options):
    return ko.ArraySequence(X, Y, batch_size=32, seed=1, label_mode="raw", **options)

def new_model():
    keras.utils.set_random_seed(3)
    layers = [keras.Input((6,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", weighted_metrics=["accuracy"])
    return model

def weights(model):
    return [np.asarray(keras.ops.convert_to_numpy(w)).tolist() for w in model.weights]
"""

JAX = (
    DATA
    + """
def main(rank, world, port):
    keras.distribution.initialize(f"127.0.0.1:{port}", world, rank)
    devices = keras.distribution.list_devices("cpu")
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False))
    model, data = new_model(), rows().shard()
    history = model.fit(data, validation_data=rows(shuffle=False).shard(), epochs=2, verbose=0).history
    return {"weights": weights(model), "history": history, "repr": repr(data)}
"""
)

PADDED_JAX = JAX.replace("rows()", 'rows(last_batch="pad")').replace(
    "rows(shuffle=False)", 'rows(shuffle=False, last_batch="pad_for_evaluation")'
)

TORCH = (
    DATA
    + """
import torch

def main(rank, world, port):
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    data = rows().shard()
    result = {"repr": repr(data)}
    try:
        new_model().fit(data, verbose=0)
    except ko.OptionError as error:
        result["error"] = str(error)

    model = new_model()
    for variable in model.trainable_variables:
        variable.value.register_post_accumulate_grad_hook(average)
    averaged = rows().shard(gradients_averaged=True)
    model.fit(averaged, epochs=2, verbose=0)
    result["weights"] = weights(model)

    loop = new_model()
    parallel, optimizer = torch.nn.parallel.DistributedDataParallel(loop), torch.optim.SGD(loop.parameters(), 0.1)
    for epoch in range(2):
        for x, y in data:
            optimizer.zero_grad()
            predicted = parallel(torch.from_numpy(x))[:, 0]
            torch.nn.functional.binary_cross_entropy(predicted, torch.from_numpy(y)).backward()
            optimizer.step()
    result["loop"] = weights(loop)
    return result

def average(parameter):
    parameter.grad.div_(torch.distributed.get_world_size())
    torch.distributed.all_reduce(parameter.grad)
"""
)


PADDED_TORCH = (
    DATA
    + """
import torch

def average(parameter):
    parameter.grad.div_(torch.distributed.get_world_size())
    torch.distributed.all_reduce(parameter.grad)

def main(rank, world, port):
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    model = new_model()
    for variable in model.trainable_variables:
        variable.value.register_post_accumulate_grad_hook(average)
    model.fit(rows(last_batch="pad").shard(gradients_averaged=True), epochs=2, verbose=0)
    return {"weights": weights(model)}
"""
)
RAGGED_ROWS = 325  # the last batch has 5 rows, so one of two processes has only padding


def of_rows(code, num_rows):
    """The code with this number of rows."""
    return f"NUM_ROWS = {num_rows}\n{code}"


def trained_alone(epochs=2, num_rows=320):
    """The weights and the history of one process."""
    names = {}
    exec(of_rows(DATA, num_rows), names)
    model = names["new_model"]()
    rows = names["rows"]
    history = model.fit(rows(), validation_data=rows(shuffle=False), epochs=epochs, verbose=0).history
    return [np.asarray(keras.ops.convert_to_numpy(w)) for w in model.weights], history


def assert_close(weights, expected):
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(np.array(one, np.float32), other, atol=TOLERANCE)


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="keras.distribution is of JAX")
@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.soak)])
def test_fit_on_several_processes_of_jax_is_that_of_one(world, tmp_path):
    expected, history = trained_alone()

    for rank, result in enumerate(run_ranks(of_rows(JAX, 320), world, tmp_path, "jax")):
        assert f", shard {rank} of {world} (by keras.distribution)" in result["repr"]
        assert_close(result["weights"], expected)
        np.testing.assert_allclose(result["history"]["loss"], history["loss"], rtol=1e-5)
        np.testing.assert_allclose(result["history"]["val_loss"], history["val_loss"], rtol=1e-5)


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="torch.distributed is of torch")
def test_two_processes_of_torch_train_as_one_and_fit_requires_averaged_gradients(tmp_path):
    expected, _ = trained_alone()
    results = run_ranks(of_rows(TORCH, 320), 2, tmp_path, "torch")

    for rank, result in enumerate(results):
        assert f", shard {rank} of 2 (by torch.distributed)" in result["repr"]
        assert_close(result["weights"], expected)
        assert_close(result["loop"], expected)
        if "error" in result or keras.__version__ < "3.16":
            assert "does not average the gradients of several processes on torch" in result["error"]


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="keras.distribution is of JAX")
@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.soak)])
def test_padded_last_batch_on_several_processes_of_jax(world, tmp_path):
    expected, history = trained_alone(num_rows=RAGGED_ROWS)

    for result in run_ranks(of_rows(PADDED_JAX, RAGGED_ROWS), world, tmp_path, "jax"):
        assert_close(result["weights"], expected)
        for name in ("val_loss", "val_accuracy"):
            np.testing.assert_allclose(result["history"][name], history[name], rtol=1e-5)


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="torch.distributed is of torch")
def test_padded_last_batch_on_two_processes_of_torch(tmp_path):
    expected, _ = trained_alone(num_rows=RAGGED_ROWS)

    for result in run_ranks(of_rows(PADDED_TORCH, RAGGED_ROWS), 2, tmp_path, "torch"):
        assert_close(result["weights"], expected)


TABLE = """
import keras_oocore as ko

def main(rank, world, port):
    rows = ko.CSVChunkSequence("{folder}/rows.csv", target="y", batch_size=10, seed=1, cache="{folder}/cache")
    return [x[:, 0].tolist() for x, _ in rows.shard(rank, world)]
"""


def test_processes_that_open_one_cache_at_once_have_one_order(tmp_path):
    rows = "".join(f"{number},{number % 7}\n" for number in range(30_000))
    (tmp_path / "rows.csv").write_text("x,y\n" + rows)
    results = run_ranks(TABLE.format(folder=tmp_path), 2, tmp_path)

    served = [first + second for first, second in zip(*results, strict=True)]
    assert sorted(itertools.chain(*served)) == [*range(30_000)]
    assert len(served) == 3000


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
