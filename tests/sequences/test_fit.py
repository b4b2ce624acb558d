"""What a model gets in real calls of `fit`, `evaluate` and `predict`, on the backend that KERAS_BACKEND names.

Sample i is the number i, and the train step records every sample. A pass is `len(sequence)` batches of the plan.
"""

import gc
import itertools
import os
import re
import signal
import threading
import traceback
import warnings

import fit_child
import inside_sequence as inside
import keras
import numpy as np
import pytest
from forked_child import forked_child
from PIL import Image
from recording import IdleRecorder, StopAt, idle_recorder, numbered, planned, recorder

import keras_oocore as ko

BACKEND = keras.backend.backend()
NUM_SAMPLES = 70  # 17 batches of 4 and one of 2
BATCH_SIZE = 4
on_one_backend = pytest.mark.one_backend
workers = pytest.mark.parametrize(
    "workers", [0, pytest.param(1, marks=pytest.mark.soak), pytest.param(4, marks=on_one_backend)]
)
pytestmark = pytest.mark.backend


def steps_and_workers(*steps, on_every_backend):
    """Each number of steps with one number of workers. The other pairs are left to `make soak`."""
    cases = []
    for number, chosen in zip(steps, itertools.cycle([0, 1, 4])):
        marks = {0: pytest.mark.soak, 1: pytest.mark.soak, 4: pytest.mark.soak}
        marks[chosen] = [] if number == on_every_backend else on_one_backend
        cases += [pytest.param(number, workers, marks=marks[workers]) for workers in marks]
    return pytest.mark.parametrize(("steps", "workers"), cases)


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Your input ran out of data")
        yield


def trained_on(*fits, sequence=None, model=None, **options):
    """The samples that the model got in each call of `fit`, and the Sequence."""
    sequence = numbered(NUM_SAMPLES, BATCH_SIZE, **options) if sequence is None else sequence
    model = model or idle_recorder()
    given = []
    for fit in fits:
        model.given = []
        model.fit(sequence, verbose=0, **fit)
        given.append(model.given)
    return given, sequence


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name == "keras_oocore-loader"]


@pytest.mark.parametrize("workers", [pytest.param(0, marks=on_one_backend), pytest.param(1, marks=pytest.mark.soak), 4])
def test_fit_trains_on_every_sample_once_per_epoch_in_planned_order(workers):
    (given,), sequence = trained_on(dict(epochs=3), model=recorder(), workers=workers)
    assert given == planned(sequence, 0, 1, 2)
    for epoch in range(3):
        assert sorted(given[epoch * NUM_SAMPLES : (epoch + 1) * NUM_SAMPLES]) == list(range(NUM_SAMPLES))


@pytest.mark.parametrize("workers", [pytest.param(0, marks=on_one_backend), 2])
def test_warnings_while_keras_reads_point_at_the_line_of_fit(photos, workers):
    first, second, *_ = sorted(photos.rglob("*.png"))
    Image.fromarray(np.full((4, 4), 300, "uint16")).save(first)
    second.write_bytes(b"cut")
    images = ko.ImageFolderSequence(
        photos, image_size=4, batch_size=2, seed=0, shuffle=False, on_error="skip", workers=workers
    )
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="is left out") as caught:
        model.predict(images, verbose=0)
    ours = [warning for warning in caught if re.search("is left out|more than 8 bits", str(warning.message))]
    assert [warning.filename for warning in ours] == [__file__, __file__]


def test_epochs_have_different_orders():
    (given,), _ = trained_on(dict(epochs=2))
    assert given[:NUM_SAMPLES] != given[NUM_SAMPLES:]


@workers
def test_shuffle_argument_of_fit_has_no_effect(workers):
    (given,), sequence = trained_on(dict(epochs=2, shuffle=False), workers=workers)
    assert given == planned(sequence, 0, 1)


def test_sequence_with_shuffle_false_is_in_order():
    (given,), _ = trained_on(dict(epochs=2), sequence=numbered(NUM_SAMPLES, shuffle=False))
    assert given == [*range(NUM_SAMPLES)] * 2


@steps_and_workers(1, 2, 3, 6, 9, 18, on_every_backend=3)
def test_steps_per_epoch_that_divides_the_length(steps, workers):
    epochs = 36 // steps
    (given,), sequence = trained_on(dict(epochs=epochs, steps_per_epoch=steps), workers=workers)
    # One iterator continues until its pass ends. Then Keras makes another one.
    assert given == planned(sequence, 0, 1)[: len(given)]
    assert len(given) >= NUM_SAMPLES


@steps_and_workers(5, 7, 17, on_every_backend=7)
def test_steps_per_epoch_that_does_not_divide_the_length(steps, workers):
    (given,), sequence = trained_on(dict(epochs=4, steps_per_epoch=steps), workers=workers)
    assert given == planned(sequence, 0, 1, 2, 3)[: len(given)]


@workers
def test_later_fits_continue_with_the_next_passes(workers):
    given, sequence = trained_on(dict(epochs=2), dict(epochs=1), dict(epochs=2), workers=workers)
    assert given == [planned(sequence, 0, 1), planned(sequence, 2), planned(sequence, 3, 4)]


@steps_and_workers(1, 2, 5, on_every_backend=2)
@pytest.mark.parametrize("epochs", [1, 3])
def test_each_fit_with_steps_per_epoch_begins_a_new_pass(epochs, steps, workers):
    fit = dict(epochs=epochs, steps_per_epoch=steps)
    given, sequence = trained_on(fit, fit, fit, workers=workers)
    num_given = epochs * steps * BATCH_SIZE
    passes = [next(n for n in range(4) if planned(sequence, n)[:num_given] == part) for part in given]
    assert passes == [0, 1, 2]


@workers
def test_fit_and_predict_after_a_stop_within_an_epoch(workers):
    sequence, model = numbered(NUM_SAMPLES, workers=workers), idle_recorder()
    given, _ = trained_on(dict(callbacks=[StopAt(9)]), dict(epochs=2), sequence=sequence, model=model)
    assert given == [planned(sequence, 0)[: 10 * BATCH_SIZE], planned(sequence, 1, 2)]
    model.dense.kernel.assign([[1.0]])
    model.dense.bias.assign([0.0])
    assert model.predict(sequence, verbose=0)[:, 0].tolist() == planned(sequence, 3)


@workers
def test_predict_after_an_interrupted_fit_is_in_the_order_of_the_samples(workers):
    sequence, model = numbered(NUM_SAMPLES, shuffle=False, workers=workers), idle_recorder()
    model.fit(sequence, verbose=0, callbacks=[StopAt(4)])
    model.dense.kernel.assign([[1.0]])
    model.dense.bias.assign([0.0])
    for _ in range(2):
        assert model.predict(sequence, verbose=0)[:, 0].tolist() == [*range(NUM_SAMPLES)]


@workers
def test_evaluate_and_predict_between_fits_read_whole_passes(workers):
    sequence, model = numbered(NUM_SAMPLES, workers=workers), idle_recorder(metrics=["mae"])
    (first,), _ = trained_on(dict(epochs=1), sequence=sequence, model=model)
    error = model.evaluate(sequence, verbose=0, return_dict=True)["mae"]
    predicted = model.predict(sequence, verbose=0)
    (second,), _ = trained_on(dict(epochs=1), sequence=sequence, model=model)
    assert first == planned(sequence, 0)
    assert error == pytest.approx(np.mean(np.arange(NUM_SAMPLES)), rel=1e-3)
    assert len(predicted) == NUM_SAMPLES
    assert second == planned(sequence, 3)


@workers
def test_validation_data_does_not_change_the_training_pass(workers):
    class Validation(IdleRecorder):
        validated = ()

        def test_step(self, *args):
            x, _, _ = keras.utils.unpack_x_y_sample_weight(args[-1])
            self.validated += tuple(keras.ops.convert_to_numpy(x)[:, 0].astype(int).tolist())
            return super().test_step(*args)

    model = Validation()
    model.compile(keras.optimizers.SGD(1e-9), "mse", run_eagerly=True)
    validation = numbered(50, shuffle=False, workers=workers)
    (given,), sequence = trained_on(dict(epochs=3, validation_data=validation), model=model, workers=workers)
    assert given == planned(sequence, 0, 1, 2)
    assert list(model.validated) == [*range(50)] * 3


@pytest.mark.skipif(BACKEND == "torch", reason="torch has no steps_per_execution in Keras 3.15")
@workers
def test_steps_per_execution(workers):
    # The step is compiled. Metrics identify the samples: the means of their numbers and of the squares.
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones")(inputs))
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=[first_moment, second_moment], steps_per_execution=4)
    numbers = np.arange(72)
    history = model.fit(numbered(72, workers=workers), epochs=3, verbose=0).history
    assert history["first_moment"] == pytest.approx([np.mean(numbers)] * 3, rel=1e-5)
    assert history["second_moment"] == pytest.approx([np.mean(numbers**2)] * 3, rel=1e-5)


def first_moment(y_true, y_pred):
    return keras.ops.mean(y_pred)


def second_moment(y_true, y_pred):
    return keras.ops.mean(y_pred**2)


@workers
def test_sample_weight_follows_its_sample(workers):
    model = idle_recorder()
    weights = np.arange(NUM_SAMPLES) / 100
    sequence = numbered(NUM_SAMPLES, sample_weight=weights, workers=workers)
    model.fit(sequence, epochs=2, verbose=0)
    assert model.weights_given == pytest.approx([number / 100 for number in planned(sequence, 0, 1)])


def test_class_weight_equals_class_weight_of_fit():
    from keras_oocore.sequences import ArraySequence

    rows, labels = np.arange(40, dtype="float32")[:, np.newaxis], np.arange(40) % 2
    options = dict(labels=labels, label_mode="int", batch_size=4, seed=3)
    ours, theirs = idle_recorder(), idle_recorder()
    ours.fit(ArraySequence(rows, class_weight={0: 1.0, 1: 3.0}, **options), verbose=0)
    theirs.fit(ArraySequence(rows, **options), class_weight={0: 1.0, 1: 3.0}, verbose=0)
    assert ours.weights_given == theirs.weights_given == [1.0 + 2.0 * (number % 2) for number in ours.given]


@workers
def test_fit_after_an_error_of_the_train_step(workers, monkeypatch):
    monkeypatch.setattr("keras_oocore.batches.loader.IDLE_SECONDS", 0.05)
    model = idle_recorder(fail_at=20)
    sequence = numbered(NUM_SAMPLES, workers=workers)
    with pytest.raises(Exception, match="the train step fails"):
        model.fit(sequence, verbose=0)
    for thread in loader_threads():  # they end although `sequence` still exists
        thread.join(timeout=20)
    assert not loader_threads()
    model.fail_at = None
    (given,), _ = trained_on(dict(epochs=1), sequence=sequence, model=model)
    assert given == planned(sequence, 1)


def test_deleting_a_sequence_stops_its_threads(monkeypatch):
    monkeypatch.setattr("keras_oocore.batches.loader.IDLE_SECONDS", 1000)
    for thread in loader_threads():
        thread.join(timeout=20)
    sequence = numbered(NUM_SAMPLES, workers=4)  # not passed to `fit`: TensorFlow would keep a reference
    for _ in sequence:
        pass
    threads = loader_threads()
    assert threads
    del sequence
    gc.collect()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()


def test_error_of_an_unreadable_file_in_fit_names_the_file(tmp_path):
    from PIL import Image

    from keras_oocore.sequences import ImageFolderSequence

    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(4):
            Image.new("RGB", (8, 8), (number,) * 3).save(tmp_path / label / f"{number}.png")
    (tmp_path / "b" / "2.png").write_bytes((tmp_path / "b" / "2.png").read_bytes()[:40])
    sequence = ImageFolderSequence(tmp_path, image_size=8, batch_size=2, dtype="float32")
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(Exception) as caught:
        model.fit(sequence, verbose=0)
    assert os.path.join("b", "2.png") in "".join(traceback.format_exception(caught.value))


def test_workers_2_serves_every_batch():
    """The queue of Keras 3.15.1 with `workers=2` lost 6 to 9 of 30 batches per epoch."""
    (given,), sequence = trained_on(dict(epochs=3), workers=2)
    for epoch in range(3):
        assert sorted(given[epoch * NUM_SAMPLES : (epoch + 1) * NUM_SAMPLES]) == list(range(NUM_SAMPLES))
    assert sequence.workers == 1  # what Keras reads
    assert sequence.num_workers == 2


def test_sequence_of_one_batch():
    (given,), _ = trained_on(dict(epochs=3), sequence=numbered(3, batch_size=4))
    assert len(given) == 9
    assert all(sorted(given[start : start + 3]) == [0, 1, 2] for start in (0, 3, 6))


def test_last_batch_drop():
    (given,), sequence = trained_on(dict(epochs=2), last_batch="drop")
    assert len(given) == 2 * 68
    assert len(sequence) == 17


@pytest.mark.child
def test_ctrl_c_in_fit_stops_all_threads_and_the_next_fit_is_a_whole_pass():
    with forked_child(fit_child.interrupted_fit) as child:
        code, printed, errors = child.finish()
    assert printed.split("\n")[:3] == ["interrupted", "[]", "True"], errors
    assert code == 0


@pytest.mark.child
def test_sigterm_ends_a_process_in_fit():
    with forked_child(fit_child.endless_fit) as child:
        assert child.stdout.readline() == "ready\n"
        child.signal(signal.SIGTERM)
        assert child.finish()[0] == -signal.SIGTERM


@pytest.mark.parametrize("broken_part", ["training", pytest.param("validation", marks=on_one_backend)])
def test_fit_after_a_file_was_fixed(tmp_path, broken_part):
    """The second `fit` reads the file again. Batches of the next pass, made from the broken file, are dropped."""
    for number in range(12):
        np.save(tmp_path / f"{number}.npy", np.full(3, number, "float32"))
    parts = {"training": range(6), "validation": range(6, 12)}
    train, val = (
        ko.NpyManifestSequence(
            [f"{n}.npy" for n in part], labels=[0.0] * 6, directory=tmp_path, batch_size=2, workers=2
        )
        for part in parts.values()
    )
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    broken = tmp_path / f"{parts[broken_part][3]}.npy"
    content = broken.read_bytes()
    broken.write_bytes(b"not an array")
    with pytest.raises(Exception, match=f"{broken.name}"):
        model.fit(train, validation_data=val, verbose=0)
    for sequence in (train, val):
        inside.wait_for_batches_ahead(sequence)
    broken.write_bytes(content)

    assert len(model.fit(train, validation_data=val, epochs=2, verbose=0).history["val_loss"]) == 2
