"""Trainings resume after their process is killed, preempted or interrupted, and after the disk was full.

The child processes run `training_child.main`.
"""

import collections
import os
import random
import re
import shutil
import signal
import time
import warnings

import keras
import numpy as np
import pytest
import training_child
from forked_child import TIMEOUT_SECONDS, forked_child
from training_child import NUM_BATCHES, data, small_model

import keras_oocore as ko
from keras_oocore.core.errors import BusyError, DestinationError

needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
pytestmark = [pytest.mark.backend, pytest.mark.usefixtures("one_thread")]
EPOCHS = 4


# --- children -------------------------------------------------------------------------------------------------------


def start(folder, **options):
    """Start a process that trains in a folder."""
    folder.mkdir(exist_ok=True)
    return forked_child(training_child.main, str(folder), **options)


def run(folder, returncode=0, **options):
    """Run a child to its end."""
    with start(folder, **options) as child:
        code, _, errors = child.finish()
    assert code == returncode, errors


def kill_at(folder, num_batches, random_seconds=0, **options):
    """Kill a child after this many batches, and return whether it was still running."""
    log, deadline = folder / "samples.txt", time.monotonic() + TIMEOUT_SECONDS
    num_before = len(log.read_text().splitlines()) if log.exists() else 0
    with start(folder, **options) as child:
        while child.process.is_alive() and time.monotonic() < deadline:
            if log.exists() and len(log.read_text().splitlines()) >= num_before + num_batches:
                child.process.join(random_seconds)
                break
            time.sleep(0.001)
        child.process.kill()
        code, _, errors = child.finish()
    assert code in (0, -signal.SIGKILL), errors
    return code != 0


def samples_by_batch(folder):
    """Return the samples of each batch of the training. A batch repeated after a kill must have the same samples."""
    given = {}
    for line in (folder / "samples.txt").read_text().splitlines():
        number, samples = line.split(" ", 1)
        assert given.setdefault(int(number), samples) == samples
    return given


def check_same(folder, expected):
    """Check that two trainings left bit-identical files."""
    assert (folder / "result.json").read_text() == (expected / "result.json").read_text()
    assert (folder / "log.csv").read_bytes() == (expected / "log.csv").read_bytes()
    ours, theirs = (np.load(path / "result.npz") for path in (folder, expected))
    assert ours.files == theirs.files
    assert [ours[name].tobytes() for name in ours.files] == [theirs[name].tobytes() for name in theirs.files]
    best, other = (keras.models.load_model(path / "best.keras", compile=False) for path in (folder, expected))
    assert [a.tobytes() for a in best.get_weights()] == [b.tobytes() for b in other.get_weights()]
    if (expected / "samples.txt").exists():
        assert samples_by_batch(folder) == samples_by_batch(expected)
    assert not [
        path for path in (folder / "checkpoints").iterdir() if re.fullmatch(r"\.keras_oocore-\w{16}", path.name)
    ]


@needs_kill
@pytest.mark.child
def test_training_killed_between_batches_while_saving_and_by_sigterm_is_bit_identical(tmp_path):
    """One training in four processes: killed between batches, killed while saving, stopped by SIGTERM, completed."""
    expected, folder = tmp_path / "expected", tmp_path / "killed"
    with start(expected, epochs=EPOCHS) as uninterrupted:
        assert kill_at(folder, 2 * NUM_BATCHES - 1, epochs=EPOCHS)
        run(folder, -signal.SIGKILL, epochs=EPOCHS, kill="fsync-6")  # each save calls it four times, twice for files
        assert [
            path for path in (folder / "checkpoints").iterdir() if re.fullmatch(r"\.keras_oocore-\w{16}", path.name)
        ]
        with start(folder, epochs=EPOCHS, wait=3 * NUM_BATCHES + 2) as child:
            assert child.stdout.readline() == "waits\n"
            with pytest.raises(
                BusyError, match=r"^Another training is running in '.*killed/checkpoints'\. Wait for it"
            ):
                ko.fit_resumable(small_model(), data(), EPOCHS, folder / "checkpoints", verbose=0)
            child.signal(signal.SIGTERM)
            assert child.stdout.readline() == "\n"
            assert child.stdout.readline() == (
                "SIGTERM: the training stops after this batch and is saved. Repeat it to stop at once.\n"
            )
            child.send("continue\n")
            code, output, errors = child.finish()
        assert code == 128 + signal.SIGTERM, errors
        directory = f"{folder}/checkpoints"
        assert output == f"SIGTERM: the training is saved in '{directory}'. Run the same command again to continue.\n"
        assert len(samples_by_batch(folder)) == 3 * NUM_BATCHES + 2
        run(folder, epochs=EPOCHS)
        code, _, errors = uninterrupted.finish()
        assert code == 0, errors
    assert len(samples_by_batch(folder)) == EPOCHS * NUM_BATCHES
    check_same(folder, expected)


# --- signals, in this process ---------------------------------------------------------------------------------------


class Signals(keras.callbacks.Callback):
    """Sends signals to this process at a batch."""

    def __init__(self, batch, *numbers):
        super().__init__()
        self._batch, self._numbers = batch, numbers

    def on_train_batch_end(self, batch, logs=None):
        if batch == self._batch:
            for number in self._numbers:
                signal.raise_signal(number)


class StoppedAtOnce(BaseException):
    """Raised by the signal handler of the program."""


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
    """Run a small training, and return its variables and history."""
    history = ko.fit_resumable(made := model(), data(), epochs, folder, callbacks=[*callbacks], verbose=0, **options)
    return [array.tobytes() for array in training_child.variables(made)], history.history


@pytest.fixture(scope="module")
def one_thread():
    yield from training_child.one_thread()


@pytest.mark.parametrize(
    ("batch", "number", "name", "error", "code"),
    [
        (1, signal.SIGINT, "Ctrl-C", KeyboardInterrupt, None),
        (NUM_BATCHES - 1, signal.SIGTERM, "SIGTERM", SystemExit, 143),
    ],
    ids=["Ctrl-C within an epoch", "SIGTERM at its end"],
)
def test_signal_saves_and_exits(tmp_path, own_handlers, capsys, batch, number, name, error, code):
    with pytest.raises(error) as caught:
        fit(tmp_path / "run", [Signals(batch, number)])
    assert getattr(caught.value, "code", None) == code
    assert capsys.readouterr().out == (
        f"\n{name}: the training stops after this batch and is saved. Repeat it to stop at once.\n"
        f"{name}: the training is saved in '{tmp_path}/run'. Run the same command again to continue.\n"
    )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is stop_at_once
    batches = []
    record = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    assert fit(tmp_path / "run", [record]) == fit(tmp_path / "expected")
    assert len(batches) == 2 * NUM_BATCHES - batch - 1


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("first", "second", "error"),
    [(signal.SIGTERM, signal.SIGINT, KeyboardInterrupt), (signal.SIGINT, signal.SIGTERM, StoppedAtOnce)],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_second_signal_stops_at_once(tmp_path, own_handlers, capsys, first, second, error):
    with pytest.raises(error):
        fit(tmp_path / "run", [Signals(1, first, second)])
    assert capsys.readouterr().out.count("\n") == 2  # two lines about the first signal, none about saving
    assert fit(tmp_path / "run") == fit(tmp_path / "expected")


@pytest.mark.one_backend
def test_signal_in_last_epoch_exits_after_training(tmp_path, own_handlers, capsys):
    """Nothing is left to train, but the signal still ends the program."""
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "run", [Signals(NUM_BATCHES - 1, signal.SIGINT)], epochs=1)
    assert fit(tmp_path / "run", epochs=1) == fit(tmp_path / "expected", epochs=1)


@pytest.mark.one_backend
def test_ignored_signal_stays_ignored(tmp_path, own_handlers):
    """As in background jobs of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert fit(tmp_path / "run", [Signals(1, signal.SIGINT)]) == fit(tmp_path / "expected")
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.one_backend
def test_exception_restores_signal_handlers(tmp_path, own_handlers):
    def fail(batch, logs):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(tmp_path, [keras.callbacks.LambdaCallback(on_train_batch_end=fail)])
    assert signal.getsignal(signal.SIGTERM) is stop_at_once


# --- the disk -------------------------------------------------------------------------------------------------------


@pytest.mark.one_backend
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_directory(tmp_path):
    (tmp_path / "run").mkdir(mode=0o500)
    with pytest.raises(DestinationError, match=r"Permission denied. Choose a destination that you may write to\."):
        fit(tmp_path / "run")


@pytest.mark.one_backend
def test_directory_without_write_permission_fails_before_first_batch(tmp_path, monkeypatch):
    """The refusal is simulated, because root may write anywhere."""
    mkdir = os.mkdir

    def refuse(path, *arguments, **options):
        if ".keras_oocore-" in str(path):
            raise PermissionError(13, "Permission denied")
        return mkdir(path, *arguments, **options)

    monkeypatch.setattr(os, "mkdir", refuse)
    record, batches = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: batches.append(1)), []
    with pytest.raises(DestinationError, match=r"^Cannot write '.*run': Permission denied\. Choose a destination that"):
        fit(tmp_path / "run", [record])
    assert batches == []


class Disk:
    """A disk that can be full."""

    def __init__(self, monkeypatch):
        self.is_full = False
        monkeypatch.setattr(shutil, "disk_usage", self.usage)

    def usage(self, path):
        free_bytes = 1000 if self.is_full else 10**12
        return collections.namedtuple("usage", "total used free")(10**12, 10**12 - free_bytes, free_bytes)


@pytest.mark.one_backend
def test_full_disk_fails_before_first_batch(tmp_path, monkeypatch):
    Disk(monkeypatch).is_full = True
    record, batches = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: batches.append(1)), []
    with pytest.raises(
        DestinationError, match=r"^Not enough disk for a checkpoint: .* needed, .* Free some space, or "
    ):
        fit(tmp_path / "run", [record])
    assert batches == []


@pytest.mark.one_backend
def test_disk_that_fills_up_during_training_is_a_warning(tmp_path, monkeypatch):
    """The training is saved again when the disk has space."""
    disk = Disk(monkeypatch)

    def fill(batch, logs):
        disk.is_full = batch in (1, 2)

    full = keras.callbacks.LambdaCallback(on_train_batch_end=fill)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome = fit(tmp_path / "run", [full], save_every_batches=1)
    messages = [str(warning.message) for warning in caught if "could not be saved" in str(warning.message)]
    assert len(messages) == 4  # two per epoch
    assert all(
        re.match(r"The training continues, but could not be saved: Not enough disk for a checkpoint: ", message)
        for message in messages
    )
    expected = fit(tmp_path / "expected")
    assert outcome == expected
    assert fit(tmp_path / "run") == expected  # the last checkpoint has the end of the training


@pytest.mark.one_backend
@pytest.mark.parametrize("batch", [1, NUM_BATCHES - 1])
def test_signal_on_full_disk_reports_what_is_not_saved(tmp_path, monkeypatch, own_handlers, capsys, batch):
    """The next run resumes from the checkpoint before."""
    disk = Disk(monkeypatch)

    def fill(at, logs):
        disk.is_full = disk.is_full or at == batch

    callbacks = [keras.callbacks.LambdaCallback(on_train_batch_end=fill), Signals(batch, signal.SIGTERM)]
    with pytest.raises(SystemExit), pytest.warns(UserWarning, match="could not be saved"):
        fit(tmp_path / "run", callbacks, save_every_batches=1)
    assert capsys.readouterr().out.endswith(
        f"SIGTERM: the training is not saved since the last checkpoint in '{tmp_path}/run'. "
        "Run the same command again to continue.\n"
    )
    disk.is_full = False
    assert fit(tmp_path / "run") == fit(tmp_path / "expected")


# --- soak -----------------------------------------------------------------------------------------------------------


def killed_until_it_ends(rng, folder, expected, **options):
    """Kill a training at random moments until one ends, and return the number of kills."""
    kills = 0
    while kills < 12:
        if rng.random() < 0.5:
            how = f"{rng.choice(['fsync', 'fsync', 'rename', 'mkdir'])}-{rng.randrange(1, 25)}"
            with start(folder, kill=how, **options) as child:
                code, _, errors = child.finish()
            assert code in (0, -signal.SIGKILL), errors
            killed = code != 0
        else:
            killed = kill_at(folder, rng.randrange(1, 9), rng.random() * 0.1, **options)
        kills += killed
        if not killed:
            break
    else:
        run(folder, **options)
    check_same(folder, expected)
    return kills


@needs_kill
@pytest.mark.child
@pytest.mark.soak
@pytest.mark.parametrize(
    "options", [{"save": 3}, {"save": 1, "plateau": True}, {"save": None}], ids=["schedule", "plateau", "by time"]
)
def test_random_kills(tmp_path, options):
    """Half of the kills happen while a checkpoint is being saved."""
    rng = random.Random(0)
    run(tmp_path / "expected", epochs=6, **options)
    kills = trainings = 0
    while kills < 10:
        kills += killed_until_it_ends(rng, tmp_path / f"{trainings}", tmp_path / "expected", epochs=6, **options)
        trainings += 1


@needs_kill
@pytest.mark.child
@pytest.mark.soak
def test_random_kills_of_compiled_steps(tmp_path):
    rng, options = random.Random(1), {"epochs": 6, "save": 3, "compiled_steps": True}
    run(tmp_path / "expected", **options)
    for number in range(8):
        how = f"{rng.choice(['fsync', 'rename'])}-{rng.randrange(3, 30)}"
        run(tmp_path / "killed", -signal.SIGKILL, kill=how, **options) if number == 0 else None
        with start(tmp_path / "killed", kill=how, **options) as child:
            code, _, errors = child.finish()
        assert code in (0, -signal.SIGKILL), errors
    run(tmp_path / "killed", **options)
    check_same(tmp_path / "killed", tmp_path / "expected")
