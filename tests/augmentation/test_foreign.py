"""Layers of Keras and albumentations as `transform`: seeded by the sample where they allow it."""

import sys
import types
import warnings

import keras
import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import OptionError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3)).astype(np.uint8)


def changed(transform, batch_size=4, **options):
    sequence = ko.ArraySequence(
        IMAGES, labels=None, batch_size=batch_size, shuffle=False, seed=0, transform=transform, **options
    )
    return np.concatenate([np.asarray(batch) for batch in sequence])


SEEDED = [
    lambda: keras.layers.RandomFlip("horizontal"),
    lambda: keras.layers.RandomRotation(0.1),
    pytest.param(lambda: keras.layers.RandomBrightness(0.2), marks=pytest.mark.one_backend),
    lambda: keras.Sequential([keras.layers.RandomTranslation(0.1, 0.1), keras.layers.Rescaling(1 / 255)]),
]


@pytest.mark.backend
@pytest.mark.parametrize("make", SEEDED)
def test_layers_of_keras_are_seeded_by_the_sample(make):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*cannot be seeded")
        expected = changed(make())

    assert expected.dtype == np.float32
    assert (expected != IMAGES).any()
    np.testing.assert_array_equal(changed(make(), batch_size=12, workers=2), expected)


def test_a_layer_that_cannot_be_seeded_warns_once():
    layer = keras.layers.GaussianNoise(0.1)

    with pytest.warns(UserWarning, match="GaussianNoise cannot be seeded per sample") as found:
        assert changed(layer).shape == IMAGES.shape
    assert len([warning for warning in found if "seeded" in str(warning.message)]) == 1
    with pytest.warns(UserWarning, match="RandomColorJitter cannot be seeded"):
        changed(keras.layers.RandomColorJitter(brightness_factor=0.2))


def test_layers_that_mix_images_are_refused():
    with pytest.raises(OptionError, match=r"ko.augment\(mixup=...\)"):
        changed(keras.layers.MixUp())


@pytest.fixture
def albumentations(monkeypatch):
    """A module with the parts of albumentations that are used, with one generator per `Compose`, as there."""

    class Compose:
        def __init__(self, transforms):
            self.transforms, self.generator = transforms, np.random.default_rng()

        def set_random_seed(self, seed):
            self.generator = np.random.default_rng(seed)

        def __call__(self, image):
            return {"image": image + self.generator.integers(100, dtype=np.uint8)}

    module = types.ModuleType("albumentations")
    module.Compose, module.HorizontalFlip = Compose, type("HorizontalFlip", (), {"__module__": "albumentations"})
    Compose.__module__ = "albumentations"
    monkeypatch.setitem(sys.modules, "albumentations", module)
    return module


def test_a_compose_of_albumentations_is_seeded_by_the_sample(albumentations):
    compose = albumentations.Compose([])
    expected = changed(compose)

    assert len(np.unique((expected - IMAGES)[:, 0, 0, 0])) > 8
    np.testing.assert_array_equal(changed(compose, batch_size=12, workers=3), expected)
    with pytest.raises(OptionError, match=r"albumentations.Compose\(\[...\]\)"):
        changed(albumentations.HorizontalFlip())


MASKS = np.kron(np.random.default_rng(1).integers(0, 6, (12, 4, 4)), np.ones((4, 4), int)).astype("uint8")[..., None]


def changed_pairs(transform):
    sequence = ko.ArraySequence(
        np.repeat(40 * MASKS, 3, axis=-1), MASKS, label_mode="raw", batch_size=4, seed=0, transform=transform
    )
    return tuple(np.concatenate([np.asarray(part) for part in parts]) for parts in zip(*sequence))


@pytest.mark.backend
@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.layers.RandomFlip("horizontal"),
        lambda: keras.layers.RandomRotation(0.2, interpolation="nearest"),
        pytest.param(
            lambda: keras.Sequential([keras.layers.RandomTranslation(0.2, 0.2, interpolation="nearest")]),
            marks=pytest.mark.one_backend,
        ),
        pytest.param(lambda: keras.layers.CenterCrop(8, 12), marks=pytest.mark.one_backend),
    ],
)
def test_layers_of_keras_move_masks_along(make):
    x, y = changed_pairs(make())

    assert (y.dtype, y.shape[:3], y.shape[3]) == (np.uint8, x.shape[:3], 1)
    np.testing.assert_array_equal(x, np.repeat(40.0 * y, 3, axis=-1))


def test_layers_of_keras_that_change_colors_leave_masks_alone():
    for layer in (keras.layers.RandomBrightness(0.5), keras.layers.Rescaling(1 / 255)):
        x, y = changed_pairs(layer)
        assert {*np.unique(y)} == {*range(6)}
        assert not np.array_equal(x, np.repeat(40.0 * y, 3, axis=-1))


def test_a_compose_of_albumentations_receives_the_mask(albumentations, monkeypatch):
    def mirrored(compose, image, mask):
        return {"image": image[:, ::-1], "mask": mask[:, ::-1]}

    monkeypatch.setattr(albumentations.Compose, "__call__", mirrored)
    x, y = changed_pairs(albumentations.Compose([]))

    np.testing.assert_array_equal(x, np.repeat(40 * y, 3, axis=-1))
    kept = changed_pairs(None)[1]
    np.testing.assert_array_equal(y, kept[:, :, ::-1])
