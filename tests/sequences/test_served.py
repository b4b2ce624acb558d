"""Predictions and the files that they belong to, on every backend, for CSV rows, and for other subsets."""

import pickle

import inside_sequence as inside
import keras
import numpy as np
import pytest
from drawing import SIZE, numbers_in
from recording import numbered

import keras_oocore as ko


def identity(shape):
    inputs = keras.Input(shape)
    return keras.Model(inputs, keras.layers.Rescaling(1.0)(inputs))


@pytest.mark.backend
@pytest.mark.parametrize("shuffle", [True, False])
def test_row_i_of_predict_is_file_i_of_served_paths(photos, shuffle):
    (photos / "bee" / "5.png").write_bytes(b"not an image")
    images = ko.ImageFolderSequence(
        photos, image_size=SIZE, batch_size=2, shuffle=shuffle, seed=1, on_error="skip", dtype="float32"
    )
    model = identity((*SIZE, 3))
    model.compile("sgd", "mse")

    for _ in range(2):
        predicted = model.predict(images, verbose=0)
        numbers = numbers_in(predicted)
        assert len(numbers) == 9
        assert images.served_paths == [images.file_paths[number] for number in numbers]
        assert images.served_labels.tolist() == images.labels[numbers].tolist()


@pytest.mark.backend
def test_row_i_of_predict_is_served_sample_i_after_other_calls():
    rows = numbered(22)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Rescaling(1.0), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.0), "mse")

    def predicted():
        return np.round(model.predict(rows, verbose=0)[:, 0] / model.get_weights()[0].item()).astype(int).tolist()

    model.fit(rows, epochs=1, verbose=0)
    assert sorted(rows.served_samples) == list(range(22))
    assert predicted() == rows.served_samples.tolist()
    model.fit(rows, epochs=1, steps_per_epoch=2, verbose=0)
    assert predicted() == rows.served_samples.tolist()
    model.evaluate(rows, verbose=0)
    assert sorted(rows.served_samples) == list(range(22))
    some = np.round(model.predict(rows, steps=3, verbose=0)[:, 0] / model.get_weights()[0].item()).astype(int)
    assert some.tolist() == rows.served_samples[:12].tolist()
    assert predicted() == rows.served_samples.tolist()


def test_served_samples_of_a_moved_sequence_are_empty_until_it_serves():
    rows = numbered(10)
    list(rows)
    state = rows.state_dict()
    rows.load_state_dict(state)
    assert rows.served_samples.tolist() == []

    served = [int(number) for x, _ in rows for number in x[:, 0]]
    assert rows.served_samples.tolist() == served
    assert pickle.loads(pickle.dumps(rows)).served_samples.tolist() == []


def test_served_rows_of_a_csv_file_are_those_of_the_file(open_csv):
    train, val = open_csv().split(validation_split=0.3, seed=1)
    for rows in (open_csv(), open_csv(cached=True), train, val, *open_csv().partition(2)):
        served = [int(x) for batch, _ in rows for x in batch[:, 0]]
        assert rows.served_rows.tolist() == served
        assert sorted(served) == rows.row_numbers.tolist()
        assert len(set(rows.served_paths)) == len(served)


def test_served_samples_with_partly_skipped_small_batches_of_one_job(tmp_path):
    for number in range(12):
        np.save(tmp_path / f"{number}.npy", np.full(2, number, "float32"))
    (tmp_path / "7.npy").write_bytes(b"")
    files = ko.NpyManifestSequence(
        [f"{number}.npy" for number in range(12)], None, directory=tmp_path, on_error="skip", batch_size=3, seed=0
    )
    packed = ko.open_packed(files.pack(tmp_path / "packed"), batch_size=3, on_error="skip", shuffle=True, seed=4)

    for sequence in (files, packed):
        served = [int(row[0]) for x in sequence for row in x]
        assert len(served) == 11
        assert sequence.served_samples.tolist() == served


def test_memory_of_what_was_served_does_not_grow_with_the_passes(photos):
    (photos / "bee" / "5.png").write_bytes(b"not an image")
    images = ko.ImageFolderSequence(photos, image_size=SIZE, batch_size=4, seed=1, on_error="skip", workers=0)
    for _ in range(5):
        list(images)

    assert inside.num_passes_with_skipped_samples(images) <= 2
