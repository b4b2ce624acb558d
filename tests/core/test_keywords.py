"""Unknown keywords of functions are answered with what to type."""

import inspect

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import OptionError


def rows(**options):
    return ko.ArraySequence(np.arange(10.0), labels=np.arange(10), batch_size=4, seed=0, **options)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "houses.csv"
    path.write_text("sqft,price\n" + "".join(f"{number},{number}\n" for number in range(10)))
    return ko.CSVChunkSequence(path, target="price")


@pytest.mark.parametrize(
    ("word", "value", "expected"),
    [
        ("test_size", 0.2, "Use `validation_split` instead. Received: test_size=0.2"),
        ("random_state", 7, "Use `seed` instead. Received: random_state=7"),
        ("train_size", 0.8, "Use `validation_split`, the fraction that is not for training. Received: train_size=0.8"),
        ("stratified", True, "Did you mean 'stratify'? Received: stratified=True"),
    ],
)
def test_words_of_split(table, word, value, expected):
    manifest = ko.Manifest.from_arrays(["a.png", "b.png"], [0, 1])
    for data in (rows(), table, manifest):
        with pytest.raises(OptionError) as caught:
            data.split(**{word: value})
        assert str(caught.value) == f"`split` has no argument `{word}`. {expected}"


def test_transform_of_split_names_val_transform():
    with pytest.raises(OptionError, match=r"`val_transform` is for the other parts\. Received: transform="):
        rows().split(0.2, transform=lambda x, y, rng: (x, y))


@pytest.mark.parametrize(
    ("word", "value", "expected"),
    [
        ("horizontal_flip", True, 'Use flip="horizontal".'),
        ("rotation_range", 20, "Use `rotation`, in full turns: rotation=20/360 is up to 20 degrees."),
        ("rotaton", 0.1, "Did you mean 'rotation'?"),
        ("seed", 1, "It is an argument of the Sequence."),
    ],
)
def test_words_of_augment(word, value, expected):
    with pytest.raises(OptionError) as caught:
        ko.augment(**{word: value})
    assert str(caught.value) == f"`augment` has no argument `{word}`. {expected} Received: {word}={value!r}"


def test_ids_belong_to_the_sequence_and_not_to_predict():
    with pytest.raises(OptionError, match=r"of the Sequence of a table: ids=\[COLUMN\]\. Received: ids='id'"):
        ko.predict(None, rows(), ids="id")


def test_signature_is_that_of_the_function():
    assert list(inspect.signature(ko.ArraySequence.split).parameters)[:3] == ["self", "validation_split", "test_split"]
    assert "rotation" in inspect.signature(ko.augment).parameters


def test_sizes_of_all_parts_as_a_list(table):
    manifest = ko.Manifest.from_arrays(["a.png", "b.png"], [0, 1])
    for data in (rows(), table, manifest):
        with pytest.raises(OptionError, match=r"split\(validation_split=0\.2, test_split=0\.1\)\. Received: \[0\.7, 0"):
            data.split([0.7, 0.2, 0.1])


def test_third_size_is_not_stratify(table):
    for data in (rows(), ko.Manifest.from_arrays(["a.png", "b.png"], [0, 1])):
        with pytest.raises(OptionError, match=r"the training part is the rest\. Received: stratify=0\.1"):
            data.split(0.7, 0.2, 0.1)
    with pytest.raises(OptionError, match="`stratify` should be the name of a column, or True for the target"):
        table.split(0.7, 0.2, 0.1)


def test_small_training_part_gives_a_warning(table, recwarn):
    manifest = ko.Manifest.from_arrays([f"{number}.png" for number in range(10)], [0, 1] * 5)
    for data in (rows(), table, manifest):
        with pytest.warns(UserWarning, match="for training") as caught:
            data.split(0.8)
        assert [str(warning.message) for warning in caught] == [
            "validation_split=0.8 leaves 0.2 of the samples for training. If 0.8 should be for training, pass "
            "validation_split=0.2."
        ]
        assert caught[0].filename == __file__


def test_half_of_the_samples_for_validation_is_silent(table, recwarn):
    for data in (rows(), table):
        data.split(0.5)
    assert not recwarn


def test_slices_are_answered():
    with pytest.raises(TypeError, match=r"itertools\.islice\(sequence, n\)\. Received: slice\(0, 2, None\)"):
        rows()[0:2]
