"""`show_batch`: what is drawn and written for every kind of input, label and prediction."""

import numpy as np
import pytest
from PIL import Image

import keras_oocore as ko
from keras_oocore.core.errors import OptionError

pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")

NAMES = ["cat", "dog", "owl"]


def rows(x, y=None, mode="raw", names=None, **options):
    return ko.ArraySequence(x, y, mode, names, **{"batch_size": 4, "shuffle": False, "workers": 0, **options})


def photos(n=4, dtype="uint8"):
    return np.arange(n).reshape(-1, 1, 1, 1).astype(dtype) + np.zeros((n, 4, 6, 3), dtype)


def captions(figure):
    return [axis.get_title() for axis in figure.axes if axis.images]


def test_several_labels():
    y = [[1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 0, 1]]

    assert captions(rows(photos(), y, names=NAMES).show_batch()) == ["cat, dog", "none", "owl", "cat, owl"]


def test_soft_labels_of_a_transform():
    def mixup(x, y, rng):
        return x / 255, 0.75 * y + 0.25 * y[::-1]

    assert captions(rows(photos(), [0, 1, 1, 2], "categorical", NAMES, transform=mixup).show_batch()) == [
        "cat 75%, owl 25%",
        "dog",
        "dog",
        "owl 75%, cat 25%",
    ]


@pytest.mark.parametrize("shape", [(4, 4, 6), (4, 4, 6, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "bool"])
def test_masks_are_drawn_over_the_image(shape, dtype):
    masks = np.zeros(shape, dtype)
    masks[:, 0] = 1
    figure = rows(photos(), masks, names=NAMES).show_batch()

    assert [len(axis.images) for axis in figure.axes] == [2] * 4
    assert figure.axes[0].images[1].get_array()[:, 0, 3].astype(bool).tolist() == [True, False, False, False]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["dog"]


def test_predicted_masks_are_below():
    masks = np.zeros((4, 4, 6), "int32")
    figure = rows(photos(), masks).show_batch(num_images=2, predictions=np.full((4, 4, 6, 1), 0.7))

    assert captions(figure) == ["label", "label", "prediction", "prediction"]
    assert figure.axes[2].images[1].get_array()[0, 0, 3] > 0


def test_images_as_targets_are_below():
    """Such as an autoencoder: their values are not classes."""
    figure = rows(photos(), photos(dtype="float32") / 7).show_batch(num_images=1, predictions=photos(dtype="float32"))

    assert captions(figure) == ["input", "target", "prediction"]
    assert [len(axis.images) for axis in figure.axes] == [1] * 3


def test_spectrograms_and_images_of_two_axes():
    floats = np.random.default_rng(0).random((4, 5, 9)).astype("float32")

    assert rows(floats).show_batch().axes[0].images[0].origin == "lower"
    assert rows(floats).show_batch(spectrogram=False).axes[0].images[0].origin == "upper"
    assert rows(floats[..., None]).show_batch().axes[0].images[0].origin == "upper"
    assert rows(floats[..., None]).show_batch(spectrogram=True).axes[0].images[0].origin == "lower"
    assert rows((floats * 255).astype("uint8")).show_batch().axes[0].images[0].cmap.name == "gray"


def test_dictionaries_of_inputs_and_outputs():
    def as_dictionaries(x, y, rng):
        return {"photo": x, "gray": x[..., :1], "age": y * 0.5, "text": np.zeros((4, 99))}, {"class": y, "size": y / 4}

    figure = rows(photos(), [0, 1, 2, 1], "int", NAMES, transform=as_dictionaries).show_batch(num_images=2)
    assert captions(figure) == [
        "class: cat\nsize: 0.0\nage: 0\nphoto",
        "class: dog\nsize: 0.25\nage: 0.5\nphoto",
        "gray",
        "gray",
    ]


def test_tuples_of_inputs():
    figure = rows(photos(), [0, 1, 2, 1], transform=lambda x, y, rng: ((x, x), y)).show_batch(num_images=1)

    assert captions(figure) == ["0\ninput 0", "input 1"]


def test_channels_first_masks_and_images(tmp_path):
    for number in range(4):
        Image.new("RGB", (6, 4), (number, 0, 0)).save(tmp_path / f"{number}.png")
    names = [f"{number}.png" for number in range(4)]
    masks = np.ones((4, 1, 4, 6), "uint8")
    figure = ko.ImageFolderSequence(
        names, masks, "raw", directory=tmp_path, image_size=(4, 6), data_format="channels_first", workers=0
    ).show_batch()

    assert [len(axis.images) for axis in figure.axes] == [2] * 4


def test_predictions_beside_the_labels():
    sequence = rows(photos(), [0, 1, 2, 1], "int", NAMES)
    predictions = np.eye(3)[[0, 2, 2, 1]] * 0.9 + 0.1 / 3
    figure = sequence.show_batch(predictions=predictions)

    assert captions(figure) == ["cat\n✓ cat 93%", "dog\n✗ owl 93%", "owl\n✓ owl 93%", "dog\n✓ dog 93%"]
    assert [len(axis.patches) for axis in figure.axes] == [0, 1, 0, 0]


def test_a_model_predicts_the_batch():
    class Model:
        def predict_on_batch(self, x):
            return x[:, 0, 0, 0] + 0.5

    figure = rows(photos(), [0.0, 1.0, 2.0, 1.0]).show_batch(num_images=2, predictions=Model())
    assert captions(figure) == ["0.0\npredicted 0.5", "1.0\npredicted 1.5"]
    assert captions(rows(photos(), None).show_batch(num_images=1, predictions=Model())) == ["predicted 0.5"]


def test_predictions_of_another_length_raise():
    with pytest.raises(OptionError, match=r"one row per sample of the batch, 4 rows\. Received: 3 rows"):
        rows(photos(), [0, 1, 2, 1]).show_batch(num_images=2, predictions=np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("on_error", "expected"),
    [("skip", ["00.png", "02.png", "03.png"]), ("replace", ["00.png", "", "02.png", "03.png"])],
)
def test_file_names_of_the_images_that_are_drawn(tmp_path, on_error, expected):
    for number in range(5):
        Image.new("RGB", (6, 4), (number, 0, 0)).save(tmp_path / f"{number:02d}.png")
    (tmp_path / "01.png").write_bytes(b"damaged")
    sequence = ko.ImageFolderSequence(
        tmp_path, labels=None, image_size=(4, 6), batch_size=4, shuffle=False, on_error=on_error, workers=0
    )

    assert captions(sequence.show_batch(filenames=True)) == expected
    assert captions(rows(photos()).show_batch(filenames=True)) == ["row 0", "row 1", "row 2", "row 3"]


@pytest.mark.parametrize("shape", [(4, 3), (4,), (4, 2, 3, 5), (4, 2, 3, 4, 3)])
def test_samples_that_are_not_images_raise(shape):
    with pytest.raises(OptionError, match=r"`show_batch` draws images.*Received: samples of shape \("):
        rows(np.zeros(shape)).show_batch()
