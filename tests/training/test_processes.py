"""One training on several processes: saved by the first, and resumed on any number of them."""

import csv
import json
import random
import signal

import keras
import numpy as np
import pytest
from ranks import codes, results, run_attempts

BACKEND = keras.backend.backend()
pytestmark = [
    pytest.mark.backend,
    pytest.mark.skipif(BACKEND == "tensorflow", reason="`fit` of Keras on TensorFlow trains in one process"),
]
SIGKILL, SIGTERM = int(signal.SIGKILL), int(signal.SIGTERM)
TOLERANCE = 1e-6  # sums of gradients in another order
EPOCHS, NUM_BATCHES, BATCH_SIZE = 3, 5, 8
START_SECONDS = 3 if BACKEND == "jax" else 0.5  # until its first batch; on torch, Keras is imported before

CODE = """
import json, os, signal, threading
import numpy as np
import keras
import keras_oocore as ko
from keras_oocore.training import agreement

SEEN = []  # batches of this process
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


def kill_in(seconds):
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()


class Log(keras.callbacks.Callback):
    # Writes the samples of every batch, and sends a signal to its own process: after batch `at` of the training, or
    # some time after a batch of this process, in `soon`.

    def __init__(self, folder, rank, world, at, soon):
        super().__init__()
        self._path, self._rank, self._world, self._at, self._soon = f"{folder}/served", rank, world, at, soon
        self.num_batches = 0

    def on_train_batch_end(self, batch, logs=None):
        samples = None if self.data is None else self.data.samples_of(batch).tolist()
        with open(self._path, "a") as file:
            file.write(json.dumps([self.num_batches, self._rank, self._world, samples]) + "\\n")
        self.num_batches += 1
        if self._at and self._at[:2] == (self._rank, self.num_batches):
            os.kill(os.getpid(), self._at[2])
        SEEN.append(batch)
        if self._soon and self._soon[:2] == (self._rank, len(SEEN)):
            kill_in(self._soon[2])


def main(rank, world, port, folder, at=None, save=2, soon=None, meets=None, train="resumable", epochs=3):
    if soon and soon[:2] == (rank, 0):
        kill_in(soon[2])
    begin(rank, world, port)
    os.makedirs(folder, exist_ok=True)
    if meets is not None:
        agreement.SECONDS = meets
    model, data = new_model(), share(rows(), world)
    average_gradients(model, world)
    log = Log(folder, rank, world, at, soon)
    log.data = None if train == "partitions" else data
    options = dict(
        checkpoint=f"{folder}/checkpoints",
        save_every_batches=save,
        validation_data=rows(16, shuffle=False),
        verbose=2,
    )
    callbacks = [log, keras.callbacks.CSVLogger(f"{folder}/log.csv")]
    if train == "resumable":
        history = ko.fit_resumable(model, data, epochs=epochs, callbacks=callbacks, **options)
    elif train == "partitions":
        history = ko.fit_partitions(model, data, n=3, callbacks=callbacks, **options)
    else:
        phases = [ko.Phase(1, freeze="body"), ko.Phase(2, learning_rate=0.003, unfreeze="all")]
        history = ko.fit_phases(model, phases, data, callbacks=callbacks, **options)
    return {"weights": weights(model), "epochs": history.epoch, "history": history.history}
"""


def lines(folder):
    """Return what each process was served: number of the batch, rank, number of processes and samples."""
    return [json.loads(line) for line in (folder / "served").read_text().splitlines()]


def assert_served(folder, epochs=EPOCHS):
    """Check that each process was served its share of every batch of one process."""
    names, whole = {}, []
    exec(CODE, names)
    rows = names["rows"]()
    for epoch in range(epochs):
        rows.load_state_dict({**rows.state_dict(), "epoch": epoch, "batches": 0})
        whole += [rows.samples_of(batch).tolist() for batch in range(NUM_BATCHES)]
    for number, rank, world, samples in lines(folder):
        share = BATCH_SIZE // world
        assert samples == whole[number][rank * share : (rank + 1) * share]
    assert {number for number, *_ in lines(folder)} == {*range(epochs * NUM_BATCHES)}


def assert_alike(results, expected, epochs=EPOCHS):
    """Check that trainings ended alike."""
    for result in results:
        for one, other in zip(result["weights"], expected["weights"], strict=True):
            np.testing.assert_allclose(one, other, atol=TOLERANCE)
        assert result["epochs"] == expected["epochs"] == [*range(epochs)]
        assert result["history"].keys() == expected["history"].keys()
        for name, values in expected["history"].items():
            for epoch, (one, other) in enumerate(zip(result["history"][name], values, strict=True)):
                same = one == other if isinstance(other, str) else one == pytest.approx(other, rel=0, abs=TOLERANCE)
                assert same, (name, epoch, one, other)


def assert_one_line_per_epoch(folder, epochs=EPOCHS):
    with open(folder / "log.csv") as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == [*range(epochs)]


def test_training_killed_on_two_processes_continues_on_four_one_and_two(tmp_path):
    killed = {"folder": f"{tmp_path}/killed"}
    attempts = [
        (1, {"folder": f"{tmp_path}/alone"}),
        (2, {**killed, "at": (1, 3, SIGKILL)}),
        (4, {**killed, "at": (0, 5, SIGKILL)}),
        (1, {**killed, "at": (0, 9, SIGKILL)}),
        (2, killed),
    ]
    output = run_attempts(CODE, attempts, tmp_path, BACKEND)

    (expected,) = results(tmp_path / "0", 1, output)
    for number, rank in enumerate([1, 0, 0], 1):
        assert codes(tmp_path / str(number))[rank] == -SIGKILL, output
    assert_alike(results(tmp_path / "4", 2, output), expected)
    assert_served(tmp_path / "killed")
    assert_one_line_per_epoch(tmp_path / "killed")


def test_signal_to_one_process_stops_all_after_one_batch_and_the_training_is_saved(tmp_path):
    stopped = {"folder": f"{tmp_path}/stopped", "save": None}
    attempts = [
        (1, {"folder": f"{tmp_path}/alone"}),
        (2, {**stopped, "at": (1, 3, SIGTERM), "meets": 0}),
        (2, {**stopped, "at": (0, 7, SIGTERM)}),
        (2, stopped),
    ]
    output = run_attempts(CODE, attempts, tmp_path, BACKEND)

    assert "SIGTERM: the training stops in all 2 processes after one of the next batches and is saved." in output
    for number in (1, 2):
        assert codes(tmp_path / str(number)) == [128 + SIGTERM] * 2, output
    given = [(number, rank) for number, rank, *_ in lines(tmp_path / "stopped")]
    assert sorted(given) == [(number, rank) for number in range(EPOCHS * NUM_BATCHES) for rank in range(2)]
    assert_served(tmp_path / "stopped")
    (expected,) = results(tmp_path / "0", 1, output)
    assert_alike(results(tmp_path / "3", 2, output), expected)
    assert_one_line_per_epoch(tmp_path / "stopped")


@pytest.mark.parametrize("train", ["partitions", "phases"])
def test_partitions_and_phases_resume_on_several_processes(train, tmp_path):
    killed = {"folder": f"{tmp_path}/killed", "train": train}
    attempts = [
        (1, {"folder": f"{tmp_path}/alone", "train": train}),
        (2, {**killed, "at": (1, NUM_BATCHES - 1, SIGKILL)}),
        (2, killed),
    ]
    output = run_attempts(CODE, attempts, tmp_path, BACKEND)

    (expected,) = results(tmp_path / "0", 1, output)
    assert_alike(results(tmp_path / "2", 2, output), expected)
    assert_one_line_per_epoch(tmp_path / "killed")


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(4))
def test_kills_at_any_moment_on_any_number_of_processes(seed, tmp_path):
    """At least ten kills each: while a process starts, in a step, while it saves. They leave epochs to train."""
    chance, epochs, killed = random.Random(seed), 25, {"folder": f"{tmp_path}/killed", "epochs": 25}
    attempts = [(1, {**killed, "folder": f"{tmp_path}/alone"})]
    for number in range(14):
        world = chance.choice([1, 2, 2, 4])
        starts = number % 5 == 4  # killed so many seconds after its start
        when = (0, chance.uniform(0, START_SECONDS)) if starts else (chance.randint(1, 5), chance.uniform(0, 0.03))
        attempts.append((world, {**killed, "soon": (chance.randrange(world), *when)}))
    attempts.append((chance.choice([1, 2, 4]), killed))
    output = run_attempts(CODE, attempts, tmp_path, BACKEND)

    assert sum(-SIGKILL in codes(tmp_path / str(number)) for number in range(len(attempts))) >= 10, output
    (expected,) = results(tmp_path / "0", 1, output)
    last = len(attempts) - 1
    assert_alike(results(tmp_path / str(last), attempts[-1][0], output), expected, epochs)
    assert_served(tmp_path / "killed", epochs)
    assert_one_line_per_epoch(tmp_path / "killed", epochs)
    left = {path.name for path in (tmp_path / "killed" / "checkpoints").iterdir()}
    assert len(left) == 3, left  # two checkpoints and the lock


TOGETHER = (
    CODE
    + """
class StopIn(keras.callbacks.Callback):
    # Stops one process after a batch. All have another `spread`, which decides nothing.

    def __init__(self, rank, batch):
        super().__init__()
        self._stops, self._batch, self.num_batches = rank, batch, 0

    def on_train_batch_end(self, batch, logs=None):
        self.num_batches += 1
        if self._stops and self.num_batches == self._batch:
            self.model.stop_training = True


def main(rank, world, port, folder):
    begin(rank, world, port)
    agreement.SECONDS = 0
    told = {"errors": []}

    def train(data, checkpoint, callbacks=(), seed=3, epochs=3, validation_data=None):
        model = new_model(seed)
        average_gradients(model, world)
        options = dict(validation_data=validation_data, callbacks=[*callbacks], verbose=0)
        history = ko.fit_resumable(model, data, epochs, f"{folder}/{checkpoint}", **options)
        return history.epoch, history.history, weights(model)

    def refused(*arguments, **options):
        try:
            train(*arguments, **options)
            told["errors"].append("")
        except ko.OutOfCoreError as error:
            told["errors"].append(f"{type(error).__name__}: {error}")

    whole, own = rows(), share(rows(), world)
    refused(whole, "whole")
    refused(own, "validation", validation_data=rows(16).shard(1 - rank, 2))
    refused(rows().shard(1 - rank, 2, gradients_averaged=True), "other")
    refused(share(rows(40 - 8 * rank), world), "fewer")
    if rank == 0:
        with open(f"{folder}/file", "w"):
            pass
    refused(share(rows(), world), "file")
    train(share(rows(), world), "two", epochs=2)
    refused(share(rows(), world), "two", epochs=1)

    told["stopped"] = train(share(rows(), world), "stopped", [StopIn(rank == 1, 7)])
    stopping = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=0.4)
    told["early"] = train(share(rows(), world), "early", [stopping], epochs=9)
    if not IS_JAX:  # which refuses it itself
        told["seeds"] = train(share(rows(), world), "seeds", seed=3 + rank)
        model = new_model(3 + rank)
        average_gradients(model, world)
        ko.fit_phases(model, ko.Phase(3), share(rows(), world), verbose=0)  # saves nothing
        told["unsaved"] = weights(model)
    told["same"] = train(share(rows(), world), "same", [keras.callbacks.ModelCheckpoint(f"{folder}/best.keras")])
    return told
"""
)


def test_processes_train_alike_or_not_at_all(tmp_path):
    output = run_attempts(TOGETHER, [(2, {"folder": str(tmp_path)})], tmp_path, BACKEND)
    first, second = results(tmp_path / "0", 2, output)

    whole = "OptionError: The Sequence to train on is a whole Sequence, and this is one of 2 processes"
    other = "OptionError: Process {} cannot train. Its error message says why."
    assert [error[: len(whole)] for error in (first["errors"][0], second["errors"][0])] == [whole] * 2
    for rank, told in enumerate((first, second)):
        _, validation, numbers, fewer, file, fewer_epochs = told["errors"]
        assert f"`validation_data` is shard {1 - rank} of 2, and the first Sequence to train on is" in validation
        assert (
            f"This is process {rank} of 2, and the Sequence is shard {1 - rank} of 2. Use shard({rank}, 2)" in numbers
        )
        assert "Process 1 should train like process 0. The data" in fewer if rank else fewer == other.format(1)
        assert file == other.format(0) if rank else "DestinationError: " in file and "is a file" in file
        assert "2 epochs of the training in" in fewer_epochs
    assert (tmp_path / "best.keras").exists()
    for name in ("stopped", "early", "same"):
        assert first[name] == second[name]
    assert first["stopped"][0] == [0, 1]
    assert 1 < len(first["early"][0]) < 9
    if BACKEND == "torch":
        assert first["seeds"] == second["seeds"] == first["same"]
        assert first["unsaved"] == second["unsaved"]
