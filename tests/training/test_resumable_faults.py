"""Trainings of real processes that are killed, preempted, interrupted, or run out of disk: the next run goes on.

The child processes are training_child.py. A kill in a test of test_fit_resumable.py is an exception; here it is real.
"""

import collections
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings

import keras
import numpy as np
import pytest
import training_child
from training_child import NUM_BATCHES, data, small_model

import keras_oocore as ko
from keras_oocore.core.errors import BusyError, DestinationError

needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
EPOCHS = 5
PATIENCE_SECONDS = 100  # for a child on a busy machine


# --- children -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def child(folder, **options):
    """A process that trains in a folder."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, training_child.__file__, folder, *(f"{name}={value}" for name, value in options.items())]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    cache = {"JAX_COMPILATION_CACHE_DIR": str(folder.parent / "jax"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    with subprocess.Popen(list(map(str, command)), text=True, env=os.environ | cache, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process):
    """What a child printed, and how it ended."""
    said, complaints = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, said, complaints


def run(folder, returncode=0, **options):
    """A child from its begin to its end."""
    with child(folder, **options) as process:
        code, said, complaints = ended(process)
    assert code == returncode, complaints
    return said


def kill_at(folder, num_batches, random_seconds=0, **options):
    """A child that is killed some moment after it was given so many batches; whether it lived to be."""
    log, deadline = folder / "samples.txt", time.monotonic() + PATIENCE_SECONDS
    num_before = len(log.read_text().splitlines()) if log.exists() else 0
    with child(folder, **options) as process:
        while process.poll() is None and time.monotonic() < deadline:
            if log.exists() and len(log.read_text().splitlines()) >= num_before + num_batches:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(random_seconds)
                break
        process.kill()
        code, _, complaints = ended(process)
    assert code in (0, -signal.SIGKILL), complaints
    return code != 0


def samples_by_batch(folder):
    """Batch of the training -> its samples; one that was given again after a kill had the same."""
    given = {}
    for line in (folder / "samples.txt").read_text().splitlines():
        number, samples = line.split(" ", 1)
        assert given.setdefault(int(number), samples) == samples
    return given


def check_same(folder, whole):
    """That a folder holds what a training left that was not killed, to the bit."""
    assert (folder / "result.json").read_text() == (whole / "result.json").read_text()
    assert (folder / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()
    ours, theirs = (np.load(path / "result.npz") for path in (folder, whole))
    assert ours.files == theirs.files
    assert [ours[name].tobytes() for name in ours.files] == [theirs[name].tobytes() for name in theirs.files]
    best, other = (keras.models.load_model(path / "best.keras", compile=False) for path in (folder, whole))
    assert [a.tobytes() for a in best.get_weights()] == [b.tobytes() for b in other.get_weights()]
    if (whole / "samples.txt").exists():
        assert samples_by_batch(folder) == samples_by_batch(whole)
    assert not [
        path for path in (folder / "checkpoints").iterdir() if re.fullmatch(r"\.keras_oocore-\w{16}", path.name)
    ]


@pytest.fixture(scope="module")
def own_models():
    """`load_model` finds the class of the child's model, which was saved as a script's."""
    with keras.saving.custom_object_scope({"Noting": training_child.Noting}):
        yield


@needs_kill
def test_killed_in_training_and_in_saving_and_preempted_it_is_the_training_that_was_not(tmp_path, own_models):
    """One training in four processes: killed between two batches, killed as it saves, told to go, run to its end."""
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    with child(whole, epochs=EPOCHS) as uninterrupted:
        assert kill_at(folder, 2 * NUM_BATCHES - 1, epochs=EPOCHS)
        run(folder, -signal.SIGKILL, epochs=EPOCHS, kill="fsync-6")  # each save has four, two of them of files
        assert [
            path for path in (folder / "checkpoints").iterdir() if re.fullmatch(r"\.keras_oocore-\w{16}", path.name)
        ]
        with child(folder, epochs=EPOCHS, wait=3 * NUM_BATCHES + 2) as process:
            assert process.stdout.readline() == "waits\n"
            with pytest.raises(
                BusyError, match=r"^Another training is running in '.*killed/checkpoints'\. Wait for it"
            ):
                ko.fit_resumable(small_model(), data(), EPOCHS, folder / "checkpoints", verbose=0)
            process.send_signal(signal.SIGTERM)
            assert process.stdout.readline() == "\n"
            assert process.stdout.readline() == (
                "SIGTERM: the training stops after this batch, and is saved. Once more stops it at once.\n"
            )
            process.stdin.write("go on\n")
            code, said, complaints = ended(process)
        assert code == 128 + signal.SIGTERM, complaints
        assert said == (f"SIGTERM: the training is saved, in '{folder}/checkpoints'. Run the same again to go on.\n")
        assert len(samples_by_batch(folder)) == 3 * NUM_BATCHES + 2
        run(folder, epochs=EPOCHS)
        code, _, complaints = ended(uninterrupted)
        assert code == 0, complaints
    assert len(samples_by_batch(folder)) == EPOCHS * NUM_BATCHES
    check_same(folder, whole)


# --- signals, in this process ---------------------------------------------------------------------------------------


class Signals(keras.callbacks.Callback):
    """Sends itself signals at a batch."""

    def __init__(self, batch, *numbers):
        super().__init__()
        self._batch, self._numbers = batch, numbers

    def on_train_batch_end(self, batch, logs=None):
        if batch == self._batch:
            for number in self._numbers:
                signal.raise_signal(number)


class StoppedAtOnce(BaseException):
    """What the program does itself when a signal comes."""


def stop_at_once(number, frame):
    raise StoppedAtOnce


@pytest.fixture
def own_handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, stop_at_once)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def fit(folder, callbacks=(), epochs=2, model=small_model, **options):
    """A small training; the variables at its end, and its history."""
    history = ko.fit_resumable(made := model(), data(), epochs, folder, callbacks=[*callbacks], verbose=0, **options)
    return [array.tobytes() for array in training_child.variables(made)], history.history


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    yield from training_child.one_thread()


@pytest.mark.parametrize("batch", [1, NUM_BATCHES - 1], ids=["within an epoch", "at its end"])
@pytest.mark.parametrize(
    ("number", "name", "error", "code"),
    [(signal.SIGINT, "Ctrl-C", KeyboardInterrupt, None), (signal.SIGTERM, "SIGTERM", SystemExit, 143)],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_a_signal_saves_and_ends(tmp_path, own_handlers, capsys, batch, number, name, error, code):
    with pytest.raises(error) as caught:
        fit(tmp_path / "run", [Signals(batch, number)])
    assert getattr(caught.value, "code", None) == code
    assert capsys.readouterr().out == (
        f"\n{name}: the training stops after this batch, and is saved. Once more stops it at once.\n"
        f"{name}: the training is saved, in '{tmp_path}/run'. Run the same again to go on.\n"
    )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is stop_at_once
    batches = []
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    assert fit(tmp_path / "run", [note]) == fit(tmp_path / "whole")
    assert len(batches) == 2 * NUM_BATCHES - batch - 1


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("second", "error"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, StoppedAtOnce)],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_a_second_signal_stops_at_once(tmp_path, own_handlers, capsys, first, second, error):
    with pytest.raises(error):
        fit(tmp_path / "run", [Signals(1, first, second)])
    assert capsys.readouterr().out.count("\n") == 2  # of the first signal, and nothing of saving
    assert fit(tmp_path / "run") == fit(tmp_path / "whole")


def test_a_signal_in_the_last_epoch_ends_when_all_is_done(tmp_path, own_handlers, capsys):
    """There is nothing left to go on with, but whoever sent it wants the program to end."""
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "run", [Signals(NUM_BATCHES - 1, signal.SIGINT)], epochs=1)
    assert fit(tmp_path / "run", epochs=1) == fit(tmp_path / "whole", epochs=1)


def test_a_signal_that_is_ignored_stays_so(tmp_path, own_handlers):
    """As a shell's background jobs start."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert fit(tmp_path / "run", [Signals(1, signal.SIGINT)]) == fit(tmp_path / "whole")
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_an_exception_puts_the_handlers_back(tmp_path, own_handlers):
    def fail(batch, logs):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(tmp_path, [keras.callbacks.LambdaCallback(on_train_batch_end=fail)])
    assert signal.getsignal(signal.SIGTERM) is stop_at_once


# --- the disk -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory(tmp_path):
    (tmp_path / "run").mkdir(mode=0o500)
    with pytest.raises(DestinationError, match=r"Permission denied. Choose a destination that you may write to\."):
        fit(tmp_path / "run")


def test_a_directory_that_may_not_be_written(tmp_path, monkeypatch):
    """Said before the first batch, also to root."""
    really = os.mkdir

    def refuse(path, *arguments, **options):
        if ".keras_oocore-" in str(path):
            raise PermissionError(13, "Permission denied")
        return really(path, *arguments, **options)

    monkeypatch.setattr(os, "mkdir", refuse)
    note, batches = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: batches.append(1)), []
    with pytest.raises(DestinationError, match=r"^Cannot write '.*run': Permission denied\. Choose a destination that"):
        fit(tmp_path / "run", [note])
    assert batches == []


class Disk:
    """A disk that can be full."""

    def __init__(self, monkeypatch):
        self.is_full = False
        monkeypatch.setattr(shutil, "disk_usage", self.usage)

    def usage(self, path):
        free_bytes = 1000 if self.is_full else 10**12
        return collections.namedtuple("usage", "total used free")(10**12, 10**12 - free_bytes, free_bytes)


def test_a_disk_that_is_full_is_said_before_the_first_batch(tmp_path, monkeypatch):
    Disk(monkeypatch).is_full = True
    note, batches = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: batches.append(1)), []
    with pytest.raises(
        DestinationError, match=r"^Not enough disk for a checkpoint: .* needed, .* Free some space, or "
    ):
        fit(tmp_path / "run", [note])
    assert batches == []


def test_a_disk_that_fills_up_stops_no_training(tmp_path, monkeypatch):
    """It warns, and saves again once there is room."""
    disk = Disk(monkeypatch)

    def fill(batch, logs):
        disk.is_full = batch in (1, 2)

    full = keras.callbacks.LambdaCallback(on_train_batch_end=fill)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome = fit(tmp_path / "run", [full], save_every_batches=1)
    messages = [str(warning.message) for warning in caught if "could not be saved" in str(warning.message)]
    assert len(messages) == 4  # two of each epoch
    assert all(
        re.match(r"The training goes on, but could not be saved: Not enough disk for a checkpoint: ", message)
        for message in messages
    )
    whole = fit(tmp_path / "whole")
    assert outcome == whole
    assert fit(tmp_path / "run") == whole  # the last checkpoint is of the end


@pytest.mark.parametrize("batch", [1, NUM_BATCHES - 1])
def test_a_signal_on_a_full_disk_says_what_is_lost(tmp_path, monkeypatch, own_handlers, capsys, batch):
    """What was saved before is there, and the next run goes on from it."""
    disk = Disk(monkeypatch)

    def fill(at, logs):
        disk.is_full = disk.is_full or at == batch

    callbacks = [keras.callbacks.LambdaCallback(on_train_batch_end=fill), Signals(batch, signal.SIGTERM)]
    with pytest.raises(SystemExit), pytest.warns(UserWarning, match="could not be saved"):
        fit(tmp_path / "run", callbacks, save_every_batches=1)
    assert capsys.readouterr().out.endswith(
        f"SIGTERM: the training is not saved since the last checkpoint, in '{tmp_path}/run'. "
        "Run the same again to go on.\n"
    )
    disk.is_full = False
    assert fit(tmp_path / "run") == fit(tmp_path / "whole")


# --- soak -----------------------------------------------------------------------------------------------------------


def killed_until_it_ends(rng, folder, whole, **options):
    """Kill a training at random moments until one lives to its end; the number of kills."""
    kills = 0
    while kills < 12:
        if rng.random() < 0.5:
            how = f"{rng.choice(['fsync', 'fsync', 'rename', 'mkdir'])}-{rng.randrange(1, 25)}"
            with child(folder, kill=how, **options) as process:
                code, _, complaints = ended(process)
            assert code in (0, -signal.SIGKILL), complaints
            killed = code != 0
        else:
            killed = kill_at(folder, rng.randrange(1, 9), rng.random() * 0.1, **options)
        kills += killed
        if not killed:
            break
    else:
        run(folder, **options)
    check_same(folder, whole)
    return kills


@needs_kill
@pytest.mark.soak
@pytest.mark.parametrize(
    "options", [{"save": 3}, {"save": 1, "plateau": 1}, {"save": "time"}], ids=["schedule", "plateau", "by time"]
)
def test_random_kills(tmp_path, own_models, options):
    """Kills at random moments of trainings, half of them within the saving of a checkpoint."""
    rng = random.Random(0)
    run(tmp_path / "whole", epochs=6, **options)
    kills = trainings = 0
    while kills < 10:
        kills += killed_until_it_ends(rng, tmp_path / f"{trainings}", tmp_path / "whole", epochs=6, **options)
        trainings += 1


@needs_kill
@pytest.mark.soak
def test_random_kills_of_compiled_steps(tmp_path, own_models):
    rng, options = random.Random(1), {"epochs": 6, "save": 3, "compiled_steps": 1}
    run(tmp_path / "whole", **options)
    for number in range(8):
        how = f"{rng.choice(['fsync', 'rename'])}-{rng.randrange(3, 30)}"
        run(tmp_path / "killed", -signal.SIGKILL, kill=how, **options) if number == 0 else None
        with child(tmp_path / "killed", kill=how, **options) as process:
            code, _, complaints = ended(process)
        assert code in (0, -signal.SIGKILL), complaints
    run(tmp_path / "killed", **options)
    check_same(tmp_path / "killed", tmp_path / "whole")
