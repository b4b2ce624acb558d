"""A small training that uses everything a kill could damage, and `main`, the child process that is killed in it."""

import itertools
import json
import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np

import keras_oocore as ko

NUM_SAMPLES, BATCH_SIZE, NUM_BATCHES = 14, 4, 4  # the last batch is ragged
_generator = np.random.default_rng(0)
ROWS = _generator.normal(size=(NUM_SAMPLES, 5)).astype("float32")
ROWS[:, 0] = np.arange(NUM_SAMPLES)  # identifies the samples of a batch
CLASSES = _generator.integers(0, 3, NUM_SAMPLES)


def data(seed=3, **options):
    return ko.ArraySequence(ROWS, CLASSES, label_mode="int", batch_size=BATCH_SIZE, seed=seed, **options)


def validation_data(seed=5):
    """Return data in another order in each pass."""
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
    """Compile a model, by default with Adam and a schedule."""
    if optimizer is None:
        optimizer = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(1e-2, 5, 0.9))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], run_eagerly=eagerly, **options)
    return model


def tiny_model(optimizer=None, eagerly=True, **options):
    """Return a model with the same weights and the same state of dropout each time."""
    keras.utils.set_random_seed(7)
    return compiled(keras.Sequential([keras.Input((5,)), *layers()]), optimizer, eagerly, **options)


def small_model(optimizer=None, eagerly=True, **options):
    """Return a faster model, for tests that do not depend on layers. Only dropout and momentum have a state."""
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dropout(0.5), keras.layers.Dense(3)])
    return compiled(model, optimizer or keras.optimizers.SGD(0.01, momentum=0.9), eagerly, **options)


def variables(model):
    """Return copies of everything that training changes in a model: weights, states of generators, optimizer."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()  # within an epoch, JAX keeps the values outside of the variables
    values = map(keras.ops.convert_to_numpy, model.variables + model.optimizer.variables)
    return [np.array(value) for value in values]


def one_thread():
    """Run torch with one thread, as a fixture: busy cores do not make it wait, and sums have one order."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class SampleLog(keras.callbacks.Callback):
    """Appends the number of each batch in the training and its samples to a file.

    The file contains batches that are repeated after a kill twice, with the same number.
    """

    def __init__(self, path):
        super().__init__()
        self._path, self.num_batches = path, 0

    def on_train_batch_end(self, batch, logs=None):
        samples = keras.ops.convert_to_numpy(self.model.last_rows)[:, 0].round().astype(int).tolist()
        with open(self._path, "a") as file:
            file.write(f"{self.num_batches} {samples}\n")
        self.num_batches += 1


@keras.saving.register_keras_serializable()
class RowRecorder(keras.Sequential):
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


class Killed(Exception):
    """A simulated kill."""


def killer(kill):
    """Return a callback that raises `Killed`.

    Args:
        kill: A hook and the number of its call, or the number of a batch, which is killed before it counts.
    """
    hook, number = kill if isinstance(kill, tuple) else ("on_train_batch_end", kill)
    calls = itertools.count(1)

    def called(*_, **__):
        if next(calls) == number:
            raise Killed

    return keras.callbacks.LambdaCallback(**{hook: called})


# --- the child ------------------------------------------------------------------------------------------------------


def share_compilations(directory):
    """Let the children of a test share what JAX compiles."""
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_compilation_cache_dir", str(directory))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


class WaitAt(keras.callbacks.Callback):
    """Prints "waits" at one batch of the training, and continues when it reads a line."""

    def __init__(self, log, at_batch):
        super().__init__()
        self._log, self._at_batch = log, at_batch

    def on_train_batch_end(self, batch, logs=None):
        if self._log.num_batches == self._at_batch:
            print("waits", flush=True)
            sys.stdin.readline()


def kill_in(name, number):
    """Kill this process in call `number` of a function of `os`."""
    function, left = getattr(os, name), number

    def call(*arguments, **options):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    setattr(os, name, call)


def main(directory, epochs=5, save=3, kill=None, wait=0, compiled_steps=False, plateau=False):
    """Train.

    Args:
        directory: Receives the checkpoints, the log, the best model, `samples.txt` (one line per batch) and, at the
            end, `result.json` and `result.npz`.
        epochs: Number of epochs.
        save: Save after this many batches. `None` decides by time.
        kill: Function of `os` and number of the call that kills this process, such as "fsync-7".
        wait: Batch of the training at which to print "waits" and wait for a line.
        compiled_steps: Whether to compile the steps. In that case, samples are not logged.
        plateau: Whether to use `ReduceLROnPlateau` instead of a schedule.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs of a shell
    next(one_thread(), None)
    folder = Path(directory)
    share_compilations(folder.parent / "jax")
    keras.utils.set_random_seed(7)
    model = RowRecorder([keras.Input((5,)), *layers()])
    compiled(model, keras.optimizers.Adam(0.01) if plateau else None, eagerly=not compiled_steps)
    log = SampleLog(folder / "samples.txt")
    used = [*callbacks(folder, patience=50), *([] if compiled_steps else [log, WaitAt(log, wait)])]
    if plateau:
        used.append(keras.callbacks.ReduceLROnPlateau(patience=0, min_delta=0.5))
    if kill:
        name, number = kill.split("-")
        kill_in(name, int(number))
    history = ko.fit_resumable(
        model,
        data(),
        epochs=epochs,
        checkpoint=folder / "checkpoints",
        save_every_batches=save,
        validation_data=validation_data(),
        callbacks=used,
        verbose=0,
    )
    np.savez(folder / "result.npz", *variables(model))
    (folder / "result.json").write_text(json.dumps([history.epoch, history.history]))
