"""Augmented images/s of `ko.augment`, albumentations and bare OpenCV, or of the layers of Keras.

python benchmarks/augment.py PHOTOS                            against albumentations and OpenCV
KERAS_BACKEND=jax python benchmarks/augment.py PHOTOS --keras  against the layers of Keras

Photos are decoded before, at 224 by 224. Two threads change batches of 64, as `cv2.setNumThreads(1)` leaves them. On
TensorFlow, the layers run in a `tf.function`, with all its threads. albumentations 2.0.8 is not among the requirements:
pip install albumentations==2.0.8
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from in_turn import measure
from PIL import Image

import keras_oocore as ko
from keras_oocore.batches.options import BatchFormat, BatchOptions
from keras_oocore.batches.transform import Draws
from keras_oocore.sources.base import RowSpec

SIDE, BATCH = 224, 64
SETS = {
    "flip, rotation, brightness": dict(flip="horizontal", rotation=0.05, brightness=0.2),
    "flip, affine, color": dict(
        flip="horizontal",
        rotation=0.05,
        zoom=0.1,
        translation=0.1,
        shear=0.1,
        brightness=0.2,
        contrast=0.2,
        saturation=(0.4, 0.6),
        hue=0.1,
    ),
}


def photos(directory, count):
    paths = sorted(path for path in Path(directory).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    images = [np.asarray(Image.open(path).convert("RGB").resize((SIDE, SIDE))) for path in paths[:count]]
    return np.stack([images[number % len(images)] for number in range(count)])


def ours(factors):
    options = BatchOptions(batch_size=BATCH, transform=ko.augment(**factors))
    transform = BatchFormat(RowSpec((SIDE, SIDE, 3), np.dtype(np.uint8)), options).transform
    return lambda images, first: transform.apply(images, None, Draws(0, 0, first, np.arange(first, first + BATCH), str))


def of_albumentations(name):
    import albumentations

    changes = {
        "flip, rotation, brightness": lambda: [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.Rotate(limit=18, border_mode=cv2.BORDER_REFLECT, p=1),
            albumentations.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0, p=1),
        ],
        "flip, affine, color": lambda: [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.Affine(
                scale=(0.9, 1.1), translate_percent=0.1, rotate=(-18, 18), shear=(-6, 6),
                border_mode=cv2.BORDER_REFLECT, p=1,
            ),
            albumentations.ColorJitter(0.2, 0.2, 0.2, 0.1, p=1),
        ],
    }  # fmt: skip
    compose = albumentations.Compose(changes[name]())
    return lambda images, _: [compose(image=image)["image"] for image in images]


def of_opencv(images, _):
    """Flip, rotation and brightness, as one would write them by hand."""
    rng = np.random.default_rng()
    for row, image in enumerate(images):
        if rng.random() < 0.5:
            image = cv2.flip(image, 1)
        turn = cv2.getRotationMatrix2D((SIDE / 2 - 0.5, SIDE / 2 - 0.5), rng.uniform(-18, 18), 1)
        image = cv2.warpAffine(image, turn, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
        images[row] = cv2.convertScaleAbs(image, beta=rng.uniform(-51, 51))


def of_keras(factors):
    import keras

    layers = [keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.05)]
    if "zoom" in factors:
        layers += [
            keras.layers.RandomZoom(0.1),
            keras.layers.RandomTranslation(0.1, 0.1, fill_mode="reflect"),
            keras.layers.RandomShear(0.1, 0.1, fill_mode="reflect"),
            keras.layers.RandomColorJitter(
                brightness_factor=0.2, contrast_factor=0.2, saturation_factor=(0.4, 0.6), hue_factor=0.1
            ),
        ]
    else:
        layers.append(keras.layers.RandomBrightness(0.2))

    def augment(images):
        for layer in layers:
            images = layer(images, training=True)
        return images

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        augment = tf.function(augment)
    return lambda images, _: keras.ops.convert_to_numpy(augment(keras.ops.convert_to_tensor(np.float32(images))))


def in_threads(work, images, threads):
    def run():
        copies = [images[start : start + BATCH].copy() for start in range(0, len(images), BATCH)]
        list(threads.map(work, copies, range(0, len(images), BATCH)))
        return len(images)

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos")
    parser.add_argument("--keras", action="store_true", help="compare with the layers of Keras")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    images = photos(arguments.photos, arguments.images)
    with ThreadPoolExecutor(arguments.threads) as threads, ThreadPoolExecutor(1) as one:
        for name, factors in SETS.items():
            contestants = {"keras_oocore": in_threads(ours(factors), images, threads)}
            if arguments.keras:
                contestants["layers of Keras"] = in_threads(of_keras(factors), images, one)
            else:
                contestants["albumentations"] = in_threads(of_albumentations(name), images, threads)
                if "zoom" not in factors:
                    contestants["OpenCV by hand"] = in_threads(of_opencv, images, threads)
            print(f"\n{name}")
            measure(contestants, arguments.runs, "images")


if __name__ == "__main__":
    main()
