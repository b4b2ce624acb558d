"""What callbacks remember is restored after a kill, unsupported values are warnings, and CSV logs are truncated."""

import re
import threading
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import training_child as child
from recording import numbered, recorder
from training_child import Killed, killer

import keras_oocore as ko
from keras_oocore.training.state.callbacks import CallbackStates

pytestmark = [pytest.mark.backend, pytest.mark.usefixtures("fast_training")]
EPOCHS, NUM_BATCHES = 4, 3


def run(folder, callbacks, kill=None, epochs=EPOCHS, **options):
    """Train for 4 epochs of 3 batches, or until killed, and return the model."""
    used = [*callbacks, *([] if kill is None else [killer(kill)])]
    model = recorder()
    try:
        ko.fit_resumable(
            model, numbered(12), epochs, folder, save_every_batches=1, callbacks=used, verbose=0, **options
        )
    except Killed:
        return None
    assert kill is None
    return model


def after_a_kill(folder, make, kill=8):
    """Return a callback after a training that was killed, and one after an uninterrupted training."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        run(folder / "killed", [make()], kill)
        run(folder / "killed", [killed := make()])
        run(folder / "uninterrupted", [uninterrupted := make()])
    return killed, uninterrupted


# --- custom callbacks -----------------------------------------------------------------------------------------------


class Remembers(keras.callbacks.Callback):
    """Has attributes of all supported types, which change in batches and epochs."""

    def __init__(self):
        super().__init__()
        self.batches, self.ratio, self.name, self.flags = 0, 1.0, "none", (True, None)
        self.by_epoch, self.members, self.array, self.scalar = {}, set(), np.zeros(2, "float32"), np.float64(0)

    def on_epoch_begin(self, epoch, logs=None):
        self.by_epoch[epoch] = [self.batches, {"text": b"raw"}]
        self.members |= {epoch}

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        self.ratio /= 3
        self.name = f"{self.name[-20:]} {batch}"
        self.array = self.array * np.float32(0.7) + np.float32([batch, 1])
        self.scalar += 0.1
        self.later = self.batches  # an attribute created in the first batch

    def on_epoch_end(self, epoch, logs=None):
        self.flags = (*self.flags, epoch)


@pytest.mark.one_backend
@pytest.mark.parametrize("kill", [1, 8])
def test_plain_attributes_are_restored(tmp_path, kill):
    killed, uninterrupted = (vars(callback) for callback in after_a_kill(tmp_path, Remembers, kill))
    names = [name for name in uninterrupted if name not in ("_model", "params", "array")]
    assert [killed[name] for name in names] == [uninterrupted[name] for name in names]
    assert [type(killed[name]) for name in names] == [type(uninterrupted[name]) for name in names]
    assert killed["array"].dtype == np.float32
    assert killed["array"].tobytes() == uninterrupted["array"].tobytes()


class Toggles(keras.callbacks.Callback):
    """Has its initial value again in every second epoch."""

    def __init__(self):
        super().__init__()
        self.is_odd, self.seen = True, []

    def on_epoch_begin(self, epoch, logs=None):
        self.is_odd = not self.is_odd

    def on_epoch_end(self, epoch, logs=None):
        self.seen = [*self.seen, self.is_odd]


@pytest.mark.one_backend
@pytest.mark.parametrize("kill", [5, 8])
def test_attribute_that_returned_to_its_initial_value(tmp_path, kill):
    killed, uninterrupted = after_a_kill(tmp_path, Toggles, kill)
    assert killed.seen == uninterrupted.seen == [False, True, False, True]


@pytest.mark.one_backend
def test_two_callbacks_of_one_class(tmp_path):
    class Counts(keras.callbacks.Callback):
        def __init__(self, step):
            super().__init__()
            self.step, self.count = step, 0

        def on_train_batch_end(self, batch, logs=None):
            self.count += self.step

    def make():
        return [Counts(1), Counts(10)]

    run(tmp_path, make(), kill=5)
    run(tmp_path, again := make())
    assert [callback.count for callback in again] == [12, 120]


@pytest.mark.one_backend
def test_unchanged_attributes_keep_the_new_arguments(tmp_path):
    class Decays(keras.callbacks.Callback):
        def __init__(self, factor, rate):
            super().__init__()
            self.factor, self.rate = factor, rate

        def on_epoch_end(self, epoch, logs=None):
            self.rate *= self.factor

    run(tmp_path, [Decays(0.5, 8.0)], kill=8)
    run(tmp_path, [again := Decays(0.1, 99.0)])
    assert (again.factor, again.rate) == (0.1, pytest.approx(8 * 0.5 * 0.5 * 0.1 * 0.1))


class SavesItself(keras.callbacks.Callback):
    """Has an attribute that cannot be saved, and `state_dict`."""

    def __init__(self):
        super().__init__()
        self.hidden = [threading.Lock(), 0]

    def on_train_batch_end(self, batch, logs=None):
        self.hidden[1] += 1

    def state_dict(self):
        return {"batches": self.hidden[1], "table": np.full(3, self.hidden[1], "int16")}

    def load_state_dict(self, state):
        assert state["table"].dtype == np.int16
        assert (state["table"] == state["batches"]).all()
        self.hidden[1] = state["batches"]


@pytest.mark.one_backend
@pytest.mark.parametrize("kill", [1, 5])
def test_callback_with_state_dict(tmp_path, kill):
    killed, uninterrupted = after_a_kill(tmp_path, SavesItself, kill)
    assert killed.hidden[1] == uninterrupted.hidden[1] == EPOCHS * NUM_BATCHES


@pytest.mark.one_backend
def test_added_and_removed_callbacks(tmp_path):
    run(tmp_path, [Remembers()], kill=5)
    run(tmp_path, [again := SavesItself()])
    assert again.hidden[1] == EPOCHS * NUM_BATCHES - 4


# --- unsupported values ---------------------------------------------------------------------------------------------


class Thing:
    pass


class Holds(keras.callbacks.Callback):
    def __init__(self, value):
        super().__init__()
        self.value = value


def warned(callbacks, folder):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(folder, callbacks, epochs=2)
    return [str(warning.message) for warning in caught if "cannot be saved" in str(warning.message)]


@pytest.mark.one_backend
def test_unsupported_attribute_is_one_warning(tmp_path):
    """One per callback, in several epochs."""
    values = [1, Thing(), [1, {"deep": Thing()}], np.random.default_rng(0), (number for number in range(3))]
    messages = warned([Holds(value) for value in values], tmp_path)
    for message, number, where, what in zip(
        messages, (2, 3, 4, 5), ("", "[1]['deep']", "", ""), ("Thing", "Thing", "Generator", "generator"), strict=True
    ):
        assert message.startswith(
            f"The state of the callback Holds {number} cannot be saved: `callbacks.Holds {number}.value{where}` is a "
            f"{what}. Expected: None, "
        )
        assert message.endswith("Give the callback state_dict() and load_state_dict(state).")


@pytest.mark.one_backend
def test_open_file_is_a_warning(tmp_path):
    with open(tmp_path / "notes.txt", "w") as file:
        (message,) = warned([Holds(file)], tmp_path / "checkpoints")
    assert "The state of the callback Holds cannot be saved: `callbacks.Holds.value` is a TextIOWrapper." in message


@pytest.mark.one_backend
def test_settings_are_not_warned_of(tmp_path):
    settings = [
        print,
        lambda: 3,
        keras.losses.MeanSquaredError(),
        keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5),
        child.data(),
        tmp_path,
        threading.Lock(),
        Thing,
        np.maximum,
    ]
    assert warned([Holds(setting) for setting in settings], tmp_path) == []


# --- callbacks of Keras ---------------------------------------------------------------------------------------------


def of_keras(folder):
    """Return the callbacks that need neither a network nor another package."""
    return {
        "EarlyStopping": lambda: keras.callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True),
        "ReduceLROnPlateau": lambda: keras.callbacks.ReduceLROnPlateau("loss", patience=0, cooldown=1, min_delta=1e9),
        "LearningRateScheduler": lambda: keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
        "ModelCheckpoint": lambda: keras.callbacks.ModelCheckpoint(
            folder / "model-{epoch}.weights.h5", "loss", save_best_only=True, save_weights_only=True
        ),
        "ModelCheckpoint by batches": lambda: keras.callbacks.ModelCheckpoint(
            folder / "batches.weights.h5", save_freq=4, save_weights_only=True
        ),
        "LambdaCallback": lambda: keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
        "TerminateOnNaN": keras.callbacks.TerminateOnNaN,
    }


WITHOUT_VARIABLES = (
    *("LearningRateScheduler", "ModelCheckpoint", "ModelCheckpoint by batches", "LambdaCallback", "TerminateOnNaN"),
)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.one_backend if n in WITHOUT_VARIABLES else []) for n in of_keras(Path())],
)
def test_callbacks_of_keras(tmp_path, name):
    """All attributes equal those after an uninterrupted training, without warnings."""
    killed, uninterrupted = after_a_kill(tmp_path, of_keras(tmp_path)[name])
    ours, theirs = CallbackStates([killed]), CallbackStates([uninterrupted])
    ours, theirs = (states.attributes(*states.callbacks) for states in (ours, theirs))
    assert {key: repr(plain) for key, (plain, _) in ours.items()} == {key: repr(p) for key, (p, _) in theirs.items()}
    for key in theirs:
        assert [array.tobytes() for array in ours[key][1].values()] == [a.tobytes() for a in theirs[key][1].values()]


def test_swap_ema_weights(tmp_path):
    """SwapEMAWeights swaps weights and averages around evaluation."""

    def model():
        return child.small_model(keras.optimizers.SGD(0.05, momentum=0.9, use_ema=True, ema_momentum=0.8))

    def fitted(folder, kill=None):
        callbacks = [keras.callbacks.SwapEMAWeights(), *([] if kill is None else [killer(kill)])]
        history = ko.fit_resumable(
            *(made := model(), child.data(), 3, folder),
            save_every_batches=1,
            validation_data=child.validation_data(),
            callbacks=callbacks,
            verbose=0,
        )
        return history.history, [array.tobytes() for array in child.variables(made)]

    with pytest.raises(Killed):
        fitted(tmp_path / "killed", 6)
    assert fitted(tmp_path / "killed") == fitted(tmp_path / "uninterrupted")


def test_tensorboard_is_at_most_one_warning(tmp_path):
    """TensorBoard uses summaries of TensorFlow, and counts steps."""
    pytest.importorskip("tensorboard")
    messages = warned([keras.callbacks.TensorBoard(tmp_path / "logs", update_freq=1)], tmp_path / "checkpoints")
    assert len(messages) <= 1
    assert all("callback TensorBoard cannot be saved" in message for message in messages)


@pytest.mark.one_backend
def test_early_stopping_with_another_patience(tmp_path):
    run(tmp_path, [keras.callbacks.EarlyStopping("loss", patience=3, min_delta=1e9)], kill=5)
    run(tmp_path, [again := keras.callbacks.EarlyStopping("loss", patience=5, min_delta=1e9)], epochs=9)
    assert again.patience == 5
    assert again.stopped_epoch == 5  # the first epoch is the best, and five more follow


# --- CSV logs -------------------------------------------------------------------------------------------------------


def logger(folder, **options):
    return keras.callbacks.CSVLogger(folder / "log.csv", **options)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """The lines of the log of an uninterrupted training."""
    folder = tmp_path_factory.mktemp("log")
    run(folder / "checkpoints", [logger(folder)])
    return (folder / "log.csv").read_text().splitlines()


@pytest.mark.parametrize("kill", [4, *(pytest.param(kill, marks=pytest.mark.one_backend) for kill in (1, 9))])
def test_csv_log_is_truncated_to_the_checkpoint(tmp_path, rows, kill):
    """Rows written after the checkpoint are removed."""
    run(tmp_path / "checkpoints", [logger(tmp_path)], kill)
    with open(tmp_path / "log.csv", "a") as file:
        file.write("9,of a later epoch\n9,half a")
    run(tmp_path / "checkpoints", [logger(tmp_path)])
    assert (tmp_path / "log.csv").read_text().splitlines() == rows


@pytest.mark.one_backend
@pytest.mark.parametrize("kill", [2, 5])
def test_csv_log_with_append_keeps_older_rows(tmp_path, rows, kill):
    (tmp_path / "log.csv").write_text(others := f"{rows[0]}\n0,of another training\n")
    run(tmp_path / "checkpoints", [logger(tmp_path, append=True)], kill)
    run(tmp_path / "checkpoints", [again := logger(tmp_path, append=True)])
    assert (tmp_path / "log.csv").read_text().splitlines() == others.splitlines() + rows[1:]
    assert again.append


@pytest.mark.one_backend
@pytest.mark.parametrize("content", [None, "epoch\n"], ids=["deleted", "shorter"])
def test_csv_log_with_missing_rows_is_a_warning(tmp_path, rows, content):
    run(tmp_path / "checkpoints", [logger(tmp_path)], kill=8)
    log = tmp_path / "log.csv"
    size_bytes, left_bytes = log.stat().st_size, len(content or "")
    log.unlink()
    if content:
        log.write_bytes(content.encode())
    message = (
        f"{str(log)!r} had {size_bytes:,} bytes when the checkpoint was written, and now has {left_bytes:,}: "
        "rows of earlier epochs are missing."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$"):
        run(tmp_path / "checkpoints", [logger(tmp_path)])
    assert log.read_text().splitlines()[-2:] == rows[-2:]


@pytest.mark.one_backend
def test_csv_logger_added_later(tmp_path, rows):
    run(tmp_path / "checkpoints", [], kill=8)
    run(tmp_path / "checkpoints", [logger(tmp_path)])
    assert (tmp_path / "log.csv").read_text().splitlines() == [rows[0], *rows[3:]]


@pytest.mark.one_backend
def test_two_csv_loggers(tmp_path, rows):
    def loggers():
        return [keras.callbacks.CSVLogger(tmp_path / name, separator=mark) for name, mark in (("a", ","), ("b", ";"))]

    run(tmp_path / "checkpoints", loggers(), kill=8)
    run(tmp_path / "checkpoints", loggers())
    assert (tmp_path / "a").read_text().splitlines() == rows
    assert (tmp_path / "b").read_text().splitlines() == [row.replace(",", ";") for row in rows]
