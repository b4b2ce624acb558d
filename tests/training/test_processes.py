"""One training on several processes: saved by the first, and resumed on any number of them."""

import json
import signal

import keras
import numpy as np
import pytest
from ranks import codes, results, run_attempts

import keras_oocore as ko

BACKEND = keras.backend.backend()
pytestmark = [
    pytest.mark.backend,
    pytest.mark.skipif(BACKEND == "tensorflow", reason="`fit` of Keras on TensorFlow trains in one process"),
]
TOLERANCE = 1e-6  # sums of gradients in another order
EPOCHS, NUM_BATCHES, BATCH_SIZE = 3, 5, 8

CODE = """
import os, signal, threading
import tensorflow  # Keras imports it in `fit`, so it is imported before the processes are forked
import numpy as np
import keras
import keras_oocore as ko

IS_JAX = keras.backend.backend() == "jax"
X = np.random.default_rng(0).random((40, 6)).astype("float32")
Y = (X.sum(1) > 3).astype("float32")


def rows(number=40, **options):
    return ko.ArraySequence(X[:number], Y[:number], batch_size=8, seed=1, **options)


def new_model(seed=3):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Dense(8, activation="tanh", name="body"), keras.layers.Dense(1, name="head")]
    if IS_JAX:  # one program, so that dropout is that of one process
        layers.insert(1, keras.layers.Dropout(0.3))
    model = keras.Sequential([keras.Input((6,)), *layers])
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


def begin(rank, world, port, model=None):
    if world == 1:
        return
    if IS_JAX:
        keras.distribution.initialize(f"127.0.0.1:{port}", world, rank)
        devices = keras.distribution.list_devices("cpu")
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False))
    else:
        import torch

        torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)


def average_gradients(model, world):
    if IS_JAX or world == 1:
        return
    import torch

    def average(parameter):
        parameter.grad.div_(world)
        torch.distributed.all_reduce(parameter.grad)

    for variable in model.trainable_variables:
        variable.value.register_post_accumulate_grad_hook(average)


def share(data, world):
    return data.shard(gradients_averaged=not IS_JAX) if world > 1 else data


def weights(model):
    return [np.asarray(keras.ops.convert_to_numpy(w)).tolist() for w in model.weights]


class Log(keras.callbacks.Callback):
    def __init__(self, data, folder, rank, world, at):
        super().__init__()
        self._data, self._path, self._rank, self._world, self._at = data, f"{folder}/served", rank, world, at
        self.num_batches = 0

    def on_train_batch_end(self, batch, logs=None):
        samples = self._data.samples_of(batch).tolist()
        with open(self._path, "a") as file:
            file.write(json.dumps([self.num_batches, self._rank, self._world, samples]) + "\\n")
        self.num_batches += 1
        if self._at and self._at[:2] == (self._rank, self.num_batches):
            os.kill(os.getpid(), self._at[2])


def main(rank, world, port, folder, at=None, save=2, epochs=3, seconds=None, seeds=(3, 3, 3, 3)):
    begin(rank, world, port)
    os.makedirs(folder, exist_ok=True)
    model, data = new_model(seeds[rank]), share(rows(), world)
    average_gradients(model, world)
    log = Log(data, folder, rank, world, at)
    if seconds and seconds[0] == rank:
        threading.Timer(seconds[1], os.kill, (os.getpid(), signal.SIGKILL)).start()
    history = ko.fit_resumable(
        model,
        data,
        epochs=epochs,
        checkpoint=f"{folder}/checkpoints",
        save_every_batches=save,
        validation_data=share(rows(16, shuffle=False), world),
        callbacks=[log, keras.callbacks.CSVLogger(f"{folder}/log.csv")],
        verbose=2,
    )
    return {"weights": weights(model), "epochs": history.epoch, "history": history.history}
"""


def served(folder):
    """Check that each process was served its share of every batch of one process, and return the number of batches."""
    names = {"json": json}
    exec(CODE, names)
    rows, whole = names["rows"](), []
    for epoch in range(EPOCHS):
        rows.load_state_dict({**rows.state_dict(), "epoch": epoch, "batches": 0})
        whole += [rows.samples_of(batch).tolist() for batch in range(NUM_BATCHES)]
    found = set()
    for line in (folder / "served").read_text().splitlines():
        number, rank, world, samples = json.loads(line)
        share = BATCH_SIZE // world
        assert samples == whole[number][rank * share : (rank + 1) * share]
        found.add(number)
    assert found == {*range(EPOCHS * NUM_BATCHES)}


def assert_same(result, expected):
    """Check that two processes ended alike."""
    for one, other in zip(result["weights"], expected["weights"], strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE)
    assert result["epochs"] == expected["epochs"] == [*range(EPOCHS)]
    assert result["history"].keys() == expected["history"].keys()
    for name, values in expected["history"].items():
        np.testing.assert_allclose(result["history"][name], values, rtol=1e-5)


def test_training_killed_on_two_processes_continues_on_one_four_and_two(tmp_path):
    attempts = [
        (1, {"folder": f"{tmp_path}/alone"}),
        (2, {"folder": f"{tmp_path}/killed", "at": (1, 3, signal.SIGKILL.value), "seeds": (3, 3)}),
        (4, {"folder": f"{tmp_path}/killed", "at": (0, 5, signal.SIGKILL.value)}),
        (1, {"folder": f"{tmp_path}/killed", "at": (0, 9, signal.SIGKILL.value)}),
        (2, {"folder": f"{tmp_path}/killed", "seeds": (4, 4)}),
    ]
    output = run_attempts(CODE, attempts, tmp_path, BACKEND)

    (expected,) = results(tmp_path / "0", 1, output)
    for number, rank in enumerate([1, 0, 0], 1):
        assert codes(tmp_path / str(number))[rank] == -signal.SIGKILL
    assert codes(tmp_path / "4") == [0, 0], output
    for result in results(tmp_path / "4", 2, output):
        assert_same(result, expected)
    served(tmp_path / "killed")
    log, complete = ((tmp_path / name / "log.csv").read_text() for name in ("killed", "alone"))
    assert [line.split(",")[0] for line in log.splitlines()] == [line.split(",")[0] for line in complete.splitlines()]
