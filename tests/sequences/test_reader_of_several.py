"""A `reader` that returns several inputs, or inputs and the answer."""

from pathlib import Path

import keras
import numpy as np
import pytest
from several_arrays import NUM_SAMPLES, answer_of, as_bytes, image_of, opened, require_whole, table_of, write_files

import keras_oocore as ko


@pytest.fixture
def folder(tmp_path):
    return write_files(tmp_path / "files")


def number_in(path):
    return int(Path(path).read_text())


def with_answer(path):
    number = number_in(path)
    return {"image": image_of(number), "table": table_of(number)}, np.int32(answer_of(number))


def inputs_alone(path):
    return with_answer(path)[0]


def two_inputs(path):
    return (image_of(number_in(path)), table_of(number_in(path))), None


def one_and_answer(path):
    return table_of(number_in(path)), number_in(path)


def test_a_dictionary_and_its_answer(folder):
    sequence = opened(folder, with_answer)

    assert sorted(number for batch in sequence for number in require_whole(batch)) == list(range(NUM_SAMPLES))
    assert as_bytes(opened(folder, with_answer, workers=0)) == as_bytes(opened(folder))  # a reader with `read_into`


def test_a_dictionary_with_labels_beside_it(folder):
    names = [f"{number}.txt" for number in range(NUM_SAMPLES)]
    labels = [answer_of(number) for number in range(NUM_SAMPLES)]
    for batch in ko.NpyManifestSequence(names, labels, directory=folder, reader=inputs_alone, batch_size=4):
        require_whole(batch)
    with pytest.raises(ko.OptionError, match=r"would be a second one. Pass labels=None"):
        ko.NpyManifestSequence(names, labels, directory=folder, reader=with_answer)


def test_a_tuple_of_inputs_and_one_array_with_its_answer(folder):
    ((image, table),) = opened(folder, two_inputs, shuffle=False)[0]
    assert np.array_equal(image[3], image_of(3))
    assert table[3].tolist() == [3, -3]
    x, y = opened(folder, one_and_answer, shuffle=False)[0]
    assert x[:, 0].tolist() == y.tolist() == [0, 1, 2, 3]
    assert opened(folder, one_and_answer, dtype="float16")[0][0].dtype == np.float16


@pytest.mark.backend
def test_a_tuple_of_two_inputs_without_labels_is_not_taken_for_inputs_and_labels(folder):
    image, table = keras.Input((4, 5, 3)), keras.Input((2,))
    model = keras.Model([image, table], keras.layers.Rescaling(1.0)(table))
    sequence = opened(folder, two_inputs, shuffle=False)

    assert model.predict(sequence, verbose=0)[:, 0].tolist() == list(range(NUM_SAMPLES))
    assert ko.predict(model, sequence)["prediction 0"].tolist() == list(range(NUM_SAMPLES))
    assert len(sequence.normalization()) == 2


def test_a_tuple_of_inputs_is_drawn(folder):
    assert opened(folder, two_inputs).show_batch().axes


def test_a_tuple_that_is_not_x_and_y_is_refused_by_name(folder):
    with pytest.raises(ko.OptionError, match=r"is `\(x, y\)`.*\(\(first, second\), y\).*Received: a tuple of 3"):
        opened(folder, lambda path: (1, 2, 3))
    with pytest.raises(ko.OptionError, match=r"letters, digits and underscores only. Received: 'my image'"):
        opened(folder, lambda path: {"my image": 1, "b": 2})
    with pytest.raises(ko.OptionError, match=r"without upper case. Received: 'a', 'A'"):
        opened(folder, lambda path: {"a": 1, "A": 2})
    with pytest.raises(ko.OptionError, match=r"Received: \{\}"):
        opened(folder, lambda path: {})
    with pytest.raises(ko.SampleError, match=r"`reader` should return numbers.*for x_a: an array of dtype <U1"):
        opened(folder, lambda path: {"a": "b", "c": 1})


def test_a_file_with_other_arrays_is_named(folder):
    def other_at_three(path):
        inputs, answer = with_answer(path)
        if number_in(path) == 3:
            inputs.pop("table")
        return inputs, answer

    with pytest.raises(
        ko.SampleError, match=r"3\.txt.*returned x_image, y; for the first file it was x_image, x_table"
    ):
        list(opened(folder, other_at_three))
    served = opened(folder, other_at_three, on_error="skip")
    assert sorted(number for batch in served for number in require_whole(batch)) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_names_of_any_alphabet_are_kept_in_a_store(folder, tmp_path):
    def in_german(path):
        return {"größe": number_in(path), "bild": image_of(number_in(path))}, 0

    opened(folder, in_german).pack(tmp_path / "packed")
    x, _ = ko.open_packed(tmp_path / "packed", batch_size=10, shuffle=False)[0]
    assert x["größe"].tolist() == list(range(NUM_SAMPLES))
