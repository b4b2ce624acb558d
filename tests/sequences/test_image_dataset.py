"""image_dataset_from_directory: the arguments, defaults and results of the function of Keras."""

import inspect

import keras
import numpy as np
import pytest
from contracts.numbered import CLASS_NAMES, LABELS, NUM_SAMPLES
from drawing import SIZE, draw, numbers_in
from needs_tensorflow import needs_tensorflow
from PIL import Image

import keras_oocore as ko
from keras_oocore.core.errors import DataError, OptionError

KERAS = inspect.signature(keras.utils.image_dataset_from_directory).parameters
OURS = inspect.signature(ko.image_dataset_from_directory).parameters
OF_THE_CLASS = inspect.signature(ko.ImageFolderSequence).parameters


def opened(photos, **options):
    return ko.image_dataset_from_directory(photos, **{"image_size": SIZE, "batch_size": 4, "verbose": False, **options})


def samples(sequence):
    return [number for batch in sequence for number in numbers_in(batch[0])]


def test_signature_is_that_of_keras_followed_by_our_arguments():
    names = list(OURS)

    assert names[: len(KERAS)] == list(KERAS)
    not_of_a_directory = {"data", "directory", "masks", "num_classes", "ignore_class"}
    assert {*names[len(KERAS) :]} == {*OF_THE_CLASS} - {*KERAS} - not_of_a_directory


def test_defaults_are_those_of_keras_and_then_those_of_the_class():
    assert {name: OURS[name].default for name in KERAS} == {name: KERAS[name].default for name in KERAS}
    ours = [name for name in OURS if name not in KERAS and name != "dtype"]
    assert {name: OURS[name].default for name in ours} == {name: OF_THE_CLASS[name].default for name in ours}


def test_arguments_are_documented():
    for name in OURS:
        assert f"\n        {name}: " in ko.image_dataset_from_directory.__doc__


def test_result_is_an_image_folder_sequence(photos):
    sequence = opened(photos, shuffle=False)

    assert type(sequence) is ko.ImageFolderSequence
    assert (sequence.class_names, sequence.labels.tolist()) == (CLASS_NAMES, LABELS)
    assert [path.rpartition("/")[2] for path in sequence.file_paths] == [f"{n}.png" for n in range(NUM_SAMPLES)]


@pytest.mark.parametrize(("options", "dtype"), [({}, "float32"), ({"dtype": "uint8"}, "uint8")])
def test_dtype_and_range(tmp_path, options, dtype):
    for level in (0, 255):
        path = tmp_path / "photos" / "a" / f"{level}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 4), (level,) * 3).save(path)
    x, _ = opened(tmp_path / "photos", shuffle=False, **options)[0]

    assert x.dtype == dtype
    assert x[:, 0, 0, 0].tolist() == [0, 255]


def test_subset_both_returns_training_and_validation_in_order(photos):
    training, validation = opened(photos, validation_split=0.3, subset="both", seed=1)
    first, second = samples(training), samples(validation)

    assert (len(first), len(second)) == (7, 3)
    assert sorted(first + second) == list(range(NUM_SAMPLES))
    assert first != sorted(first)
    assert second == sorted(second)
    assert samples(opened(photos, validation_split=0.3, subset="validation", seed=1, shuffle=False)) == second
    assert sorted(samples(opened(photos, validation_split=0.3, subset="training", seed=1))) == sorted(first)


def test_shuffle_false_applies_to_both_subsets(photos):
    for sequence in opened(photos, validation_split=0.3, subset="both", seed=1, shuffle=False):
        assert samples(sequence) == sorted(samples(sequence))


def test_cache_of_both_subsets(photos, tmp_path):
    for sequence in opened(photos, validation_split=0.3, subset="both", seed=1, cache=tmp_path / "cache"):
        samples(sequence)

    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["training", "validation"]


def test_options_of_the_class_apply_to_both_subsets(photos):
    for number in (3, 9):
        next(photos.rglob(f"{number}.png")).write_bytes(b"damaged")
    options = {"on_error": "skip", "rescale": 2.0, "transform": lambda x, y, rng: (x + 1, y), "batch_size": 5}
    sequences = opened(photos, validation_split=0.5, subset="both", seed=1, **options)
    with pytest.warns(UserWarning, match="left out"):  # in the part that is read in order
        given = sorted(float(x) for sequence in sequences for batch in sequence for x in batch[0][:, 0, 0, 0])

    assert given == [2 * 10 * number + 1 for number in range(NUM_SAMPLES) if number not in (3, 9)]
    assert sum(len(sequence.bad_samples) for sequence in sequences) == 2


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        ({}, "Found 10 files belonging to 3 classes.\n"),
        ({"labels": None}, "Found 10 files.\n"),
        (
            {"validation_split": 0.3, "subset": "training", "seed": 1},
            "Found 10 files belonging to 3 classes.\nUsing 7 files for training.\n",
        ),
        (
            {"validation_split": 0.3, "subset": "both", "seed": 1},
            "Found 10 files belonging to 3 classes.\nUsing 7 files for training.\nUsing 3 files for validation.\n",
        ),
        ({"verbose": False}, ""),
    ],
)
def test_verbose(photos, capsys, options, printed):
    opened(photos, **{"verbose": True, **options})

    assert capsys.readouterr().out == printed


def test_format_is_accepted(photos):
    batches = [opened(photos, shuffle=False, format=name)[0][0] for name in ("tf", "grain")]

    assert np.array_equal(*batches)
    with pytest.raises(OptionError, match=r"`format` should be one of 'tf', 'grain'\. Received: format='npy'"):
        opened(photos, format="npy")


def test_labels_none_gives_batches_of_images_alone(photos):
    x = opened(photos, labels=None, shuffle=False)[0]

    assert numbers_in(x) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("label_mode", "dtype", "first"),
    [("int", "int32", 0), ("categorical", "float32", [1.0, 0.0, 0.0]), ("binary", "float32", [0.0])],
)
def test_label_mode(photos, label_mode, dtype, first):
    class_names = CLASS_NAMES[:2] if label_mode == "binary" else CLASS_NAMES
    _, y = opened(photos, label_mode=label_mode, class_names=class_names, shuffle=False)[0]

    assert y.dtype == dtype
    assert y[0].tolist() == first


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": None}, OptionError, "For single samples, use batch_size=1. Received: batch_size=None"),
        ({"subset": "all", "validation_split": 0.3}, OptionError, "`subset` should be one of"),
        ({"subset": "both"}, OptionError, "`validation_split` should be between 0 and 1, with `subset`"),
        ({"subset": "both", "validation_split": 0.3}, OptionError, "`validation_split` requires `seed`"),
        ({"target_size": (8, 8)}, OptionError, "has no argument `target_size`. Use `image_size` instead"),
        ({"num_workers": 2}, OptionError, "has no argument `num_workers`. Use `workers` instead"),
        ({"on_error": "ignore"}, OptionError, "`on_error` should be one of"),
        ({"retries": -1}, OptionError, "`retries` should be"),
        ({"class_names": ["dog"]}, DataError, "'dog'"),
    ],
)
def test_invalid_arguments_are_errors(photos, options, error, message):
    with pytest.raises(error, match=message):
        opened(photos, **options)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("cache", 'pass cache="DIR" to'),
        ("prefetch", "batches are already made ahead"),
        ("map", "pass transform=function to the constructor"),
        ("take", "use steps_per_epoch=n in `fit`"),
        ("repeat", "a pass per epoch"),
        ("unbatch", "use batch_size=1"),
        ("batch", "pass batch_size=... to the constructor"),
        ("shuffle", "pass shuffle=True to the constructor"),
    ],
)
def test_methods_of_tf_data_are_errors_that_name_alternatives(photos, name, instead):
    with pytest.raises(AttributeError) as caught:
        getattr(opened(photos), name)
    assert str(caught.value).startswith(f"'ImageFolderSequence' object has no attribute {name!r}. Instead: ")
    assert instead in str(caught.value)


@pytest.mark.backend
@needs_tensorflow
def test_pixels_equal_those_of_keras_within_one_level(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype="uint8")
    draw(tmp_path / "photos/a/1.png", 5, size=(30, 40))
    (tmp_path / "photos/b").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos/b/2.png")
    options = {"image_size": (12, 9), "interpolation": "bilinear", "shuffle": False, "verbose": False}
    ((theirs, their_labels),) = keras.utils.image_dataset_from_directory(str(tmp_path / "photos"), **options)
    x, y = ko.image_dataset_from_directory(tmp_path / "photos", **options)[0]

    assert x.shape == tuple(theirs.shape)
    assert np.abs(x - np.asarray(theirs)).max() <= 1
    assert y.tolist() == np.asarray(their_labels).tolist()
