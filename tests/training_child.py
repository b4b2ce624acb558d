"""A small training with everything in play that a kill could spoil; as a script, a child process that is killed in it.

    python tests/training_child.py DIRECTORY [OPTION=VALUE ...]

DIRECTORY gets the checkpoints, the log, the best model, `samples.txt` (a line for each batch) and, at the end,
`result.json` and `result.npz`. The options are in `main`.
"""

import json
import os
import signal
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_oocore as ko

NUM_SAMPLES, BATCH_SIZE, NUM_BATCHES = 14, 4, 4  # the last batch is ragged
_generator = np.random.default_rng(0)
ROWS = _generator.normal(size=(NUM_SAMPLES, 5)).astype("float32")
ROWS[:, 0] = np.arange(NUM_SAMPLES)  # so that a batch tells its samples
CLASSES = _generator.integers(0, 3, NUM_SAMPLES)


def data(seed=3, **options):
    return ko.ArraySequence(ROWS, CLASSES, label_mode="int", batch_size=BATCH_SIZE, seed=seed, **options)


def validation_data(seed=5):
    """Another order each time that it is gone through."""
    rows, classes = ROWS[:6] + 0.1, CLASSES[:6]
    return ko.ArraySequence(rows, classes, label_mode="int", batch_size=4, seed=seed, shuffle=True)


def layers():
    return [
        keras.layers.Dense(6, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(3),
    ]


def compiled(model, optimizer=None, eagerly=True, **options):
    """Compiled with Adam and a schedule, unless told."""
    if optimizer is None:
        optimizer = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(1e-2, 5, 0.9))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], run_eagerly=eagerly, **options)
    return model


def tiny_model(optimizer=None, eagerly=True, **options):
    """The same weights, and the same state of dropout, whenever it is made."""
    keras.utils.set_random_seed(7)
    return compiled(keras.Sequential([keras.Input((5,)), *layers()]), optimizer, eagerly, **options)


def small_model(optimizer=None, eagerly=True, **options):
    """A faster one, for what is no matter of layers: dropout and momentum are all that remembers."""
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dropout(0.5), keras.layers.Dense(3)])
    return compiled(model, optimizer or keras.optimizers.SGD(0.01, momentum=0.9), eagerly, **options)


def variables(model):
    """Copies of all that training changes in a model: weights, generators' states, optimizer."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()  # within an epoch, JAX keeps them elsewhere
    values = map(keras.ops.convert_to_numpy, model.variables + model.optimizer.variables)
    return [np.array(value) for value in values]


def one_thread():
    """As a fixture: torch with one thread, so that busy cores do not make it wait, nor sums come out otherwise."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class SampleLog(keras.callbacks.Callback):
    """Appends the samples of each batch to a file, after the batch's number in the training.

    Batches that come again after a kill stand there twice, with the same number.
    """

    def __init__(self, path):
        super().__init__()
        self._path, self.num_batches = path, 0

    def on_train_batch_end(self, batch, logs=None):
        samples = keras.ops.convert_to_numpy(self.model.last_rows)[:, 0].round().astype(int).tolist()
        with open(self._path, "a") as file:
            file.write(f"{self.num_batches} {samples}\n")
        self.num_batches += 1


class Noting(keras.Sequential):
    """Keeps the rows of the last step."""

    def train_step(self, *args):
        self.last_rows = keras.utils.unpack_x_y_sample_weight(args[-1])[0]
        return super().train_step(*args)


def callbacks(directory, patience=3):
    return [
        keras.callbacks.EarlyStopping(patience=patience, restore_best_weights=True),
        keras.callbacks.CSVLogger(f"{directory}/log.csv"),
        keras.callbacks.ModelCheckpoint(f"{directory}/best.keras", save_best_only=True),
    ]


# --- the child ------------------------------------------------------------------------------------------------------


class Waits(keras.callbacks.Callback):
    """At one batch of the training says so, and goes on when a line comes."""

    def __init__(self, log, at_batch):
        super().__init__()
        self._log, self._at_batch = log, at_batch

    def on_train_batch_end(self, batch, logs=None):
        if self._log.num_batches == self._at_batch:
            print("waits", flush=True)
            sys.stdin.readline()


def kill_in(name, number):
    """Let the `number`-th call of a function of `os` kill this process."""
    really, left = getattr(os, name), number

    def call(*arguments, **options):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return really(*arguments, **options)

    setattr(os, name, call)


def main(directory, epochs="5", save="3", kill="", wait="0", compiled_steps="", plateau=""):
    """Train.

    Args:
        directory: for all files.
        epochs: how many.
        save: every so many batches; "time" is as told nothing.
        kill: which call of which function of `os` kills this process: "fsync-7".
        wait: the batch of the training at which it says "waits" and waits for a line.
        compiled_steps: not eagerly; then the samples are not logged.
        plateau: ReduceLROnPlateau instead of a schedule.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
    next(one_thread(), None)
    folder = Path(directory)
    keras.utils.set_random_seed(7)
    model = Noting([keras.Input((5,)), *layers()])
    compiled(model, keras.optimizers.Adam(0.01) if plateau else None, eagerly=not compiled_steps)
    log = SampleLog(folder / "samples.txt")
    used = [*callbacks(folder, patience=50), *([] if compiled_steps else [log, Waits(log, int(wait))])]
    if plateau:
        used.append(keras.callbacks.ReduceLROnPlateau(patience=0, min_delta=0.5))
    if kill:
        name, number = kill.split("-")
        kill_in(name, int(number))
    history = ko.fit_resumable(
        model,
        data(),
        epochs=int(epochs),
        checkpoint=folder / "checkpoints",
        save_every_batches=None if save == "time" else int(save),
        validation_data=validation_data(),
        callbacks=used,
        verbose=0,
    )
    np.savez(folder / "result.npz", *variables(model))
    (folder / "result.json").write_text(json.dumps([history.epoch, history.history]))


if __name__ == "__main__":
    main(sys.argv[1], **dict(argument.split("=") for argument in sys.argv[2:]))
