"""load_state_dict: what models get in plain `fit`, `evaluate` and `predict` afterwards, and whose states are valid."""

import itertools
import json
import subprocess
import sys
import warnings

import hidden_packages
import keras
import numpy as np
import pytest
from contracts.reading import given_and_states, resumed, saved
from drawing import SIZE
from recording import StopAt, idle_recorder, planned

import keras_oocore as ko
from keras_oocore.core.errors import DataError

NUM_SAMPLES, BATCH_SIZE, NUM_BATCHES = 18, 4, 5  # the last batch of 2
POSITIONS = range(2 * NUM_BATCHES + 1)  # numbers of batches that were used, of two passes
# Keras 3.16 takes the end of the data for the end of an epoch, unless `steps_per_epoch` says how long it is.
KERAS_WARNS = tuple(map(int, keras.__version__.split(".")[:2])) < (3, 16)


def opened(seed=None, **options):
    """A Sequence whose sample i is the number i."""
    rows = np.arange(NUM_SAMPLES, dtype="float32")[:, np.newaxis]
    return ko.ArraySequence(rows, labels=rows.copy(), batch_size=BATCH_SIZE, seed=seed, **options)


@pytest.fixture(scope="module")
def states():
    """The states before the first batch and after each batch of two passes, with seed 3."""
    return given_and_states(opened(seed=3), 2)[1]


@pytest.fixture(scope="module")
def plan():
    """The samples of eight passes with seed 3."""
    return planned(opened(seed=3), *range(8))


def remaining(plan, used, num_passes):
    """The samples of `num_passes` passes, the first one without the batches that were used."""
    begin, end = divmod(used, NUM_BATCHES)[0] * NUM_SAMPLES, (used // NUM_BATCHES + num_passes) * NUM_SAMPLES
    return plan[begin + (used % NUM_BATCHES) * BATCH_SIZE : end]


def at(state, **options):
    """A new Sequence that has loaded a state."""
    sequence = opened(**options)
    sequence.load_state_dict(state)
    return sequence


def built():
    """A model that is already built, by training on other data."""
    model = idle_recorder()
    model.fit(opened(seed=8), verbose=0)
    return model


def trained_on(model, sequence, **fit):
    """The samples that the model gets in `fit`, and whether Keras warned that the data ran out."""
    model.given = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(sequence, verbose=0, **fit)
    return model.given, any("Your input ran out of data" in str(warning.message) for warning in caught)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("model_of", "workers"),
    [(idle_recorder, 0), pytest.param(built, 2, marks=pytest.mark.one_backend)],
    ids=["unbuilt", "built"],
)
def test_fit_trains_on_the_rest_of_the_pass_and_then_on_whole_passes(states, plan, model_of, workers):
    model = model_of()
    for used in POSITIONS:
        if model_of is idle_recorder:
            model = idle_recorder()
        sequence = at(states[used], workers=workers)
        given, warned = trained_on(model, sequence, epochs=2)

        assert given == remaining(plan, used, 2)
        assert warned == (KERAS_WARNS and used % NUM_BATCHES > 0)
        assert (len(sequence), saved(sequence)["epoch"]) == (NUM_BATCHES, used // NUM_BATCHES + 2)


@pytest.mark.backend
@pytest.mark.parametrize("model_of", [idle_recorder, built], ids=["unbuilt", "built"])
def test_second_fit_continues_after_the_resumed_pass(states, plan, model_of):
    model = model_of()
    for used in (0, 1, 3, 4, 9):  # with 3 and 4, a build step may draw all remaining batches
        if model_of is idle_recorder:
            model = idle_recorder()
        sequence = at(states[used])
        first, warned = trained_on(model, sequence, epochs=1)
        second, warned_again = trained_on(model, sequence, epochs=1)

        assert first == remaining(plan, used, 1)
        assert first + second == remaining(plan, used, 2)
        assert (warned, warned_again) == (KERAS_WARNS and used % NUM_BATCHES > 0, False)


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("shuffle", [True, pytest.param(False, marks=pytest.mark.one_backend)])
def test_evaluate_and_predict_resume(states, plan, shuffle):
    resumed_states = states if shuffle else given_and_states(opened(seed=3, shuffle=False), 2)[1]
    plan = plan if shuffle else [*range(NUM_SAMPLES)] * 8
    model = idle_recorder(metrics=["mae"])
    model.predict(opened(seed=8), verbose=0)
    model.dense.kernel.assign([[1.0]])
    for used in (1, 4, 8):
        sequence = at(resumed_states[used], shuffle=shuffle)
        predicted = [model.predict(sequence, verbose=0)[:, 0].tolist() for _ in range(2)]
        assert predicted[0] == remaining(plan, used, 1)
        assert [*itertools.chain(*predicted)] == remaining(plan, used, 2)
    model.dense.kernel.assign([[0.0]])
    error = model.evaluate(at(resumed_states[3], shuffle=shuffle), verbose=0, return_dict=True)["mae"]
    assert error == pytest.approx(np.mean(remaining(plan, 3, 1)), rel=1e-5)


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_validation_data_does_not_change_the_resumed_position(states, plan):
    sequence, model = at(states[3]), idle_recorder()
    fit = dict(epochs=2, validation_data=opened(seed=9))

    assert trained_on(model, sequence, **fit)[0] == remaining(plan, 3, 2)


class Saving(keras.callbacks.Callback):
    """Saves the state after each batch, as a callback of a user does."""

    def __init__(self, sequence):
        super().__init__()
        self.sequence = sequence
        self.states = []

    def on_train_batch_end(self, batch, logs=None):
        self.states.append(saved(self.sequence, batches=batch + 1))


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("start", [0, 3], ids=["new", "resumed"])
def test_state_dict_in_a_callback(states, plan, start):
    """In a resumed epoch, Keras counts the batches from 0."""
    sequence = at(states[start])
    saving = Saving(sequence)
    given, _ = trained_on(idle_recorder(), sequence, epochs=2, callbacks=[saving])

    assert given == remaining(plan, start, 2)
    assert saving.states == states[start + 1 :]
    tail, _ = resumed(opened, saving.states[1], 1)
    samples = [int(number) for x, _ in tail for number in np.frombuffer(x, "float32")]
    assert samples == remaining(plan, start + 2, 1)


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_training_that_is_stopped_several_times_sees_every_sample_once(states, plan):
    """Three runs within one epoch, each from the state that a callback of the run before saved."""
    state, seen = states[0], []
    for stop_at in (1, 0, 1):
        sequence = at(state)
        saving = Saving(sequence)
        given, _ = trained_on(idle_recorder(), sequence, callbacks=[saving, StopAt(stop_at)])
        seen += given
        state = saving.states[-1]

    assert seen == plan[:NUM_SAMPLES]
    assert (state["epoch"], state["batches"]) == (1, 0)


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_fit_after_a_stop_within_the_resumed_pass_is_the_next_pass(states, plan):
    sequence, model = at(states[1]), idle_recorder()
    trained_on(model, sequence, callbacks=[StopAt(2)])

    assert trained_on(model, sequence)[0] == remaining(plan, NUM_BATCHES, 1)


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_steps_per_epoch_resumes(states, plan):
    for used in (2, 3):
        given, _ = trained_on(idle_recorder(), at(states[used]), epochs=6, steps_per_epoch=2)
        assert given == remaining(plan, used, 4)[: len(given)]
        assert len(given) > NUM_SAMPLES


# The data of a state


def of_photos(folder, **options):
    return ko.ImageFolderSequence(folder, **{"image_size": SIZE, "batch_size": 4, **options})


def test_state_is_valid_for_a_moved_directory_a_cache_and_a_packed_store(photos, tmp_path):
    given, states = given_and_states(of_photos(photos, seed=3), 2)
    copied = photos.rename(tmp_path / "moved")
    store = of_photos(copied).pack(tmp_path / "packed")
    openers = [
        lambda seed: of_photos(copied, seed=seed),
        lambda seed: of_photos(copied, seed=seed, cache=tmp_path / "cache"),
        lambda seed: of_photos(copied, seed=seed, cache=store),
        lambda seed: ko.open_packed(store, batch_size=4, seed=seed),
        lambda seed: of_photos(ko.Manifest.from_directory(copied), seed=seed),
    ]
    for opener in openers:
        tail, again = resumed(opener, states[2], 1)
        assert tail == given[2:3]
        assert saved(again) == states[3]
        assert resumed(opener, states[4], 2)[0] == given[4:]


def test_state_of_other_filenames_is_an_error(photos):
    state = saved(of_photos(photos, seed=3))
    (photos / "bee" / "5.png").rename(photos / "bee" / "5 b.png")

    with pytest.raises(DataError, match=r"files was '10 names with CRC-32 (\w+)', is '10 names with CRC-32 (?!\1)"):
        of_photos(photos).load_state_dict(state)
    (photos / "bee" / "5 b.png").unlink()
    with pytest.raises(DataError, match=r"num_samples was 10, is 9; files was '10 names .*', is '9 names"):
        of_photos(photos).load_state_dict(state)


def test_state_of_other_rows_is_an_error():
    rows = np.arange(20.0).reshape(10, 2)
    state = saved(ko.ArraySequence(rows, labels=None, seed=3))
    for other, message in (
        (rows[:9], "num_samples was 10, is 9; rows was '10 of shape .*', is '9 of shape"),
        (rows.astype("float32"), "rows was '10 of shape .* dtype float64', is '10 of shape .* dtype float32'"),
        (rows + 1, "first and last row was '.*', is '"),
        (rows[:, :1], r"rows was '10 of shape \(2,\) .*', is '10 of shape \(1,\)"),
    ):
        with pytest.raises(DataError, match=message):
            ko.ArraySequence(other, labels=None).load_state_dict(state)


def test_state_is_pinned(photos):
    """If this text changes, states that users saved are no longer valid."""
    rows = np.arange(8, dtype="<i4")
    state = ko.ArraySequence(rows, labels=rows % 2, batch_size=np.int64(2), seed=np.int64(1)).state_dict()

    assert json.dumps(state) == (
        '{"seed": 1, "epoch": 0, "batches": 0, "num_samples": 8, "fingerprint": {'
        '"rows": "8 of shape () and dtype int32", "first and last row": "(2,) int32 with CRC-32 f8f5e7d0", '
        '"rows taken": "all", "labels": "(8,) int32 with CRC-32 5ec1b8fc", "batch_size": 2, "last_batch": "keep", '
        '"shuffle": true}}'
    )
    files = of_photos(photos, seed=1, shuffle="block").state_dict()
    assert files["fingerprint"]["shuffle"] == "block"
    assert str(photos) not in json.dumps(files)


@pytest.mark.one_backend
def test_a_loop_that_is_open_when_python_exits_says_nothing():
    script = (
        "import numpy, keras_oocore as ko; loop = iter(ko.ArraySequence(numpy.ones(2), None, batch_size=1)); next(loop)"
    )
    child = subprocess.run(
        [sys.executable, "-c", script], env=hidden_packages.environment(), capture_output=True, text=True, timeout=500
    )
    assert child.returncode == 0
    assert "Exception ignored" not in child.stderr
