"""Weights of samples with several losses each: Keras weighs samples, and not columns of pixels."""

import keras
import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.batches.weights import shaped_weight

WIDTH = 4  # as many columns as samples in a batch


def batches_of(labels, num=10, **options):
    images = np.random.default_rng(0).random((num, 3, WIDTH, 3)).astype("float32")
    return ko.ArraySequence(images, labels, label_mode="raw", batch_size=WIDTH, shuffle=False, **options)


def test_weights_have_the_axes_of_labels_with_three_or_more():
    for shape, expected in (((), ()), ((1,), ()), ((5,), ()), ((3, 4), (1, 1)), ((3, 4, 1), (1, 1, 1))):
        for x, y, weight in batches_of(np.zeros((10, *shape)), sample_weight=[*range(10)]):
            assert weight.shape == (len(y), *expected)
            assert x.shape[0] == len(weight)


def test_weights_of_several_labels_have_their_structure():
    weight, mask, label = np.arange(8.0), np.zeros((8, 3, 4, 1)), np.zeros(8)

    assert shaped_weight(weight, {"a": label, "b": (label, label)}) is weight
    by_name = shaped_weight(weight, {"mask": mask, "label": label})
    assert {name: one.shape for name, one in by_name.items()} == {"mask": (8, 1, 1, 1), "label": (8,)}
    assert [one.shape for one in shaped_weight(weight, (mask, label))] == [(8, 1, 1, 1), (8,)]


@pytest.mark.backend
@pytest.mark.parametrize("with_channel", [True, pytest.param(False, marks=pytest.mark.one_backend)])
def test_padded_masks_have_the_loss_and_metrics_of_all_samples(with_channel):
    masks = np.random.default_rng(1).integers(0, 3, (10, 3, WIDTH, 1)).astype("uint8")
    masks = masks if with_channel else masks[..., 0]
    outputs = keras.Sequential([keras.Input((3, WIDTH, 3)), keras.layers.Conv2D(3, 1, activation="softmax")])
    outputs.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(), weighted_metrics=["sparse_categorical_accuracy"]
    )
    images = np.concatenate([x for x, _ in batches_of(masks)])
    expected = outputs.evaluate(images, masks, batch_size=10, verbose=0)

    padded = outputs.evaluate(batches_of(masks, last_batch="pad_for_evaluation"), verbose=0)
    np.testing.assert_allclose(padded, expected, rtol=1e-5)


@pytest.mark.backend
def test_outputs_with_and_without_masks_are_weighed_by_sample():
    masks = np.random.default_rng(1).integers(0, 3, (8, 3, WIDTH, 1)).astype("uint8")
    weights = np.array([1, 0, 0, 2, 0, 3, 0, 0], "float32")
    inputs = keras.Input((3, WIDTH, 3))
    outputs = {
        "mask": keras.layers.Conv2D(3, 1, activation="softmax", name="mask")(inputs),
        "level": keras.layers.Dense(1, name="level")(keras.layers.Flatten()(inputs)),
    }
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"mask": "sparse_categorical_crossentropy", "level": "mse"})

    def both(x, y, rng):
        return x, {"mask": y, "level": x[:, 0, 0, :1]}

    x, y, weight = batches_of(masks, num=8, transform=both, sample_weight=weights)[1]
    loss = model.test_on_batch(x, y, sample_weight=weight)
    loss = loss[0] if isinstance(loss, list) else loss
    predicted = {name: np.asarray(values) for name, values in model.predict_on_batch(x).items()}
    of_pixels = -np.log(np.take_along_axis(predicted["mask"], y["mask"].astype(int), axis=-1))[..., 0]
    of_samples = ((predicted["level"] - y["level"]) ** 2)[:, 0]
    expected = (of_pixels.mean(axis=(1, 2)) * weights[4:]).mean() + (of_samples * weights[4:]).mean()

    np.testing.assert_allclose(loss, expected, rtol=1e-4)
