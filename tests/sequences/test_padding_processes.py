"""`last_batch="pad"` in real processes. The last of 325 rows in batches of 32 leave one of two only padding."""

import keras
import numpy as np
import pytest
from ranks import run_ranks

TOLERANCE = 1e-6  # sums of gradients in another order

DATA = """
import numpy as np
import keras
import keras_oocore as ko

X = np.random.default_rng(0).random((325, 6)).astype("float32")
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
    model, data = new_model(), rows(last_batch="pad").shard()
    validation = rows(shuffle=False, last_batch="pad_for_evaluation").shard()
    history = model.fit(data, validation_data=validation, epochs=2, verbose=0).history
    return {"weights": weights(model), "history": history}
"""
)

TORCH = (
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


def trained_alone():
    """The weights and the history of one process."""
    names = {}
    exec(DATA, names)
    model, rows = names["new_model"](), names["rows"]
    history = model.fit(rows(), validation_data=rows(shuffle=False), epochs=2, verbose=0).history
    return [np.asarray(keras.ops.convert_to_numpy(w)) for w in model.weights], history


def assert_close(weights, expected):
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE)


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="keras.distribution is of JAX")
@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.soak)])
def test_padded_last_batch_on_several_processes_of_jax(world, tmp_path):
    expected, history = trained_alone()

    for result in run_ranks(JAX, world, tmp_path, "jax"):
        assert_close(result["weights"], expected)
        for name in ("val_loss", "val_accuracy"):
            np.testing.assert_allclose(result["history"][name], history[name], rtol=1e-5)


@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="torch.distributed is of torch")
def test_padded_last_batch_on_two_processes_of_torch(tmp_path):
    expected, _ = trained_alone()

    for result in run_ranks(TORCH, 2, tmp_path, "torch"):
        assert_close(result["weights"], expected)
