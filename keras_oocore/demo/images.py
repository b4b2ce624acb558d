"""Prepares a folder of images from scikit-learn and trains a small network on it."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

import keras_oocore as ko
from keras_oocore.core.backend import require_backend
from keras_oocore.core.files import write_whole
from keras_oocore.demo import DIRECTORY
from keras_oocore.demo import IMAGE_EPOCHS as EPOCHS
from keras_oocore.plots.contact_sheet import contact_sheet

IMAGE_SIZE = (32, 32)


def run_demo(directory: str | os.PathLike[str] = DIRECTORY, epochs: int = EPOCHS) -> float:
    """Prepares 1,797 images of digits, trains a small network on them from disk, and prints the paths of all files.

    Args:
        directory: Directory for all files. It is created if it does not exist, and can be used again.
        epochs: Number of epochs to train. Defaults to `12`.

    Returns:
        The accuracy on the validation images.

    Raises:
        MissingExtraError: If no Keras backend is installed.
    """
    require_backend()
    import keras

    console, folder = Console(highlight=False), Path(directory)
    keras.utils.set_random_seed(0)

    console.rule("1  Prepare: class folders → all_images, filenames.npy, labels.npy")
    write_digits(folder / "digits")
    manifest = ko.flatten_images(folder / "digits", folder / "all_images")
    train, val = manifest.split(validation_split=0.2, stratify=True, seed=0)
    train.save(folder / "train")
    val.save(folder / "val")

    console.rule("2  Load: batches from disk")
    options = dict(color_mode="grayscale", image_size=IMAGE_SIZE, batch_size=32)
    train_batches = ko.ImageFolderSequence(train, seed=0, **options)
    val_batches = ko.ImageFolderSequence(val, shuffle=False, **options)
    console.print(repr(train_batches), markup=False)
    batch_figure = folder / "batch.png"
    try:
        train_batches.show_batch(path=batch_figure)
    except ko.MissingExtraError:  # matplotlib is not installed
        x, y = train_batches[0]
        contact_sheet(x[:16], [train_batches.class_names[label] for label in y[:16]], batch_figure)

    console.rule(f"3  Train: model.fit on {keras.backend.backend()}")
    model = small_network(keras, train_batches.class_names)
    history = model.fit(train_batches, validation_data=val_batches, epochs=epochs, verbose=2)
    accuracy = history.history["val_accuracy"][-1]
    model.save(folder / "model.keras")

    console.rule("Done")
    console.print(f"[bold green]val_accuracy: {accuracy:.4f}[/]")
    show_paths(
        console,
        [
            ("class folders", folder / "digits"),
            ("all images", folder / "all_images"),
            ("filenames.npy, labels.npy", f"{folder / 'train'} and {folder / 'val'}"),
            ("a batch with its labels", batch_figure),
            ("the trained model", folder / "model.keras"),
        ],
    )
    return accuracy


def show_paths(console: Console, paths: Iterable[tuple[str, str | os.PathLike[str]]]) -> None:
    """Print one line per path, with its description."""
    for what, path in paths:
        console.print(f"  {what:<26} {path}", markup=False, soft_wrap=True)


def write_digits(directory: Path) -> None:
    """Write the digits of scikit-learn (UCI, 8 by 8 pixels, grayscale) as PNG files, in one folder per digit."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target)):
        path = directory / str(label) / f"{number:04d}.png"
        if not path.exists():
            image = Image.fromarray(np.uint8(pixels * 255 / 16)).resize(IMAGE_SIZE, Image.Resampling.BICUBIC)
            with write_whole(path, durable=False) as file:  # they can be written again
                image.save(file, format="PNG")


def small_network(keras: Any, class_names: list[str]) -> Any:
    """A convolutional network that learns the digits in seconds on a CPU."""
    model = keras.Sequential(
        [
            keras.Input((*IMAGE_SIZE, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
            keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(len(class_names), activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
