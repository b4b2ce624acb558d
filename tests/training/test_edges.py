"""Partitions and phases that are killed, and unusual callbacks, arguments and models.

As in test_resumable.py, a kill is an exception in a callback, and the next run of the "script" creates everything
again. Each test that compares runs an uninterrupted training and a killed one.
"""

import datetime
import itertools
import re
import shutil
import warnings
from typing import NamedTuple

import keras
import numpy as np
import pytest
import training_child as child
from recording import numbered, planned, recorder
from training_child import Killed, data, killer, small_model, validation_data

import keras_oocore as ko
from keras_oocore.core.errors import DataError, OptionError

pytestmark = [pytest.mark.backend, pytest.mark.usefixtures("fast_training")]
BACKEND = keras.backend.backend()
on_torch = pytest.mark.skipif(BACKEND != "torch", reason="needs torch modules")
not_on_jax = pytest.mark.skipif(BACKEND == "jax", reason="functions are stateless on JAX")


def one_backend(value):
    """Return a case that one backend shows, next to cases that run on every backend."""
    return pytest.param(value, marks=pytest.mark.one_backend)


class Outcome(NamedTuple):
    """The result of a training."""

    variables: list
    history: dict
    epochs: list
    model: keras.Model
    callbacks: list


def resumable(epochs=3, save_every_batches=1, **options):
    """Return a script that calls `fit_resumable`."""
    return lambda model, x, directory, callbacks: ko.fit_resumable(
        *(model, x, epochs, directory),
        save_every_batches=save_every_batches,
        callbacks=callbacks,
        verbose=0,
        **options,
    )


def partitions(n=2, passes=2, save_every_batches=1, validated=False, **options):
    """Return a script that calls `fit_partitions`."""
    return lambda model, x, directory, callbacks: ko.fit_partitions(
        *(model, x, n),
        passes=passes,
        checkpoint=directory,
        save_every_batches=save_every_batches,
        validation_data=validation_data() if validated else None,
        callbacks=callbacks,
        verbose=0,
        **options,
    )


def phased(*phases, save_every_batches=1, **options):
    """Return a script that calls `fit_phases`. Phases that are functions are called in each run."""
    return lambda model, x, directory, callbacks: ko.fit_phases(
        *(model, [phase() if callable(phase) else phase for phase in phases], x, directory),
        save_every_batches=save_every_batches,
        callbacks=callbacks,
        verbose=0,
        **options,
    )


def trained(directory, *kills, script=None, model=small_model, x=data, callbacks=lambda x: []):
    """Run the script once per kill and once more, and return the outcome."""
    script = script or resumable()
    for kill in [*kills, None]:
        made, rows = model(), x()
        used = callbacks(rows)
        try:
            history = script(made, rows, directory, [*used, *([] if kill is None else [killer(kill)])])
        except Killed:
            continue
        assert kill is None, f"{kill} did not happen"
        return Outcome(child.variables(history.model), history.history, history.epoch, history.model, used)
    raise AssertionError


def same(left, right):
    assert left.epochs == right.epochs
    assert left.history == right.history
    assert [array.dtype for array in left.variables] == [array.dtype for array in right.variables]
    assert [array.tobytes() for array in left.variables] == [array.tobytes() for array in right.variables]


def check_kills(tmp_path, *kills, **options):
    """Check that these kills do not change the outcome, and return both outcomes."""
    uninterrupted = trained(tmp_path / "uninterrupted", **options)
    killed = trained(tmp_path / "killed", *kills, **options)
    same(killed, uninterrupted)
    return killed, uninterrupted


def warned(function):
    """Return the warnings of a function."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [str(warning.message) for warning in caught if warning.category is UserWarning]


# --- partitions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kills", [one_backend([2] * 7), [4, 3]], ids=["every batch", "each pass"])
def test_partitions_killed_in_batches(tmp_path, kills):
    """Two passes over two partitions of two batches each. With kills in every batch, each run adds one batch."""
    _, uninterrupted = check_kills(tmp_path, *kills, script=partitions())
    assert uninterrupted.epochs == [0, 1, 2, 3]
    assert uninterrupted.history["partition"] == [0, 1, 0, 1]


@pytest.mark.one_backend
def test_partitions_killed_between_two_partitions(tmp_path):
    kills = ("on_epoch_end", 1), ("on_epoch_begin", 2), ("on_epoch_end", 2), ("on_train_end", 1)
    check_kills(tmp_path, *kills, script=partitions())


@pytest.mark.one_backend
def test_epochs_per_partition_with_validation_data(tmp_path):
    script = partitions(passes=1, epochs_per_partition=2, validated=True)
    _, uninterrupted = check_kills(tmp_path, 3, ("on_test_begin", 2), script=script)
    assert uninterrupted.history["partition"] == [0, 0, 1, 1]
    assert len(uninterrupted.history["val_loss"]) == 4


@pytest.mark.one_backend
def test_early_stopping_patience_continues_across_partitions(tmp_path):
    """Early stopping ends all partitions, and restores weights from another partition."""

    def callbacks(x):
        return [keras.callbacks.EarlyStopping("loss", min_delta=100, patience=2, restore_best_weights=True)]

    killed, uninterrupted = check_kills(
        tmp_path, 1, 3, 2, ("on_epoch_end", 1), script=partitions(passes=3), callbacks=callbacks
    )
    assert killed.history["partition"] == uninterrupted.history["partition"] == [0, 1, 0]
    assert killed.callbacks[0].stopped_epoch == 2


def test_partitions_use_every_sample_once_per_pass_with_drawn_seed(tmp_path):
    """Each run draws another seed, and the later partitions are those of the first run."""
    rows, given = np.arange(24, dtype="float32")[:, np.newaxis], []
    for kill in (6, None):  # within the second of three partitions of four batches
        model, begun = recorder(), []
        record = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs, b=begun, m=model: b.append(len(m.given)),
            on_train_batch_end=lambda batch, logs, b=begun, m=model: b.append(m.given[b.pop() :]),
        )
        x = ko.ArraySequence(rows, labels=rows.copy(), batch_size=2)
        script = partitions(n=3, passes=1)
        try:
            script(model, x, tmp_path, [record] if kill is None else [record, killer(kill)])
        except Killed:
            begun.pop()  # this batch did not count
        given += [sample for batch in begun for sample in batch]
    assert sorted(given) == [*range(24)]


@pytest.mark.one_backend
def test_checkpoint_none_saves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uninterrupted = trained(tmp_path / "saved", script=partitions())
    shutil.rmtree(tmp_path / "saved")
    same(trained(None, script=partitions(save_every_batches=None)), uninterrupted)
    same(trained(None, script=partitions()), uninterrupted)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.one_backend
def test_more_partitions_than_batches_is_an_error():
    with pytest.raises(OptionError, match=r"^`n` should be a number of partitions from 1 to 4, .* n=5$"):
        ko.fit_partitions(small_model(), data(), 5, verbose=0)


@pytest.mark.one_backend
def test_resume_with_another_n_is_an_error(tmp_path):
    with pytest.raises(Killed):
        partitions()(small_model(), data(), tmp_path, [killer(4)])
    with pytest.raises(DataError, match=r"The data.* do not belong together\..* partition was '\d of 2', is '\d of 4'"):
        partitions(n=4)(small_model(), data(), tmp_path, [])


@pytest.mark.one_backend
def test_resume_with_another_function_is_an_error(tmp_path):
    trained(tmp_path, script=resumable(1))
    with pytest.raises(
        DataError, match=r"contains a training by `fit_resumable`, but this is a training by `fit_partitions`\."
    ):
        trained(tmp_path, script=partitions())


# --- phases ---------------------------------------------------------------------------------------------------------


def two_layers(optimizer=None):
    keras.utils.set_random_seed(7)
    layers = [keras.layers.Dense(4, name="body"), keras.layers.Dropout(0.5), keras.layers.Dense(3, name="head")]
    return child.compiled(
        keras.Sequential([keras.Input((5,)), *layers]), optimizer or keras.optimizers.SGD(0.05, momentum=0.9)
    )


def fewer_rows(seed=5):
    return ko.ArraySequence(child.ROWS[:8], child.CLASSES[:8], label_mode="int", batch_size=4, seed=seed)


THREE_PHASES = (
    ko.Phase(1, learning_rate=0.05, freeze="body"),
    lambda: ko.Phase(1, unfreeze="all", data=fewer_rows(), name="small"),
    ko.Phase(1, freeze="head", reset_optimizer=True),
)


@pytest.mark.parametrize("kills", [one_backend([2] * 9), [4, 3, 4]], ids=["every batch", "each phase"])
def test_phases_killed_in_batches(tmp_path, kills):
    """Phases of four, two and four batches. With kills in every batch, each run adds one batch."""
    killed, uninterrupted = check_kills(tmp_path, *kills, script=phased(*THREE_PHASES), model=two_layers)
    assert uninterrupted.epochs == [0, 1, 2]
    assert uninterrupted.history["phase"] == ["phase 1", "small", "phase 3"]
    flags = [[layer.trainable for layer in outcome.model.layers] for outcome in (killed, uninterrupted)]
    assert flags[0] == flags[1]


@pytest.mark.one_backend
def test_phases_killed_between_two_phases(tmp_path):
    kills = ("on_epoch_end", 1), ("on_epoch_begin", 2), ("on_epoch_end", 1), ("on_train_end", 1)
    check_kills(tmp_path, *kills, script=phased(*THREE_PHASES), model=two_layers)


@pytest.mark.one_backend
def test_early_stopping_ends_all_phases(tmp_path):
    def callbacks(x):
        return [keras.callbacks.EarlyStopping("loss", min_delta=100, patience=1)]

    script = phased(ko.Phase(1, freeze="body"), ko.Phase(1, unfreeze="all"), ko.Phase(1))
    killed, _ = check_kills(tmp_path, 3, 3, 1, script=script, model=two_layers, callbacks=callbacks)
    assert killed.history["phase"] == ["phase 1", "phase 2"]


@pytest.mark.one_backend
def test_resume_with_fewer_phases_is_an_error(tmp_path):
    trained(tmp_path, script=phased(ko.Phase(1), ko.Phase(1)), model=two_layers)
    with pytest.raises(OptionError, match=r"^2 epochs of the training .* are already done\. .* Received: 1 epoch$"):
        trained(tmp_path, script=phased(ko.Phase(1)), model=two_layers)


@pytest.mark.one_backend
def test_resume_with_longer_finished_phase_is_an_error(tmp_path):
    trained(tmp_path, script=phased(ko.Phase(1), ko.Phase(1)), model=two_layers)
    message = (
        r"is in phase 2, with 2 epochs done, but now this phase covers other epochs\. Keep the phases that are done "
    )
    with pytest.raises(OptionError, match=message):
        trained(tmp_path, script=phased(ko.Phase(3), ko.Phase(1)), model=two_layers)


def test_repr_of_a_phase_is_one_line():
    rate = keras.optimizers.schedules.CosineDecay(0.1, 10)
    phase = ko.Phase(2, rate, ["body", callable], "all", data=data(), validation_data=(child.ROWS, child.CLASSES))
    assert repr(phase) == (
        "Phase(epochs=2, learning_rate=<CosineDecay>, freeze=['body', <callable>], unfreeze='all', "
        "data=<ArraySequence of 14 samples>, validation_data=<tuple>)"
    )


@pytest.mark.one_backend
def test_resuming_prints_the_name_of_the_phase(tmp_path, capsys):
    phases = [ko.Phase(1), ko.Phase(2, name="fine-tuning")]
    ko.fit_phases(small_model(), phases[:1], data(), tmp_path, verbose=2)
    ko.fit_phases(small_model(), phases, data(), tmp_path, verbose=2)
    ko.fit_phases(small_model(), phases, data(), tmp_path, verbose=2)
    said = re.findall(r"Resuming from '.*': (.*)\.\n", capsys.readouterr().out)
    assert said == ["epoch 2 of 3, in 'fine-tuning'", "all 3 epochs are done"]


@pytest.mark.one_backend
def test_added_phase_continues_as_in_one_training(tmp_path):
    phases = ko.Phase(1, freeze="body"), ko.Phase(1, unfreeze="all", learning_rate=1e-3)
    trained(tmp_path / "in steps", script=phased(phases[0]), model=two_layers)
    in_steps = trained(tmp_path / "in steps", script=phased(*phases), model=two_layers)
    same(in_steps, trained(tmp_path / "uninterrupted", script=phased(*phases), model=two_layers))


@pytest.mark.parametrize(
    "optimizer",
    [one_backend(lambda: keras.optimizers.SGD(0.05)), lambda: keras.optimizers.Adam(0.01)],
    ids=["SGD", "Adam"],
)
def test_phases_resume_with_the_same_model_object(tmp_path, optimizer):
    """As in a notebook cell: the model was trained in phase 2, and the newest checkpoint is from phase 1."""
    script = phased(ko.Phase(2), ko.Phase(1, freeze="body"), keep=20)
    uninterrupted = trained(tmp_path / "uninterrupted", script=script, model=lambda: two_layers(optimizer()))
    model, directory = two_layers(optimizer()), tmp_path / "killed"
    with pytest.raises(Killed):
        script(model, data(), directory, [killer(10)])
    assert not model.get_layer("body").trainable
    for path in sorted(directory.glob("checkpoint-*"))[
        7:
    ]:  # as if it were saved less often: 7 checkpoints of phase 1 remain
        shutil.rmtree(path)
    trains = []
    record = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: trains.append(model.get_layer("body").trainable)
    )
    history = script(model, data(), directory, [record])
    assert trains == [True, False]
    same(Outcome(child.variables(model), history.history, history.epoch, model, []), uninterrupted)


def a_b_a(a, b):
    """Return a script with three phases, two of which share their data."""
    return lambda model, directory, callbacks: ko.fit_phases(
        *(model, [ko.Phase(1, data=a), ko.Phase(1, data=b), ko.Phase(1, data=a)], None, directory),
        save_every_batches=1,
        callbacks=callbacks,
        verbose=0,
    )


@pytest.mark.one_backend
def test_phases_that_share_data(tmp_path):
    """Killed in phase B. Phase A's data continue with their second pass, and must be the same."""
    uninterrupted = a_b_a(data(), fewer_rows())(small_model(), tmp_path / "uninterrupted", [])
    with pytest.raises(Killed):
        a_b_a(data(), fewer_rows())(small_model(), tmp_path / "run", [killer(6)])

    other = ko.ArraySequence(child.ROWS[::-1].copy(), child.CLASSES, label_mode="int", batch_size=4, seed=3)
    with pytest.raises(DataError, match=r"^The data of 'phase 1' and the checkpoint do not belong together\. "):
        a_b_a(other, fewer_rows())(small_model(), tmp_path / "run", [])
    with pytest.raises(OptionError, match=r"^The data of 'phase 1' .* has seed=3, but this Sequence was .* seed=4\."):
        a_b_a(data(seed=4), fewer_rows())(small_model(), tmp_path / "run", [])
    with pytest.raises(DataError, match=r"^The data of 'phase 2' and the checkpoint do not belong together\. "):
        a_b_a(data(), data())(small_model(), tmp_path / "run", [])

    history = a_b_a(data(), fewer_rows())(small_model(), tmp_path / "run", [])
    assert history.history == uninterrupted.history


@pytest.mark.one_backend
def test_phase_with_all_layers_frozen_is_an_error(tmp_path):
    with pytest.raises(OptionError, match=r"^unfreeze later: all layers are frozen, so there is nothing to train\."):
        trained(None, script=phased(ko.Phase(1), ko.Phase(1, freeze="all", name="unfreeze later")), model=two_layers)


@pytest.mark.one_backend
def test_error_in_later_phase_is_raised_before_the_first(tmp_path):
    """The error is not raised after hours of training."""
    model = two_layers()
    before = child.variables(model)
    for later, message in (
        (ko.Phase(1, unfreeze="hed"), r"`unfreeze` matches no layer: 'hed'\. .* Did you mean 'head'\?"),
        (ko.Phase(1, freeze="all"), "^phase 2: all layers are frozen, so there is nothing to train"),
    ):
        with pytest.raises(OptionError, match=message):
            ko.fit_phases(model, [ko.Phase(1), later], data(), verbose=0)
    with pytest.raises(OptionError, match="`learning_rate` should be a number"):
        ko.Phase(1, learning_rate="fast")
    assert [layer.trainable for layer in model.layers] == [True] * 3
    np.testing.assert_equal(child.variables(model)[: len(model.variables)], before[: len(model.variables)])


@pytest.mark.one_backend
def test_resume_with_other_phases_is_an_error(tmp_path):
    trained(tmp_path, script=phased(ko.Phase(2), ko.Phase(2)), model=two_layers)
    with pytest.raises(OptionError, match="Keep the phases that are done as they were"):
        trained(tmp_path, script=phased(ko.Phase(1), ko.Phase(4)), model=two_layers)


@pytest.mark.one_backend
def test_history_columns_have_one_value_per_epoch():
    """A plot or a table can show each value at its epoch."""
    phases = [ko.Phase(2), ko.Phase(1, validation_data=fewer_rows()), ko.Phase(1)]
    history = ko.fit_phases(two_layers(), phases, data(), verbose=0).history
    assert {len(values) for values in history.values()} == {4}
    assert np.isnan(history["val_loss"]).tolist() == [True, True, False, True]
    plain = ko.fit_phases(
        two_layers(), [ko.Phase(4)], data(), validation_data=fewer_rows(), validation_freq=2, verbose=0
    )
    assert len(plain.history["val_loss"]) == 2


@pytest.mark.one_backend
def test_refused_checkpoint_does_not_change_the_model(tmp_path):
    trained(tmp_path, script=resumable(1), model=two_layers)
    other = two_layers(keras.optimizers.Adam())
    before = child.variables(other)
    with pytest.raises(DataError, match="belongs to another optimizer"):
        trained(tmp_path, script=resumable(2), model=lambda: other)
    np.testing.assert_equal(child.variables(other)[: len(other.variables)], before[: len(other.variables)])


@pytest.mark.one_backend
def test_checkpoint_directory_with_other_files_is_an_error(tmp_path):
    """It may contain the images of a class."""
    (tmp_path / "1.png").touch()
    with pytest.raises(
        ko.DestinationError, match=r"contains other files \(1\.png\) and no checkpoint\. Choose an empty"
    ):
        ko.fit_resumable(two_layers(), data(), 1, tmp_path, verbose=0)
    assert [path.name for path in tmp_path.iterdir()] == ["1.png"]
    with pytest.raises(OptionError, match="`checkpoint` should be a directory"):
        ko.fit_resumable(two_layers(), data(), 1, None, verbose=0)


@pytest.mark.one_backend
@pytest.mark.parametrize("function", [ko.fit_partitions, ko.fit_phases])
def test_epochs_argument_of_partitions_and_phases_is_an_error(function):
    second = {"n": 2, "x": data()} if function is ko.fit_partitions else {"phases": ko.Phase(1), "x": data()}
    with pytest.raises(
        OptionError,
        match=r"has no argument `epochs`\. `epochs` of each phase, or `passes` and",
    ):
        function(two_layers(), epochs=3, verbose=0, **second)


@pytest.mark.one_backend
def test_numpy_integers_as_arguments(tmp_path):
    script = phased(ko.Phase(epochs=np.int64(1)), steps_per_epoch=np.int64(2))
    check_kills(tmp_path, 2, script=script)
    check_kills(tmp_path / "plain", 3, script=resumable(np.int64(2), steps_per_epoch=np.int64(2)))


# --- callbacks ------------------------------------------------------------------------------------------------------


class Counts(keras.callbacks.Callback):
    """Counts batches in arrays, which it changes in place."""

    def __init__(self):
        super().__init__()
        self.total, self.of_epoch, self.first = np.zeros(1), np.zeros(1), np.zeros(1)

    def on_epoch_begin(self, epoch, logs=None):
        self.of_epoch[:] = 0

    def on_train_batch_end(self, batch, logs=None):
        self.total += 1
        self.of_epoch += 1

    def counts(self):
        return self.total.tolist() + self.of_epoch.tolist()


class CountsAndSaves(Counts):
    """Returns the arrays that it counts in, and counts in the arrays that it receives."""

    def state_dict(self):
        return {"total": self.total, "of_epoch": self.of_epoch}

    def load_state_dict(self, state):
        self.total, self.of_epoch = state["total"], state["of_epoch"]


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("counter", "save_every_batches", "kills"),
    [
        (Counts, 1, [6, 2, ("on_epoch_end", 1), ("on_epoch_begin", 1)]),
        (Counts, 4, [1, 6, 5]),
        (CountsAndSaves, 1, [7]),
        (CountsAndSaves, 4, [1, 6, 5]),
        pytest.param(Counts, 3, [1, 6, 2, 4], marks=pytest.mark.soak),
    ],
    ids=["many times", "before the first checkpoint", "state_dict", "state_dict before the first", "less often"],
)
def test_callback_arrays_changed_in_place(tmp_path, counter, save_every_batches, kills):
    script = resumable(save_every_batches=save_every_batches)
    killed = trained(tmp_path, *kills, script=script, callbacks=lambda x: [counter()])
    assert killed.callbacks[0].counts() == [12, 4]


class Evaluates(keras.callbacks.Callback):
    """Evaluates the Sequence that the model is trained on."""

    def __init__(self, x):
        super().__init__()
        self.x, self.read = x, []

    def on_epoch_end(self, epoch, logs=None):
        self.read.append(self.model.evaluate(self.x, verbose=0))


class Loops(Evaluates):
    """Iterates over it twice, the second time not to the end."""

    def on_epoch_end(self, epoch, logs=None):
        self.read.append([float(np.sum(rows)) for rows, _ in self.x])
        for rows, _ in self.x:
            self.read.append(float(np.sum(rows)))
            break


TWO_PHASES = phased(ko.Phase(1), ko.Phase(2, learning_rate=0.1))


@pytest.mark.parametrize("callback", [Evaluates, one_backend(Loops)])
@pytest.mark.parametrize(
    ("script", "kills"),
    [
        (resumable(), [6, 1, 4]),
        pytest.param(resumable(save_every_batches=3), [6, ("on_epoch_end", 1), 5], marks=pytest.mark.soak),
        pytest.param(TWO_PHASES, [4, ("on_epoch_end", 2), 3], marks=pytest.mark.soak),
    ],
    ids=["fit", "saved less often", "phases"],
)
def test_callback_that_reads_the_training_data_resumes(tmp_path, callback, script, kills):
    killed, uninterrupted = check_kills(tmp_path, *kills, script=script, callbacks=lambda x: [callback(x)])
    assert killed.callbacks[0].read == uninterrupted.callbacks[0].read


@pytest.mark.parametrize(
    "script",
    [resumable(), one_backend(partitions()), one_backend(TWO_PHASES)],
    ids=["fit", "partitions", "phases"],
)
def test_callback_that_reads_the_training_data_does_not_move_it(tmp_path, script):
    """Without dropout, because torch's iterators draw from the generator that dropout uses."""

    def model():
        keras.utils.set_random_seed(7)
        return child.compiled(keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)]), keras.optimizers.SGD(0.01))

    reading = trained(tmp_path / "reading", script=script, model=model, callbacks=lambda x: [Evaluates(x), Loops(x)])
    same(reading, trained(tmp_path / "alone", script=script, model=model))


@pytest.mark.xfail(
    strict=True, reason="with steps_per_epoch, the iterator of Keras continues where the callback stopped"
)
def test_callback_that_reads_within_a_pass_with_steps_per_epoch(tmp_path):
    """Epochs of half a pass use the planned samples."""
    model, x, begun = recorder(), numbered(16), []
    record = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: begun.append(len(model.given)),
        on_train_batch_end=lambda batch, logs: begun.append(model.given[begun.pop() :]),
    )
    resumable(4, steps_per_epoch=2)(model, x, tmp_path, [record, Loops(x)])
    assert [*itertools.chain(*begun)] == planned(numbered(16), 0, 1)


class Dates(keras.callbacks.Callback):
    """Adds a date to the logs."""

    def on_epoch_end(self, epoch, logs=None):
        logs["when"] = datetime.date(2024, 1, 1 + epoch)


@pytest.mark.one_backend
def test_unsupported_value_in_the_logs_is_a_warning(tmp_path):
    """The warning names it, the training continues, and the rest of the history is restored."""
    (message,) = warned(lambda: trained(tmp_path, callbacks=lambda x: [Dates()]))
    assert message.startswith("'when' of the history cannot be saved: `when[0]` is a date. ")

    again = trained(tmp_path)
    assert "when" not in again.history
    assert again.history["loss"] == trained(tmp_path / "uninterrupted").history["loss"]


class SavesWrong(keras.callbacks.Callback):
    """Returns a state that cannot be saved from the second epoch on."""

    def __init__(self):
        super().__init__()
        self.epochs, self.loaded = 0, []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1

    def state_dict(self):
        return {"epochs": self.epochs if self.epochs < 2 else datetime.date(2024, 1, 1)}

    def load_state_dict(self, state):
        self.loaded.append(state)


@pytest.mark.one_backend
def test_unsupported_value_in_state_dict_is_a_warning(tmp_path):
    outcomes = []
    (message,) = warned(lambda: outcomes.append(trained(tmp_path, callbacks=lambda x: [SavesWrong()])))
    assert message.startswith("The state of the callback SavesWrong cannot be saved: `callbacks.SavesWrong['epochs']` ")
    assert outcomes[0].epochs == [0, 1, 2]
    again = trained(tmp_path, callbacks=lambda x: [SavesWrong()])
    assert again.callbacks[0].loaded == []


class Holds(keras.callbacks.Callback):
    """Keeps something made from the model."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def set_model(self, model):
        super().set_model(model)
        self.kept = self.what(model)


@pytest.mark.one_backend
def test_other_model_in_a_callback_is_a_warning(tmp_path):
    """Such as a model with averaged weights, which is not saved. The trained model and its parts are."""
    others = [
        keras.models.clone_model,
        lambda model: [keras.models.clone_model(model)],
        lambda model: keras.optimizers.SGD(),
        lambda model: keras.metrics.Mean(),
    ]
    parts = [lambda model: model, lambda model: model.layers[-1], lambda model: model.optimizer]

    def callbacks(x):
        return [Holds(what) for what in others + parts]

    messages = warned(lambda: trained(tmp_path, script=resumable(1), callbacks=callbacks))
    names = [
        re.match(r"The state of the callback (Holds( \d)?) cannot be saved: `", message)[1] for message in messages
    ]
    assert names == ["Holds", "Holds 2", "Holds 3", "Holds 4"]


@pytest.mark.one_backend
def test_deleted_csv_log_does_not_stop_the_training(tmp_path):
    def callbacks(x):
        delete = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epoch == 1 and log.unlink())
        return [keras.callbacks.CSVLogger(log), delete]

    log = tmp_path / "log.csv"
    assert trained(tmp_path / "run", callbacks=callbacks).epochs == [0, 1, 2]


class RecordsTheEnd(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        self.at_end = logs


@pytest.mark.one_backend
@pytest.mark.parametrize(
    "script", [resumable(1), partitions(passes=1), phased(ko.Phase(1))], ids=["fit", "partitions", "phases"]
)
def test_on_train_end_of_a_finished_training_gets_the_same_logs(tmp_path, script):
    first, again = (trained(tmp_path, script=script, callbacks=lambda x: [RecordsTheEnd()]) for _ in range(2))
    assert again.callbacks[0].at_end == first.callbacks[0].at_end
    assert first.callbacks[0].at_end["loss"] == first.history["loss"][-1]


class LongHistory(keras.callbacks.History):
    """A history that also counts batches."""

    def __init__(self):
        super().__init__()
        self.batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1


@pytest.mark.one_backend
def test_subclass_of_history(tmp_path):
    killed, uninterrupted = check_kills(tmp_path, 7, 2, callbacks=lambda x: [LongHistory()])
    assert killed.callbacks[0].batches == uninterrupted.callbacks[0].batches == 12
    assert killed.callbacks[0].history == killed.history


@pytest.mark.one_backend
@pytest.mark.parametrize("script", [partitions(passes=1), phased(ko.Phase(1))], ids=["partitions", "phases"])
def test_history_has_the_model_that_a_function_built(tmp_path, script):
    built = []

    def build():
        built.append(small_model())
        return built[-1]

    assert script(build, data(), tmp_path, []).model is built[-1]
    assert len(built) == 1


# --- steps and epochs -----------------------------------------------------------------------------------------------


@pytest.mark.one_backend
@pytest.mark.parametrize(("before", "now"), [(3, 2), (None, 2), (3, None)])
def test_resume_with_other_steps_per_epoch_within_a_pass_is_an_error(tmp_path, before, now):
    with pytest.raises(Killed):
        resumable(steps_per_epoch=before)(small_model(), data(), tmp_path, [killer(3)])
    message = rf"within a pass .* with steps_per_epoch={before}\. Use the same value\. Received: steps_per_epoch={now}$"
    with pytest.raises(OptionError, match=message):
        resumable(steps_per_epoch=now)(small_model(), data(), tmp_path, [])


@pytest.mark.one_backend
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize(("before", "now"), [(2, None), (None, 2)])
def test_resume_with_other_steps_per_epoch_between_passes(tmp_path, before, now):
    """The samples do not depend on how passes are divided into epochs."""
    epochs = 2 if before == 2 else 1  # one per pass
    trained(tmp_path / "changed", script=resumable(epochs, steps_per_epoch=before))
    changed = trained(tmp_path / "changed", script=resumable(epochs + (now or 1), steps_per_epoch=now))
    uninterrupted = trained(tmp_path / "uninterrupted", script=resumable(2))
    assert [a.tobytes() for a in changed.variables] == [a.tobytes() for a in uninterrupted.variables]


@pytest.mark.one_backend
@pytest.mark.skipif(not hasattr(keras.config, "set_max_epochs"), reason="an older Keras")
@pytest.mark.filterwarnings("ignore:Limiting epochs")
def test_max_epochs_of_keras_config_is_an_error(tmp_path):
    before = keras.config.max_epochs()
    keras.config.set_max_epochs(2)
    try:
        with pytest.raises(OptionError, match=r"after epoch 2 of 4, .* Is there a `keras\.config\.set_max_epochs`\?"):
            trained(tmp_path, script=resumable(4))
    finally:
        keras.config.set_max_epochs(before)
    assert trained(tmp_path, script=resumable(4)).epochs == [0, 1, 2, 3]


# --- models ---------------------------------------------------------------------------------------------------------


def apply_gradients(model, loss_of, *steps):
    """Apply each optimizer to its layer once, on torch or TensorFlow, and return the loss."""
    if BACKEND == "torch":
        import torch

        model.zero_grad()
        loss = loss_of()
        loss.backward()
        with torch.no_grad():
            for optimizer, layer in steps:
                optimizer.apply([v.value.grad for v in layer.trainable_variables], layer.trainable_variables)
        return loss.detach()
    import tensorflow

    with tensorflow.GradientTape(persistent=True) as tape:
        loss = loss_of()
    for optimizer, layer in steps:
        optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
    return loss


class TwoOptimizers(keras.Model):
    """A model with one optimizer per layer, as in a GAN. The first step builds the second optimizer."""

    def __init__(self):
        super().__init__()
        self.first, self.second = keras.layers.Dense(4), keras.layers.Dense(3)
        self.other = keras.optimizers.Adam(0.01)

    def call(self, x):
        return self.second(self.first(x))

    def train_step(self, batch):
        x, y = batch
        steps = (self.optimizer, self.first), (self.other, self.second)
        return {"loss": apply_gradients(self, lambda: self.compute_loss(x, y, self(x, training=True)), *steps)}


@not_on_jax
@pytest.mark.parametrize("kills", [[6], pytest.param([1, 2, 4, ("on_epoch_end", 1)], marks=pytest.mark.soak)], ids=str)
def test_model_with_a_second_optimizer(tmp_path, kills):
    def model():
        keras.utils.set_random_seed(7)
        made, loss = TwoOptimizers(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        made.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss, run_eagerly=True)
        made(child.ROWS[:4])
        made.optimizer.build(made.first.trainable_variables)
        return made

    killed, uninterrupted = check_kills(tmp_path, *kills, model=model)
    others = [
        [keras.ops.convert_to_numpy(variable).tobytes() for variable in outcome.model.other.variables]
        for outcome in (killed, uninterrupted)
    ]
    assert others[0] == others[1]
    assert len(others[0]) > 2


class Noise(keras.layers.Layer):
    """Draws from Keras's global generator."""

    def call(self, x, training=False):
        return x + keras.random.normal(keras.ops.shape(x)) if training else x


@not_on_jax
def test_keras_random_without_a_seed(tmp_path):
    def model():
        keras.utils.set_random_seed(7)
        return child.compiled(keras.Sequential([keras.Input((5,)), Noise(), keras.layers.Dense(3)]))

    _, uninterrupted = check_kills(tmp_path, 6, ("on_epoch_end", 1), model=model)
    keras.utils.set_random_seed(8)
    other = child.compiled(keras.Sequential([keras.Input((5,)), Noise(), keras.layers.Dense(3)]))
    assert trained(tmp_path / "other", model=lambda: other).history != uninterrupted.history


@pytest.mark.parametrize("is_cached", [False, one_backend(True)], ids=["", "cached"])
def test_csv_with_missing_values_and_an_unbuilt_model(tmp_path, is_cached):
    """The means that replace missing values are known when the model is built."""
    rows = [f"{row},{row / 2 if row % 3 else ''},{row % 3}\n" for row in range(14)]
    (tmp_path / "rows.csv").write_text("a,b,y\n" + "".join(rows))
    options = {"cache": tmp_path / "cache"} if is_cached else {}

    def x():
        return ko.CSVChunkSequence(tmp_path / "rows.csv", "y", batch_size=4, seed=1, missing="mean", **options)

    def model():
        keras.utils.set_random_seed(7)
        made = keras.Sequential([keras.layers.Dense(1)])
        made.compile(keras.optimizers.SGD(1e-4, momentum=0.9), "mse", run_eagerly=True)
        return made

    _, uninterrupted = check_kills(tmp_path, 6, 1, x=x, model=model, script=resumable(2))
    assert np.isfinite(uninterrupted.history["loss"]).all()


def nested(is_built, inner=keras.layers.BatchNormalization):
    keras.utils.set_random_seed(7)
    backbone = keras.Sequential([keras.layers.Dense(4), inner()], name="backbone")
    layers = [backbone, keras.layers.Dropout(0.2), keras.layers.Dense(3, name="head")]
    return child.compiled(keras.Sequential([keras.Input((5,)), *layers] if is_built else layers))


@pytest.mark.parametrize("is_built", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["not built", "built"])
def test_nested_model_saved_and_loaded(tmp_path, is_built):
    """The variables of a loaded model have other paths."""
    first = trained(tmp_path / "run", script=resumable(1), model=lambda: nested(is_built))
    first.model.save(tmp_path / "model.keras")
    again = trained(tmp_path / "run", model=lambda: keras.models.load_model(tmp_path / "model.keras"))
    same(again, trained(tmp_path / "uninterrupted", model=lambda: nested(is_built)))


@pytest.mark.one_backend
@pytest.mark.parametrize(
    "inner",
    [keras.layers.LayerNormalization, lambda: keras.layers.Dense(4), lambda: keras.layers.BatchNormalization(name="b")],
    ids=["of another kind", "of other shapes", "of another name"],
)
def test_nested_model_with_another_inner_layer_is_an_error(tmp_path, inner):
    trained(tmp_path, script=resumable(1), model=lambda: nested(True))
    with pytest.raises(
        DataError, match=r"belongs to another model: its variable 2 was '.*gamma' of shape \(4,\), and is "
    ):
        trained(tmp_path, model=lambda: nested(True, inner))


class Steps(keras.Model):
    """A model with a train step and without a `call`."""

    def __init__(self, is_built=False):
        super().__init__()
        self.dense = keras.layers.Dense(3)
        if is_built:
            self.dense.build((None, 5))
            self.built = True

    def train_step(self, batch):
        x, y = batch

        def loss_of():
            return self.compute_loss(x, y, self.dense(x))

        return {"loss": apply_gradients(self, loss_of, (self.optimizer, self.dense))}


@pytest.mark.filterwarnings("ignore:Layer 'steps:UserWarning", "ignore:`build:UserWarning")
def test_unbuilt_model_without_call_is_an_error(tmp_path):
    with pytest.raises(OptionError, match=r"^The model 'steps.*' has no `call`, .* and set model\.built = True\.$"):
        trained(tmp_path, model=lambda: child.compiled(Steps()))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="Keras itself builds by a call there")
def test_built_model_without_call(tmp_path):
    def model():
        keras.utils.set_random_seed(7)
        made, loss = Steps(is_built=True), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        made.compile("adam", loss, run_eagerly=True)
        return made

    check_kills(tmp_path, 6, 1, model=model)


def with_torch_module():
    """Return a model that is built, with a torch module that its first batch builds."""
    import torch

    keras.utils.set_random_seed(7)
    layers = [keras.layers.TorchModuleWrapper(torch.nn.BatchNorm1d(5)), keras.layers.Dense(3)]
    return child.compiled(keras.Sequential([keras.Input((5,)), *layers]))


@on_torch
def test_buffers_of_torch_modules(tmp_path):
    killed, uninterrupted = check_kills(tmp_path, 6, 1, ("on_epoch_end", 1), model=with_torch_module)
    states = [outcome.model.layers[0].module.state_dict() for outcome in (killed, uninterrupted)]
    assert [*states[0]] == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert [value.tolist() for value in states[0].values()] == [value.tolist() for value in states[1].values()]
    assert states[0]["num_batches_tracked"] == 12
    assert states[0]["running_mean"].abs().max() > 0
