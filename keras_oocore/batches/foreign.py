"""Augmentations of other libraries as transforms: `albumentations.Compose` and the layers of Keras.

They are seeded by the sample, where they allow it. A label that is a mask is changed along with its image.
"""

import copy
import inspect
import sys
import threading
import weakref
from typing import Any

import numpy as np

from keras_oocore.batches.per_sample import PerSample
from keras_oocore.batches.transform import Transform
from keras_oocore.core.errors import OptionError
from keras_oocore.core.warn import warn_user

SEEDS = 2**31 - 1
_warned_of = weakref.WeakSet()  # layers, so that each warns once
COMBINED = ("RandomColorJitter", "RandAugment", "AugMix")  # layers of layers, which draw with their own seeds
MIXES = ("MixUp", "CutMix")  # layers that need a whole batch


def is_albumentations(given: Any) -> bool:
    """Whether it is a transform of albumentations."""
    return type(given).__module__.startswith("albumentations")


def from_albumentations(given: Any) -> Transform:
    """Return a transform that applies an `albumentations.Compose` to each image.

    Raises:
        OptionError: If it is not a `Compose`.
    """
    if not hasattr(given, "set_random_seed") or not hasattr(given, "transforms"):
        raise OptionError(
            f"A single transform of albumentations has no seed of its own. Use albumentations.Compose([...]). "
            f"Received: {type(given).__name__}"
        )
    return PerSample(_Composed(given), of_images=True)


class _Composed:
    """Applies an `albumentations.Compose` to an image, with the seed of the sample. Each thread has a copy."""

    def __init__(self, compose: Any):
        self._compose = compose
        self._of_thread = threading.local()

    def __call__(self, x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        if (compose := getattr(self._of_thread, "compose", None)) is None:
            compose = self._of_thread.compose = copy.deepcopy(self._compose)
        compose.set_random_seed(int(rng.integers(SEEDS)))
        if not _is_mask(y, x):
            return compose(image=np.ascontiguousarray(x))["image"], y
        changed = compose(image=np.ascontiguousarray(x), mask=np.ascontiguousarray(y))
        return changed["image"], changed["mask"]

    def __repr__(self) -> str:
        return "albumentations.Compose"

    def __reduce__(self) -> tuple[Any, ...]:
        return _Composed, (self._compose,)


def _is_mask(y: Any, x: np.ndarray) -> bool:
    """Whether the label of an image is a mask, of shape `(height, width, channels)`, which moves along."""
    return isinstance(y, np.ndarray) and y.ndim == 3 and y.shape[:2] in (x.shape[:2], x.shape[1:3])


def is_keras_layer(given: Any) -> bool:
    """Whether it is a layer of Keras."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(given, keras.layers.Layer)


def from_keras(layer: Any) -> Transform:
    """Return a transform that applies a layer of Keras, or several, to each image.

    Raises:
        OptionError: If it mixes images.
    """
    layers = [part for part in getattr(layer, "layers", [layer]) if type(part).__name__ != "InputLayer"]
    for part in layers:
        if type(part).__name__ in MIXES:
            raise OptionError(
                f"`keras.layers.{type(part).__name__}` requires a whole batch. Use it in the model or in a function of "
                f"a batch, or use ko.augment({type(part).__name__.lower()}=...)."
            )
    unseeded = [type(part).__name__ for part in layers if not _takes_seed(part) and _is_random(part)]
    if unseeded and layer not in _warned_of:
        _warned_of.add(layer)
        warn_user(
            f"keras.layers.{unseeded[0]} cannot be seeded per sample, so the images differ from run to run, and after "
            "a training resumes. Use `ko.augment` or `ko.per_sample` for images that are the same."
        )
    return PerSample(_Layers(layers), of_images=True)


def _takes_seed(layer: Any) -> bool:
    draw = getattr(layer, "get_random_transformation", None)
    return draw is not None and type(layer).__name__ not in COMBINED and "seed" in inspect.signature(draw).parameters


def _is_random(layer: Any) -> bool:
    return hasattr(layer, "get_random_transformation") or any(hasattr(layer, name) for name in ("seed", "generator"))


class _Layers:
    """Applies layers of Keras to an image, with the seed of the sample."""

    def __init__(self, layers: list[Any]):
        self._layers = layers

    def __call__(self, x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        ops = sys.modules["keras"].ops
        images = ops.convert_to_tensor(np.float32(x)[np.newaxis])
        masks = ops.convert_to_tensor(np.float32(y)[np.newaxis]) if _is_mask(y, x) else None
        for layer in self._layers:
            seed = int(rng.integers(1, SEEDS))
            if _takes_seed(layer):
                if masks is not None:  # drawn for each: on torch, Keras 3.15.1 changes the drawn matrix in place
                    drawn = layer.get_random_transformation(images, training=True, seed=seed)
                    masks = layer.transform_segmentation_masks(masks, drawn, training=True)
                drawn = layer.get_random_transformation(images, training=True, seed=seed)
                images = layer.transform_images(images, drawn, training=True)
            elif masks is not None and hasattr(layer, "transform_segmentation_masks"):
                both = layer({"images": images, "segmentation_masks": masks}, training=True)
                images, masks = both["images"], both["segmentation_masks"]
            else:
                images = layer(images, training=True)
        if masks is not None:
            y = ops.convert_to_numpy(masks)[0].astype(y.dtype)
        return ops.convert_to_numpy(images)[0], y

    def __repr__(self) -> str:
        return f"keras layers {', '.join(type(layer).__name__ for layer in self._layers)}"
