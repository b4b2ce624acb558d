"""A place in the data, loaded into a Sequence: what plain `fit`, `evaluate` and `predict` then give a model."""

import itertools
import json
import warnings

import keras
import numpy as np
import pytest
from contracts.reading import given_and_states, resumed, saved
from drawing import SIZE
from recording import StopAt, planned, recorder

import keras_oocore as ko
from keras_oocore.core.errors import DataError

NUM_SAMPLES, BATCH_SIZE, NUM_BATCHES = 18, 4, 5  # the last batch of 2
PLACES = range(2 * NUM_BATCHES + 1)  # batches that were used: of two passes


def opened(seed=None, **options):
    """A Sequence whose sample i is the number i."""
    rows = np.arange(NUM_SAMPLES, dtype="float32")[:, np.newaxis]
    return ko.ArraySequence(rows, labels=rows.copy(), batch_size=BATCH_SIZE, seed=seed, **options)


@pytest.fixture(scope="module")
def states():
    """The place before the first batch and after each of two passes, of seed 3."""
    return given_and_states(opened(seed=3), 2)[1]


@pytest.fixture(scope="module")
def plan():
    """The samples of eight passes of seed 3."""
    return planned(opened(seed=3), *range(8))


def left_after(plan, used, num_passes):
    """The samples of so many passes, the first without what was used of it."""
    begin, end = divmod(used, NUM_BATCHES)[0] * NUM_SAMPLES, (used // NUM_BATCHES + num_passes) * NUM_SAMPLES
    return plan[begin + (used % NUM_BATCHES) * BATCH_SIZE : end]


def at(state, **options):
    """A new Sequence at a place."""
    sequence = opened(**options)
    sequence.load_state_dict(state)
    return sequence


def built():
    """A model that was trained before, on other data."""
    model = recorder()
    model.fit(opened(seed=8), verbose=0)
    return model


def trained_on(model, sequence, **fit):
    """The samples that `fit` gives the model; and whether Keras warned that the data ran out."""
    model.given = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(sequence, verbose=0, **fit)
    return model.given, any("Your input ran out of data" in str(warning.message) for warning in caught)


@pytest.mark.backend
@pytest.mark.parametrize(("model_of", "workers"), [(recorder, 0), (built, 2)], ids=["unbuilt", "built"])
def test_fit_trains_on_the_tail_and_then_on_whole_passes(states, plan, model_of, workers):
    model = model_of()
    for used in PLACES:
        if model_of is recorder:
            model = recorder()
        sequence = at(states[used], workers=workers)
        given, warned = trained_on(model, sequence, epochs=2)

        assert given == left_after(plan, used, 2)
        assert warned == (used % NUM_BATCHES > 0)
        assert (len(sequence), saved(sequence)["epoch"]) == (NUM_BATCHES, used // NUM_BATCHES + 2)


@pytest.mark.backend
@pytest.mark.parametrize("model_of", [recorder, built], ids=["unbuilt", "built"])
def test_two_fits_of_one_epoch_go_on_one_after_the_other(states, plan, model_of):
    model = model_of()
    for used in (0, 1, 3, 4, 9):  # of two passes; at 3 and 4, no more is left than a build step may draw
        if model_of is recorder:
            model = recorder()
        sequence = at(states[used])
        first, warned = trained_on(model, sequence, epochs=1)
        second, warned_again = trained_on(model, sequence, epochs=1)

        assert first == left_after(plan, used, 1)
        assert first + second == left_after(plan, used, 2)
        assert (warned, warned_again) == (used % NUM_BATCHES > 0, False)


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("shuffle", [True, False])
def test_evaluate_and_predict_go_on_from_a_place_too(states, plan, shuffle):
    places = states if shuffle else given_and_states(opened(seed=3, shuffle=False), 2)[1]
    plan = plan if shuffle else [*range(NUM_SAMPLES)] * 8
    model = recorder(metrics=["mae"])
    model.predict(opened(seed=8), verbose=0)
    model.dense.kernel.assign([[1.0]])
    for used in (1, 4, 8):
        sequence = at(places[used], shuffle=shuffle)
        predicted = [model.predict(sequence, verbose=0)[:, 0].tolist() for _ in range(2)]
        assert predicted[0] == left_after(plan, used, 1)
        assert [*itertools.chain(*predicted)] == left_after(plan, used, 2)
    model.dense.kernel.assign([[0.0]])
    error = model.evaluate(at(places[3], shuffle=shuffle), verbose=0, return_dict=True)["mae"]
    assert error == pytest.approx(np.mean(left_after(plan, 3, 1)), rel=1e-5)


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_validation_and_predict_by_others_leave_a_place_alone(states, plan):
    sequence, model = at(states[3]), recorder()
    fit = dict(epochs=2, validation_data=opened(seed=9))

    assert trained_on(model, sequence, **fit)[0] == left_after(plan, 3, 2)


class Saving(keras.callbacks.Callback):
    """Notes the place after each batch, as a user's callback does."""

    def __init__(self, sequence):
        super().__init__()
        self.sequence = sequence
        self.states = []

    def on_train_batch_end(self, batch, logs=None):
        self.states.append(saved(self.sequence, batches=batch + 1))


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("begun", [0, 3], ids=["from the begin", "from a place"])
def test_a_callback_saves_the_place_that_the_model_is_at(states, plan, begun):
    """Also in an epoch that went on from an earlier run, of which Keras counts the batches from 0."""
    sequence = at(states[begun])
    saving = Saving(sequence)
    given, _ = trained_on(recorder(), sequence, epochs=2, callbacks=[saving])

    assert given == left_after(plan, begun, 2)
    assert saving.states == states[begun + 1 :]
    tail, _ = resumed(opened, saving.states[1], 1)
    samples = [int(number) for x, _ in tail for number in np.frombuffer(x, "float32")]
    assert samples == left_after(plan, begun + 2, 1)


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_a_training_that_is_stopped_again_and_again_sees_every_sample_once(states, plan):
    """Three runs within one epoch, each from the state that a callback of the run before saved."""
    state, seen = states[0], []
    for stop_at in (1, 0, 1):
        sequence = at(state)
        saving = Saving(sequence)
        given, _ = trained_on(recorder(), sequence, callbacks=[saving, StopAt(stop_at)])
        seen += given
        state = saving.states[-1]

    assert seen == plan[:NUM_SAMPLES]
    assert (state["epoch"], state["batches"]) == (1, 0)


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_after_a_stop_within_the_tail_comes_the_next_pass(states, plan):
    sequence, model = at(states[1]), recorder()
    trained_on(model, sequence, callbacks=[StopAt(2)])

    assert trained_on(model, sequence)[0] == left_after(plan, NUM_BATCHES, 1)


@pytest.mark.backend
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_steps_per_epoch_go_on_from_a_place(states, plan):
    for used in (2, 3):
        given, _ = trained_on(recorder(), at(states[used]), epochs=6, steps_per_epoch=2)
        assert given == left_after(plan, used, 4)[: len(given)]
        assert len(given) > NUM_SAMPLES


# Which data a state belongs to


def of_photos(folder, **options):
    return ko.ImageFolderSequence(folder, **{"image_size": SIZE, "batch_size": 4, **options})


def test_a_state_of_a_folder_opens_in_another_place_with_a_cache_and_on_the_packed_store(photos, tmp_path):
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


def test_files_of_other_names_are_other_data(photos):
    state = saved(of_photos(photos, seed=3))
    (photos / "bee" / "5.png").rename(photos / "bee" / "5 b.png")

    with pytest.raises(DataError, match=r"files was '10 names with CRC-32 (\w+)', is '10 names with CRC-32 (?!\1)"):
        of_photos(photos).load_state_dict(state)
    (photos / "bee" / "5 b.png").unlink()
    with pytest.raises(DataError, match=r"num_samples was 10, is 9; files was '10 names .*', is '9 names"):
        of_photos(photos).load_state_dict(state)


def test_rows_of_other_values_shape_or_number_are_other_data():
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


def test_a_state_is_the_same_text_in_every_run(photos):
    """Pinned: states that were saved stay good."""
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
