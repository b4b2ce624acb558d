"""What Keras's own ways to continue a training lose. The table in docs/guides/resume.md depends on these facts.

Each test states a fact about Keras 3.15.1. A test that fails with a later Keras says what is fixed. In that case,
update that table, and perhaps remove a part of this package.
"""

import csv

import keras
import numpy as np
import pytest
from recording import Recorder, numbered

from keras_oocore.sequences import ArraySequence

pytestmark = pytest.mark.backend
NUM_SAMPLES, BATCH_SIZE = 32, 4
NUM_BATCHES = NUM_SAMPLES // BATCH_SIZE


def fixed(what):
    """Return the message for a loss that is fixed."""
    return f"Keras {keras.__version__} keeps {what}, which 3.15.1 lost: update the table in docs/guides/resume.md."


def data():
    """Return a Sequence in the same order in every epoch: two trainings differ only by their model."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(NUM_SAMPLES, 6)).astype("float32")
    return ArraySequence(rows, labels=rows[:, :1] * 2, batch_size=BATCH_SIZE, shuffle=False)


def tiny_model(optimizer="adam", dropout=0.0):
    """Return a compiled model with the same weights and the same state of dropout each time."""
    keras.utils.set_random_seed(7)
    hidden = keras.layers.Dense(8, activation="relu")
    layers = [keras.Input((6,)), hidden, keras.layers.Dropout(dropout, seed=5), keras.layers.Dense(1)]
    model = keras.Sequential(layers if dropout else [*layers[:2], layers[-1]])
    optimizers = {"sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9), "adam": lambda: keras.optimizers.Adam(0.01)}
    model.compile(optimizers[optimizer](), "mse")
    return model


def bare_model():
    """Return the smallest model, with eager steps, for tests of callbacks."""
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=True)
    return model


def fitted(model, **options):
    """Train on the data, whose order is the same each time, and return the history."""
    return model.fit(data(), verbose=0, shuffle=False, **options)


def weights(model):
    return [np.array(value) for value in model.get_weights()]


def optimizer_state(model):
    """Return iterations, learning rate and moments."""
    return [keras.ops.convert_to_numpy(variable) for variable in model.optimizer.variables]


def generator_states(model):
    """Return the states of seed generators, which dropout draws from. They are variables, but not weights."""
    weights = {id(variable) for variable in model.weights}
    variables = [variable for layer in model.layers for variable in layer.variables if id(variable) not in weights]
    return [keras.ops.convert_to_numpy(variable).copy() for variable in variables]


def same(left, right):
    """Return whether two lists of arrays are bit-identical."""
    return len(left) == len(right) and all(np.array_equal(a, b) for a, b in zip(left, right))


class Stop(Exception):
    """Stops a training, like a kill."""


class StopIn(keras.callbacks.Callback):
    """Raises `Stop` after a batch of an epoch, both counted from 0."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.epoch, self.batch = epoch, batch

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, self.batch):
            raise Stop


class ReplaceLosses(keras.callbacks.Callback):
    """Overwrites the loss that later callbacks see, with the next given loss in each epoch."""

    def __init__(self, *losses):
        super().__init__()
        self.losses = list(losses)

    def on_epoch_end(self, epoch, logs=None):
        logs["loss"] = self.losses.pop(0)


# Two calls of `fit`, in one process


@pytest.mark.one_backend
@pytest.mark.parametrize("optimizer", [pytest.param("sgd", marks=pytest.mark.soak), "adam"])
def test_two_fits_keep_weights_and_optimizer_state(optimizer):
    once, twice = tiny_model(optimizer), tiny_model(optimizer)
    fitted(once, epochs=3)
    fitted(twice, epochs=2)
    before = weights(twice)
    fitted(twice, epochs=1)

    assert not same(before, weights(twice))
    assert same(weights(once), weights(twice))
    assert same(optimizer_state(once), optimizer_state(twice))
    assert int(optimizer_state(twice)[0]) == 3 * NUM_BATCHES


@pytest.mark.one_backend
def test_two_fits_keep_dropout_state():
    once, twice = tiny_model(dropout=0.5), tiny_model(dropout=0.5)
    fitted(once, epochs=2)
    fitted(twice, epochs=1)
    between = generator_states(twice)
    fitted(twice, epochs=1)

    assert not same(between, generator_states(twice))
    assert same(generator_states(once), generator_states(twice))
    assert same(weights(once), weights(twice))


@pytest.mark.one_backend
def test_two_fits_keep_learning_rate_set_by_a_callback():
    model = bare_model()
    fitted(model, epochs=2, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)])
    fitted(model, epochs=1)

    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(0.0025)


@pytest.mark.one_backend
def test_two_fits_lose_epoch_number_and_history():
    model, seen = bare_model(), []
    note = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs=None: seen.append(epoch))
    first = fitted(model, epochs=3, callbacks=[note])
    second = fitted(model, epochs=2, callbacks=[note])

    assert seen == [0, 1, 2, 0, 1], fixed("the number of the epoch over two calls of fit")
    assert second.epoch == [0, 1], fixed("the number of the epoch over two calls of fit")
    assert len(first.history["loss"]) == 3
    assert len(second.history["loss"]) == 2, fixed("the history over two calls of fit")
    assert second.history["loss"][0] < first.history["loss"][2]  # because the training of the model continued
    assert model.history is second


@pytest.mark.one_backend
def test_two_fits_lose_early_stopping_patience():
    """With losses 1, 2, 3, 4 and patience 3, one fit stops after the fourth epoch, but two fits do not."""
    losses = [1.0, 2.0, 3.0, 4.0, 5.0]
    uninterrupted = keras.callbacks.EarlyStopping("loss", patience=3)
    history = fitted(bare_model(), epochs=5, callbacks=[ReplaceLosses(*losses), uninterrupted])
    assert len(history.epoch) == 4

    model, stopping, better = bare_model(), keras.callbacks.EarlyStopping("loss", patience=3), ReplaceLosses(*losses)
    fitted(model, epochs=2, callbacks=[better, stopping])
    assert (stopping.wait, stopping.best) == (1, 1.0)

    history = fitted(model, epochs=3, callbacks=[better, stopping])
    what = fixed("the state of EarlyStopping over two calls of fit")
    assert len(history.epoch) == 3, what  # with the state of the first call, it would be 2
    assert (stopping.wait, stopping.best) == (2, 3.0), what
    assert stopping.stopped_epoch == 0, what


@pytest.mark.one_backend
def test_two_fits_lose_early_stopping_best_weights():
    """`restore_best_weights` restores the best epoch of the second call, not of both."""
    model, stopping = bare_model(), keras.callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True)
    better = ReplaceLosses(1.0, 3.0, 2.0)
    fitted(model, epochs=1, callbacks=[better, stopping])
    best = weights(model)
    fitted(model, epochs=2, callbacks=[better, stopping])

    assert stopping.best == 2.0, fixed("the best of EarlyStopping over two calls of fit")
    assert not same(weights(model), best), fixed("the best weights of EarlyStopping over two calls of fit")


@pytest.mark.one_backend
def test_two_fits_lose_reduce_lr_on_plateau_patience():
    def rate_after(*epochs):
        model, better = bare_model(), ReplaceLosses(1.0, 2.0, 3.0, 4.0)
        plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=3)
        for number in epochs:
            fitted(model, epochs=number, callbacks=[better, plateau])
        return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)), plateau.wait

    assert rate_after(4) == (pytest.approx(0.001), 0)
    assert rate_after(2, 2) == (pytest.approx(0.01), 1), fixed("the wait of ReduceLROnPlateau over two calls of fit")


@pytest.mark.one_backend
@pytest.mark.parametrize("append", [False, True])
def test_two_fits_lose_csv_logger_rows_or_epoch_numbers(append, tmp_path):
    path, model = tmp_path / "log.csv", bare_model()
    for epochs in (3, 2):
        fitted(model, epochs=epochs, callbacks=[keras.callbacks.CSVLogger(path, append=append)])
    with open(path, newline="") as file:
        epochs = [int(row["epoch"]) for row in csv.DictReader(file)]

    assert epochs == ([0, 1, 2, 0, 1] if append else [0, 1]), fixed("the rows of CSVLogger over two calls of fit")


# BackupAndRestore


def recorder():
    """Return a compiled model that records its samples. It is built, which BackupAndRestore requires."""
    keras.utils.set_random_seed(3)
    model = Recorder()
    model.compile(keras.optimizers.SGD(1e-4, momentum=0.9), "mse", run_eagerly=True)
    model(np.zeros((1, 1), "float32"))
    return model


def interrupted(folder, model, sequence, *callbacks, epoch=1, batch=4, **options):
    """Train until the exception, with a backup every two batches."""
    backup = keras.callbacks.BackupAndRestore(folder, **{"save_freq": 2, **options})
    with pytest.raises(Stop):
        model.fit(sequence, epochs=3, verbose=0, callbacks=[backup, *callbacks, StopIn(epoch, batch)])


def rerun(folder, model, sequence, *callbacks, **options):
    """Train again, as in a new process."""
    backup = keras.callbacks.BackupAndRestore(folder, **{"save_freq": 2, **options})
    return model.fit(sequence, epochs=3, verbose=0, callbacks=[backup, *callbacks])


@pytest.mark.one_backend
def test_backup_within_an_epoch_repeats_samples(tmp_path):
    first, second = recorder(), recorder()
    # Backups of every two batches: after eight of epoch 0, and after the second and fourth of epoch 1.
    interrupted(tmp_path / "backup", first, numbered(NUM_SAMPLES, BATCH_SIZE, shuffle=False))
    rerun(tmp_path / "backup", second, numbered(NUM_SAMPLES, BATCH_SIZE, shuffle=False))
    trained_before = first.given[
        NUM_SAMPLES : NUM_SAMPLES + 4 * BATCH_SIZE
    ]  # of epoch 1, and part of the backup's weights

    assert second.given == [*range(NUM_SAMPLES)] * 2, fixed("the position in the epoch in BackupAndRestore")
    assert len(trained_before) == 16
    assert set(trained_before) <= set(second.given[:NUM_SAMPLES])


@pytest.mark.one_backend
def test_backup_within_an_epoch_restarts_it_with_later_weights(tmp_path):
    first, second, begun, saved = tiny_model("sgd"), tiny_model("sgd"), [], []

    def note(epoch, logs=None):
        begun.append((epoch, int(optimizer_state(second)[0]), weights(second)))

    def note_fourth(batch, logs=None):
        if batch == 3:
            saved.append(weights(first))

    interrupted(tmp_path / "backup", first, data(), keras.callbacks.LambdaCallback(on_train_batch_end=note_fourth))
    rerun(tmp_path / "backup", second, data(), keras.callbacks.LambdaCallback(on_epoch_begin=note))

    what = fixed("the position in the epoch in BackupAndRestore")
    assert begun[0][:2] == (1, NUM_BATCHES + 4), what  # the epoch starts over after four of its steps
    assert same(begun[0][2], saved[-1])
    assert int(optimizer_state(second)[0]) == 3 * NUM_BATCHES + 4, what  # four steps more than the epochs have


@pytest.mark.one_backend
def test_backup_between_epochs_keeps_weights_optimizer_and_epoch_number(tmp_path):
    straight, first, second = tiny_model(), tiny_model(), tiny_model()
    fitted(straight, epochs=3)
    options = dict(save_freq="epoch")
    interrupted(tmp_path / "backup", first, data(), batch=4, **options)
    history = rerun(tmp_path / "backup", second, data(), **options)

    assert history.epoch == [1, 2]
    assert same(weights(second), weights(straight))
    assert same(optimizer_state(second), optimizer_state(straight))


@pytest.mark.one_backend
def test_backup_loses_history(tmp_path):
    interrupted(tmp_path / "backup", bare_model(), data(), epoch=2, batch=1)
    history = rerun(tmp_path / "backup", bare_model(), data())

    assert history.epoch == [2]
    assert len(history.history["loss"]) == 1, fixed("the history in BackupAndRestore")


@pytest.mark.one_backend
def test_backup_loses_early_stopping_state(tmp_path):
    """Losses 1, 2, 3 and patience 2 stop after the third epoch, unless the state is lost."""

    def stopping():
        return keras.callbacks.EarlyStopping("loss", patience=2)

    uninterrupted = stopping()
    fitted(bare_model(), epochs=3, callbacks=[ReplaceLosses(1.0, 2.0, 3.0), uninterrupted])
    assert (uninterrupted.wait, uninterrupted.best, uninterrupted.stopped_epoch) == (2, 1.0, 2)

    first, second = stopping(), stopping()
    interrupted(tmp_path / "backup", bare_model(), data(), ReplaceLosses(1.0, 2.0), first, epoch=2, batch=1)
    assert (first.wait, first.best) == (1, 1.0)
    rerun(tmp_path / "backup", bare_model(), data(), ReplaceLosses(3.0), second)
    what = fixed("the state of EarlyStopping in BackupAndRestore")
    assert (second.wait, second.best, second.stopped_epoch) == (0, 3.0, 0), what


@pytest.mark.one_backend
def test_backup_loses_csv_logger_rows(tmp_path):
    path = tmp_path / "log.csv"
    interrupted(tmp_path / "backup", bare_model(), data(), keras.callbacks.CSVLogger(path), epoch=2, batch=1)
    assert [line.split(",")[0] for line in path.read_text().split()] == ["epoch", "0", "1"]

    rerun(tmp_path / "backup", bare_model(), data(), keras.callbacks.CSVLogger(path))
    rows = [line.split(",")[0] for line in path.read_text().split()]
    assert rows == ["epoch", "2"], fixed("the rows of CSVLogger over a rerun")


def test_backup_loses_dropout_state(tmp_path):
    straight, first, second = (tiny_model(dropout=0.5) for _ in range(3))
    fitted(straight, epochs=3)
    fresh, begun = generator_states(second), []
    interrupted(tmp_path / "backup", first, data(), save_freq="epoch", batch=0)

    def note(epoch, logs=None):
        begun.append((int(optimizer_state(second)[0]), generator_states(second)))

    note = keras.callbacks.LambdaCallback(on_epoch_begin=note)
    rerun(tmp_path / "backup", second, data(), note, save_freq="epoch")
    what = fixed("the state of dropout in BackupAndRestore")
    assert len(fresh) == 1
    assert not same(fresh, generator_states(first))  # the first epoch moved it
    assert begun[0][0] == NUM_BATCHES  # the optimizer is restored
    assert same(begun[0][1], fresh), what
    assert not same(weights(second), weights(straight)), what


# model.save("x.keras") and load_model


def saved_and_loaded(model, folder):
    model.save(folder / "x.keras")
    return keras.models.load_model(folder / "x.keras")


@pytest.mark.one_backend
@pytest.mark.parametrize("optimizer", [pytest.param("sgd", marks=pytest.mark.soak), "adam"])
def test_keras_file_keeps_weights_optimizer_and_learning_rate(optimizer, tmp_path):
    straight, stopped = tiny_model(optimizer), tiny_model(optimizer)
    half = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch == 0 else rate)
    fitted(straight, epochs=2, callbacks=[half])
    fitted(stopped, epochs=1, callbacks=[half])
    loaded = saved_and_loaded(stopped, tmp_path)

    assert same(weights(loaded), weights(stopped))
    assert same(optimizer_state(loaded), optimizer_state(stopped))
    fitted(loaded, epochs=1)
    assert same(weights(loaded), weights(straight))
    assert same(optimizer_state(loaded), optimizer_state(straight))


def test_keras_file_loses_dropout_state(tmp_path):
    straight, stopped = tiny_model(dropout=0.5), tiny_model(dropout=0.5)
    fresh = generator_states(stopped)
    fitted(straight, epochs=2)
    fitted(stopped, epochs=1)
    loaded = saved_and_loaded(stopped, tmp_path)

    what = fixed("the state of dropout in a .keras file")
    assert same(weights(loaded), weights(stopped))
    assert not same(generator_states(stopped), fresh)
    assert same(generator_states(loaded), fresh), what  # starts over from its seed
    fitted(loaded, epochs=1)
    assert not same(weights(loaded), weights(straight)), what


@pytest.mark.one_backend
def test_keras_file_loses_epoch_number_and_history(tmp_path):
    model = bare_model()
    fitted(model, epochs=2)
    loaded = saved_and_loaded(model, tmp_path)

    assert getattr(loaded, "history", None) is None, fixed("the history in a .keras file")
    assert fitted(loaded, epochs=2).epoch == [0, 1], fixed("the number of the epoch in a .keras file")


@pytest.mark.one_backend
def test_keras_file_saved_within_an_epoch_loses_the_position(tmp_path):
    """Saved after four batches, loaded and trained for one epoch: the four batches are repeated."""
    model, sequence = bare_model(), data()

    class SaveInside(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                self.model.save(tmp_path / "x.keras")
                raise Stop

    with pytest.raises(Stop):
        model.fit(sequence, verbose=0, callbacks=[SaveInside()])
    loaded = keras.models.load_model(tmp_path / "x.keras")
    assert int(optimizer_state(loaded)[0]) == 4

    fitted(loaded, epochs=1)
    assert int(optimizer_state(loaded)[0]) == 4 + NUM_BATCHES, fixed("the position in the epoch in a .keras file")
