"""A training that is killed and resumed is bit-identical to one that was not interrupted.

In this file a kill is an exception in a callback, and the next run of the "script" creates model, data and callbacks
again. test_resumable_faults.py kills processes.
"""

import itertools
import random
import re
from typing import NamedTuple

import keras
import numpy as np
import pytest
import training_child as child
from recording import StopAt, numbered, planned, recorder
from training_child import NUM_BATCHES, Killed, data, killer, small_model, tiny_model, validation_data

import keras_oocore as ko
from keras_oocore.core.errors import BusyError, DataError, OptionError
from keras_oocore.training.state.checkpoint import RECORD, RECORD_FORMAT

pytestmark = [pytest.mark.backend, pytest.mark.usefixtures("fast_training")]
EPOCHS = 3
BACKEND = keras.backend.backend()
not_on_torch = pytest.mark.skipif(BACKEND == "torch", reason="Keras has no steps_per_execution on torch")


def soak(*values):
    """Return a case for `make soak`, which takes long and adds little to the other cases."""
    return pytest.param(*values, marks=pytest.mark.soak)


def one_backend(*values):
    """Return a case that one backend shows, next to cases that run on every backend."""
    return pytest.param(*values, marks=pytest.mark.one_backend)


class Outcome(NamedTuple):
    """The result of a training."""

    variables: list
    history: dict
    epochs: list
    log: str
    best: list


def trained(folder, *kills, model=small_model, x=data, callbacks=child.callbacks, epochs=EPOCHS, **options):
    """Run the script once per kill and once more, and return the outcome."""
    options = {"validation_data": validation_data, "save_every_batches": 1, "verbose": 0, **options}
    make_validation_data = options.pop("validation_data") or (lambda: None)
    folder.mkdir(exist_ok=True)
    for kill in [*kills, None]:
        made = model()
        used = [*callbacks(folder), *([] if kill is None else [killer(kill)])]
        arguments = {"validation_data": make_validation_data(), "callbacks": used, **options}
        try:
            history = ko.fit_resumable(made, x(), epochs, folder / "checkpoints", **arguments)
        except Killed:
            continue
        assert kill is None, f"{kill} did not happen"
        log, best = folder / "log.csv", folder / "best.keras"
        return Outcome(
            child.variables(history.model),
            history.history,
            history.epoch,
            log.read_text() if log.exists() else "",
            keras.models.load_model(best).get_weights() if best.exists() else [],
        )
    raise AssertionError


def same(left, right):
    assert left.epochs == right.epochs
    assert left.history == right.history
    assert left.log == right.log
    for ours, theirs in ((left.variables, right.variables), (left.best, right.best)):
        assert [array.dtype for array in ours] == [array.dtype for array in theirs]
        assert [array.tobytes() for array in ours] == [array.tobytes() for array in theirs]


def check_kills(tmp_path, *kills, **options):
    """Check that these kills do not change the outcome, and return it."""
    expected = trained(tmp_path / "uninterrupted", **options)
    same(trained(tmp_path / "killed", *kills, **options), expected)
    return expected


def no_callbacks(folder):
    return []


def log_only(folder):
    return [keras.callbacks.CSVLogger(f"{folder}/log.csv")]


# --- killed anywhere ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The outcome of an uninterrupted training."""
    return trained(tmp_path_factory.mktemp("uninterrupted") / "run", model=tiny_model)


@pytest.mark.skipif(BACKEND == "torch", reason="a torch iterator draws from the generator that dropout uses")
def test_fit_resumable_equals_fit(tmp_path, uninterrupted):
    """The comparisons in this file are with a training by Keras."""
    model = tiny_model()
    history = model.fit(
        data(),
        epochs=EPOCHS,
        validation_data=validation_data(),
        callbacks=child.callbacks(tmp_path),
        verbose=0,
        shuffle=False,
    )
    best = keras.models.load_model(tmp_path / "best.keras").get_weights()
    log = (tmp_path / "log.csv").read_text()
    same(Outcome(child.variables(model), history.history, history.epoch, log, best), uninterrupted)


@pytest.mark.one_backend
def test_killed_in_every_batch(tmp_path, uninterrupted):
    """Each run trains on one batch that counts."""
    same(trained(tmp_path / "run", *[2] * (EPOCHS * NUM_BATCHES - 1), model=tiny_model), uninterrupted)


@pytest.mark.parametrize("kill", [kill if kill == 5 else soak(kill) for kill in range(1, 13)])
def test_killed_in_one_batch(tmp_path, uninterrupted, kill):
    same(trained(tmp_path / "run", kill, model=tiny_model), uninterrupted)


@pytest.mark.parametrize(
    "kills",
    [
        one_backend(
            [("on_train_begin", 1), ("on_epoch_begin", 1), ("on_train_batch_begin", 1), ("on_train_batch_begin", 3)]
        ),
        [("on_test_begin", 1), ("on_epoch_begin", 2), ("on_test_batch_end", 2), ("on_epoch_end", 1)],
        one_backend([("on_epoch_end", 3), ("on_train_end", 1), ("on_train_end", 1)]),
    ],
    ids=["beginning", "epochs", "end"],
)
def test_killed_between_batches(tmp_path, uninterrupted, kills):
    same(trained(tmp_path / "run", *kills, model=tiny_model), uninterrupted)


@pytest.mark.soak
def test_killed_many_times(tmp_path, uninterrupted):
    same(trained(tmp_path / "run", 2, 3, 1, ("on_test_batch_end", 1), 1, 1, 4, model=tiny_model), uninterrupted)


@pytest.mark.one_backend
@pytest.mark.parametrize("save_every_batches", [soak(3), None])
def test_save_every_batches_above_one(tmp_path, uninterrupted, save_every_batches):
    kills = 3, 6, ("on_epoch_end", 1), 5
    same(trained(tmp_path / "run", *kills, model=tiny_model, save_every_batches=save_every_batches), uninterrupted)


def test_compiled_steps(tmp_path):
    shapes = {"x": lambda: data(last_batch="drop"), "validation_data": lambda: (child.ROWS[:4], child.CLASSES[:4])}
    check_kills(tmp_path, 5, model=lambda: tiny_model(eagerly=False), epochs=2, **shapes)  # compiled for one batch size


# --- the sequence of samples ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kill", [1, soak(3), 5, 6, soak(9)])
def test_every_sample_once_per_epoch_in_order(tmp_path, kill):
    """The samples before the checkpoint and after it."""
    given = []
    for kills in ([killer(kill)], []):
        model, batches = recorder(), []
        record = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs, b=batches, m=model: b.append(len(m.given)),
            on_train_batch_end=lambda batch, logs, b=batches, m=model: b.append(m.given[b.pop() :]),
        )
        try:
            ko.fit_resumable(
                model, numbered(18), 2, tmp_path, save_every_batches=1, verbose=0, callbacks=[record, *kills]
            )
        except Killed:
            batches.pop()  # this batch did not end, and is repeated
        given += batches
    assert [*itertools.chain(*given)] == planned(numbered(18), 0, 1)


@pytest.mark.one_backend
def test_drawn_seed_is_adopted(tmp_path):
    """Each run draws another seed, and the order is the same."""
    random.seed(1)
    first = data(seed=None)
    options = {"save_every_batches": 1, "callbacks": [killer(6)]}
    with pytest.raises(Killed):
        ko.fit_resumable(small_model(), first, 2, tmp_path, verbose=0, **options)
    random.seed(2)  # `small_model` seeds Python's `random` too
    second = data(seed=None)
    assert second.seed != first.seed
    history = ko.fit_resumable(model := small_model(), second, 2, tmp_path, verbose=0)
    assert second.seed == first.seed
    expected = ko.fit_resumable(other := small_model(), data(seed=first.seed), 2, tmp_path / "uninterrupted", verbose=0)
    assert history.history == expected.history
    assert [a.tobytes() for a in child.variables(model)] == [a.tobytes() for a in child.variables(other)]


# --- callbacks ------------------------------------------------------------------------------------------------------


def stopping(folder):
    """Stop after the second epoch, and restore the weights of the first."""
    early = keras.callbacks.EarlyStopping(monitor="loss", patience=1, min_delta=100, restore_best_weights=True)
    return [early, *log_only(folder)]


def test_early_stopping(tmp_path):
    kills = 2, 4, 1, ("on_epoch_end", 1), ("on_train_end", 1)
    assert check_kills(tmp_path, *kills, callbacks=stopping, epochs=5).epochs == [0, 1]


@pytest.mark.one_backend
def test_stopped_training_continues_only_with_more_epochs(tmp_path, capsys):
    ended = trained(tmp_path / "run", callbacks=stopping, epochs=5)
    same(trained(tmp_path / "run", callbacks=stopping, epochs=5, verbose=2), ended)
    assert (
        "checkpoint-00000008': a callback stopped it after epoch 2 of 5; to continue, ask for more epochs.\n"
        in capsys.readouterr().out
    )
    assert trained(tmp_path / "run", callbacks=no_callbacks, epochs=7).epochs == [*range(7)]


def test_stop_training_within_an_epoch(tmp_path):
    """The epoch counts as complete, as in `fit`, and its pass has ended."""

    def callbacks(folder):
        return [StopAt(2), *log_only(folder)]

    expected = check_kills(tmp_path, 2, 2, ("on_epoch_end", 1), callbacks=callbacks)
    assert expected.epochs == [0]
    more = [trained(tmp_path / name, callbacks=log_only, epochs=4) for name in ("uninterrupted", "killed")]
    same(*more)
    assert more[0].epochs == [0, 1, 2, 3]


@pytest.mark.one_backend
def test_reduce_lr_on_plateau(tmp_path):
    def callbacks(folder):
        return [keras.callbacks.ReduceLROnPlateau(patience=0, min_delta=0.5, factor=0.5), *log_only(folder)]

    expected = check_kills(
        tmp_path,
        *(2, 2, 2, 3, ("on_epoch_end", 1), 3, 2),
        model=lambda: small_model(keras.optimizers.Adam(0.01)),
        callbacks=callbacks,
        epochs=4,
    )
    assert expected.history["learning_rate"] == pytest.approx([0.01, 0.01, 0.005, 0.0025])


@pytest.mark.one_backend
def test_learning_rate_scheduler_is_applied_once_per_epoch(tmp_path):
    def callbacks(folder):
        return [keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5), *log_only(folder)]

    expected = check_kills(
        tmp_path, 1, 3, 2, 1, 4, model=lambda: small_model(keras.optimizers.SGD(0.1)), callbacks=callbacks
    )
    assert expected.history["learning_rate"] == pytest.approx([0.05, 0.025, 0.0125])


# --- options of fit -------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize(
    ("steps_per_epoch", "epochs"), [*(soak(steps, 5) for steps in (1, 2, 3, 6)), (3, 3), one_backend(6, 3)]
)
def test_steps_per_epoch(tmp_path, steps_per_epoch, epochs):
    """Below the length, a pass continues over several epochs. Above it, an epoch ends with its pass."""
    kills = {
        3: [1, 2, 3, ("on_epoch_end", 1), ("on_test_begin", 1)],
        5: [1, 2, 2, 2, 3, ("on_epoch_end", 1), 3, ("on_test_begin", 1), 1],
    }
    check_kills(
        tmp_path,
        *kills[epochs][: 4 if steps_per_epoch == 1 else None],
        steps_per_epoch=steps_per_epoch,
        epochs=epochs,
        callbacks=log_only,
    )


@not_on_torch
@pytest.mark.parametrize(("steps_per_execution", "kills"), [(2, [1, 1, 2]), soak(3, [1, 1, 1])])
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_steps_per_execution(tmp_path, steps_per_execution, kills):
    check_kills(
        tmp_path,
        *kills,
        model=lambda: small_model(eagerly=False, steps_per_execution=steps_per_execution),
        callbacks=log_only,
        epochs=2,
    )


@pytest.mark.one_backend
@pytest.mark.parametrize(
    "options",
    [
        soak({"validation_freq": 2}),
        {"validation_freq": [1, 3]},
        soak({"validation_steps": 1}),
        soak({"validation_data": None}),
        {"validation_data": lambda: (child.ROWS[:3], child.CLASSES[:3])},
        soak({"class_weight": {0: 1.0, 1: 3.0, 2: 0.5}}),
        soak({"x": lambda: data(last_batch="drop")}),
        {"x": lambda: data(last_batch="pad")},
        soak({"x": lambda: data(shuffle=False)}),
    ],
    ids=[
        *["validated every second epoch", "validated after two epochs", "validated in one step", "not validated"],
        *["validated on arrays", "class weights", "last batch dropped", "last batch padded", "not shuffled"],
    ],
)
def test_options(tmp_path, options):
    check_kills(tmp_path, 2, 4, ("on_epoch_end", 1), 1, callbacks=log_only, **options)


# --- models ---------------------------------------------------------------------------------------------------------


def functional():
    keras.utils.set_random_seed(7)
    inputs = keras.Input((5,))
    left, right = keras.layers.Dense(4, activation="tanh")(inputs), keras.layers.Dropout(0.3)(inputs)
    outputs = keras.layers.Dense(3)(keras.layers.Concatenate()([left, keras.layers.GaussianNoise(0.1)(right)]))
    return child.compiled(keras.Model(inputs, outputs))


def unbuilt():
    keras.utils.set_random_seed(7)
    return child.compiled(keras.Sequential(child.layers()))


class OwnStep(keras.Model):
    """A model with its own loss, metric and weight that no gradient changes."""

    def __init__(self):
        super().__init__()
        self.body = keras.Sequential(child.layers())
        self.seen = self.add_weight(name="seen", initializer="zeros", trainable=False)
        self.largest = keras.metrics.MeanMetricWrapper(lambda y, y_pred: keras.ops.max(y_pred, axis=-1), name="largest")

    def call(self, x, training=False):
        return self.body(x, training=training)

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        self.seen.assign_add(1.0)
        self.largest.update_state(y, y_pred)
        return super().compute_loss(x, y, y_pred, sample_weight, training=training)


def own_step():
    keras.utils.set_random_seed(7)
    return child.compiled(OwnStep())


def averaging():
    return small_model(keras.optimizers.SGD(0.05, momentum=0.9, use_ema=True, ema_momentum=0.8))


def averaging_sometimes():
    return small_model(keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=3))


def in_half_precision():
    keras.utils.set_random_seed(7)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("bfloat16")
    try:
        return child.compiled(keras.Sequential([keras.Input((5,)), *child.layers()]), keras.optimizers.Adam(0.01))
    finally:
        keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize(
    "model",
    [one_backend(functional), unbuilt, own_step, averaging, soak(averaging_sometimes), soak(in_half_precision)],
    ids=lambda m: m.__name__,
)
def test_models(tmp_path, model):
    check_kills(tmp_path, 3, ("on_epoch_end", 1), model=model, callbacks=log_only, epochs=2)


@pytest.mark.one_backend
def test_model_as_a_function(tmp_path):
    """The function is called once per run."""
    built = []

    def build():
        built.append(small_model())
        return built[-1]

    same(trained(tmp_path / "run", 5, model=lambda: build), trained(tmp_path / "uninterrupted"))
    assert len(built) == 2
    history = ko.fit_resumable(build, data(), EPOCHS, tmp_path / "other", verbose=0)
    assert history.model is built[-1]


def test_loaded_model(tmp_path):
    before = small_model(keras.optimizers.Adam(0.01))
    before.fit(data(), epochs=1, verbose=0)
    before.save(tmp_path / "model.keras")

    def loaded():
        keras.utils.set_random_seed(7)  # the file does not contain the states of generators
        return keras.models.load_model(tmp_path / "model.keras")

    check_kills(tmp_path, 3, 4, model=loaded, callbacks=log_only)


# --- finished trainings ---------------------------------------------------------------------------------------------


@pytest.mark.one_backend
def test_finished_training_trains_nothing(tmp_path, uninterrupted):
    trained(tmp_path / "run", model=tiny_model)
    batches = []
    record = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda *_: batches.append(1))

    def callbacks(folder):
        return [*child.callbacks(folder), record]

    same(trained(tmp_path / "run", model=tiny_model, callbacks=callbacks), uninterrupted)
    assert batches == []


def test_finished_training_with_use_ema_returns_averaged_weights(tmp_path):
    first = trained(tmp_path / "run", model=averaging, callbacks=log_only)
    same(trained(tmp_path / "run", model=averaging, callbacks=log_only), first)


@pytest.mark.parametrize(
    ("model", "steps_per_epoch"),
    [one_backend(small_model, None), soak(small_model, 3), soak(averaging, None), (averaging, 3)],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_more_epochs_continue_as_in_one_training(tmp_path, model, steps_per_epoch):
    options = {"model": model, "callbacks": log_only, "steps_per_epoch": steps_per_epoch}
    for epochs in (1, 2, 4):
        outcome = trained(tmp_path / "in steps", epochs=epochs, **options)
    same(outcome, trained(tmp_path / "uninterrupted", epochs=4, **options))


@pytest.mark.one_backend
def test_more_epochs_with_the_same_model_and_data_objects(tmp_path):
    """As in a notebook cell that is run again."""
    model, x = small_model(), data()
    for epochs in (1, 1, 3):
        history = ko.fit_resumable(model, x, epochs, tmp_path / "run", verbose=0)
    expected = trained(tmp_path / "uninterrupted", callbacks=no_callbacks, validation_data=None)
    assert (history.epoch, history.history) == (expected.epochs, expected.history)
    assert [a.tobytes() for a in child.variables(model)] == [a.tobytes() for a in expected.variables]


@pytest.mark.one_backend
def test_fewer_epochs_than_done_is_an_error(tmp_path):
    trained(tmp_path / "run", callbacks=no_callbacks)
    directory = str(tmp_path / "run" / "checkpoints")
    message = (
        f"3 epochs of the training in {directory!r} are already done. Ask for 3 or more, or choose another directory. "
        "Received: 2 epochs"
    )
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        trained(tmp_path / "run", callbacks=no_callbacks, epochs=2)


# --- invalid arguments ----------------------------------------------------------------------------------------------


def uncompiled():
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)], name="raw")


def decided(name, instead, value):
    return f"`fit_resumable` has no argument `{name}`. {instead} Received: {name}={value}"


BOTH = data()
REFUSED = {
    "BackupAndRestore": (
        {"callbacks": lambda folder: [keras.callbacks.BackupAndRestore(folder / "b")]},
        "Remove `BackupAndRestore`: `checkpoint` saves the training, and the two would disagree.",
    ),
    "one Sequence for both": (
        {"x": lambda: BOTH, "validation_data": lambda: BOTH},
        "Use one Sequence for training and another for validation. Received: the same for both",
    ),
    "an array": (
        {"x": lambda: child.ROWS},
        "`x` should be a Sequence of keras_oocore, whose position can be saved. For arrays, use "
        "ko.ArraySequence(x, y). Received: ndarray",
    ),
    "y": ({"y": 1}, decided("y", "Pass a Sequence, which has x and y.", "1")),
    "initial_epoch": (
        {"initial_epoch": 1},
        decided("initial_epoch", "The checkpoint says where the training resumes. Leave it out.", "1"),
    ),
    "batch_size": ({"batch_size": 1}, decided("batch_size", "Pass it to the Sequence.", "1")),
    "shuffle": ({"shuffle": True}, decided("shuffle", "Pass it to the Sequence.", "True")),
    "validation_split": (
        {"validation_split": 0.1},
        decided(
            "validation_split",
            "Split the data: train, val = data.split(validation_split=0.2). Pass validation_data=val.",
            "0.1",
        ),
    ),
    "sample_weight": (
        {"sample_weight": np.ones(3)},
        decided("sample_weight", "Pass it to the Sequence.", "ndarray of shape (3,)"),
    ),
    "another spelling": (
        {"epoch": 1},
        "`fit_resumable` has no argument `epoch`. Did you mean 'epochs'? Received: epoch=1",
    ),
    "balanced classes": (
        {"class_weight": "balanced"},
        "`class_weight` of `fit` is a dictionary; the Sequence takes class_weight='balanced'. "
        "Received: class_weight='balanced'",
    ),
    "a class of callbacks": (
        {"callbacks": lambda folder: [keras.callbacks.TerminateOnNaN]},
        f"`callbacks` should be objects of keras.callbacks. Received: {keras.callbacks.TerminateOnNaN!r}",
    ),
    "not compiled": (
        {"model": uncompiled},
        "Compile the model first: model.compile(...). Received: 'raw', not compiled",
    ),
    "no model": (
        {"model": lambda: "model.keras"},
        "`model` should be a Keras model, or a function without arguments that builds and compiles one. "
        "Received: 'model.keras'",
    ),
    "a function of no model": (
        {"model": lambda: lambda: 3},
        "`model` should be a Keras model, or a function without arguments that builds and compiles one. Received: 3",
    ),
    "save_every_batches=0": (
        {"save_every_batches": 0},
        "`save_every_batches` should be a positive integer. Received: save_every_batches=0",
    ),
    "save_every_batches=2.5": (
        {"save_every_batches": 2.5},
        "`save_every_batches` should be a positive integer. Received: save_every_batches=2.5",
    ),
    "keep=0": ({"keep": 0}, "`keep` should be a positive integer. Received: keep=0"),
    "epochs=0": ({"epochs": 0}, "`epochs` should be a positive integer. Received: epochs=0"),
    "steps_per_epoch=0": (
        {"steps_per_epoch": 0},
        "`steps_per_epoch` should be a positive integer. Received: steps_per_epoch=0",
    ),
}


@pytest.mark.one_backend
@pytest.mark.parametrize("options", REFUSED.values(), ids=REFUSED)
def test_invalid_arguments(tmp_path, options):
    options, message = options
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        trained(tmp_path / "run", **{"callbacks": no_callbacks, **options})
    assert not [*tmp_path.glob("run/checkpoints/checkpoint-*")]


@pytest.mark.one_backend
def test_resume_with_other_data_is_an_error(tmp_path):
    trained(tmp_path / "run", callbacks=no_callbacks, epochs=1)
    fewer = ko.ArraySequence(child.ROWS[:9], child.CLASSES[:9], label_mode="int", batch_size=4, seed=3)
    with pytest.raises(DataError, match="num_samples was 14, is 9"):
        trained(tmp_path / "run", callbacks=no_callbacks, x=lambda: fewer)
    with pytest.raises(OptionError, match="The state has seed=3, but this Sequence was made with seed=4"):
        trained(tmp_path / "run", callbacks=no_callbacks, x=lambda: data(seed=4))


@pytest.mark.one_backend
def test_resume_by_fit_partitions_is_an_error(tmp_path):
    trained(tmp_path / "run", callbacks=no_callbacks, epochs=1)
    directory = tmp_path / "run" / "checkpoints"
    message = (
        f"{str(directory)!r} contains a training by `fit_resumable`, but this is a training by `fit_partitions`. "
        "Choose another directory."
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        ko.fit_partitions(small_model(), data(), 2, checkpoint=directory, verbose=0)


# --- the directory --------------------------------------------------------------------------------------------------


@pytest.mark.one_backend
@pytest.mark.parametrize("keep", [soak(1), 3])
def test_keep(tmp_path, keep):
    trained(tmp_path / "run", 3, ("on_epoch_end", 1), keep=keep, epochs=2, callbacks=no_callbacks)
    left = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir() if path.name[0] != ".")
    assert len(left) == keep
    assert all(re.fullmatch(r"checkpoint-\d{8}", name) for name in left)


@pytest.mark.one_backend
def test_empty_directory(tmp_path, uninterrupted):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    same(trained(tmp_path / "run", model=tiny_model), uninterrupted)


@pytest.mark.one_backend
def test_second_training_in_the_directory_is_busy(tmp_path):
    def second(epoch, logs):
        with pytest.raises(BusyError, match=r"^Another training is running in '.*'. Wait for it to end, or choose ano"):
            ko.fit_resumable(small_model(), data(), 1, tmp_path, verbose=0)
        tried.append(epoch)

    tried = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=second)
    ko.fit_resumable(small_model(), data(), 1, tmp_path, verbose=0, callbacks=[callback])
    assert tried == [0]
    ko.fit_resumable(small_model(), data(), 2, tmp_path, verbose=0)  # the lock was released


def spoil_the_arrays(checkpoint):
    (checkpoint / "arrays.npz").write_bytes(b"nothing")


def spoil_the_state(checkpoint):
    """Its checksum is right, its content is not."""
    saved = RECORD_FORMAT.read(checkpoint / RECORD, dict)
    saved["state"]["history"] = {"dict": {"loss": "low"}}
    RECORD_FORMAT.write(checkpoint / RECORD, {key: value for key, value in saved.items() if key != "format"})


@pytest.mark.one_backend
@pytest.mark.parametrize("spoil", [spoil_the_arrays, spoil_the_state])
def test_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, spoil):
    expected = trained(tmp_path / "uninterrupted", callbacks=no_callbacks, validation_data=None)
    model, directory = small_model(), tmp_path / "run" / "checkpoints"
    with pytest.raises(Killed):
        ko.fit_resumable(model, data(), EPOCHS, directory, save_every_batches=1, callbacks=[killer(7)], verbose=0)
    newest = max(directory.glob("checkpoint-*"))
    spoil(newest)
    with pytest.warns(UserWarning, match=rf"{newest.name}' is damaged .* The checkpoint before it is used\."):
        same(trained(tmp_path / "run", callbacks=no_callbacks, validation_data=None), expected)


# --- output ---------------------------------------------------------------------------------------------------------


@pytest.mark.one_backend
def test_resuming_prints_the_position(tmp_path, capsys):
    directory = tmp_path / "run" / "checkpoints"
    trained(tmp_path / "run", 7, verbose=2, callbacks=no_callbacks)
    output = capsys.readouterr().out
    assert f"\nResuming from '{directory}/checkpoint-00000006': epoch 2 of 3, batch 3.\n" in output
    assert re.findall(r"^Epoch \d/\d$", output, re.MULTILINE) == ["Epoch 1/3", "Epoch 2/3", "Epoch 2/3", "Epoch 3/3"]
    trained(tmp_path / "run", verbose=2, callbacks=no_callbacks)
    assert re.fullmatch(
        rf"Resuming from '{directory}/checkpoint-\d+': all 3 epochs are done\.\n", capsys.readouterr().out
    )
    trained(tmp_path / "run", verbose=2, callbacks=no_callbacks, epochs=4)
    assert re.match(rf"Resuming from '{directory}/checkpoint-\d+': epoch 4 of 4\.\n", capsys.readouterr().out)


@pytest.mark.one_backend
def test_verbose_0_prints_nothing(tmp_path, capfd):
    trained(tmp_path / "run", 7)
    output, errors = capfd.readouterr()
    assert output == ""
    assert "Resuming" not in errors
