"""What docs/coming_from.md claims about TensorFlow and functions of Keras that use it. test_docs.py has the rest."""

import inspect
from pathlib import Path

import keras
import numpy as np
import pytest
from needs_tensorflow import needs_tensorflow
from PIL import Image

import keras_oocore as ko

pytestmark = [pytest.mark.backend, needs_tensorflow]


def test_image_dataset_from_directory_is_within_a_grey_level(in_tmp_path):
    rng = np.random.default_rng(0)
    for number in range(120):
        path = Path("photos", f"class_{number % 3}", f"{number:03d}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(path)
    options = dict(image_size=(8, 8), shuffle=False)

    dataset = keras.utils.image_dataset_from_directory("photos", **options)
    x, y = (np.asarray(part) for part in next(iter(dataset)))
    batches = ko.ImageFolderSequence("photos", **options)
    our_x, our_y = batches[0]

    assert x.dtype == "float32"
    assert np.abs(x - our_x).max() <= 1
    np.testing.assert_array_equal(y, our_y)
    assert dataset.file_paths == batches.file_paths
    assert dataset.class_names == batches.class_names


@pytest.fixture
def make_csv_dataset(write):
    import tensorflow as tf

    def make(later_rows, **options):
        write("a,b\n" + "1,2\n" * 150 + later_rows, "t.csv")
        options = {"label_name": "b", "num_epochs": 1, "shuffle": False, **options}
        return tf.data.experimental.make_csv_dataset("t.csv", 1000, **options)

    return make


def test_make_csv_dataset_replaces_missing_numbers_by_0(make_csv_dataset):
    x, _ = next(iter(make_csv_dataset(",3\n")))
    assert x["a"].shape == (151,)
    assert x["a"].numpy()[-1] == 0
    with pytest.raises(ko.DataError, match="the cell is missing"):
        list(ko.CSVChunkSequence("t.csv", target="b"))


def test_make_csv_dataset_takes_types_from_the_first_rows(make_csv_dataset):
    with pytest.raises(Exception, match=r"is not a valid int32: 1\.5"):
        next(iter(make_csv_dataset("1.5,3\n")))
    (batch,) = ko.CSVChunkSequence("t.csv", target="b", batch_size=200, shuffle=False)
    assert batch[0][-1] == 1.5


def test_make_csv_dataset_repeats_endlessly_and_shuffles_10_000_rows(make_csv_dataset):
    assert len(list(make_csv_dataset("", num_epochs=None).take(5))) == 5
    import tensorflow as tf

    defaults = inspect.signature(tf.data.experimental.make_csv_dataset).parameters
    values = [defaults[name].default for name in ("num_epochs", "shuffle_buffer_size", "num_rows_for_inference")]
    assert values == [None, 10_000, 100]
