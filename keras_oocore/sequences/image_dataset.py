"""`image_dataset_from_directory`, with the signature of the function of Keras."""

import os
from collections.abc import Sequence
from typing import Any, Literal, Unpack, get_args, overload

import numpy as np

from keras_oocore.batches.options import DataFormat
from keras_oocore.core.checks import choice
from keras_oocore.core.errors import OptionError
from keras_oocore.images.pillow import ColorMode
from keras_oocore.images.resize import Interpolation
from keras_oocore.manifest.extensions import IMAGE_EXTENSIONS
from keras_oocore.manifest.labels import LabelMode
from keras_oocore.sequences.arguments import (
    LoadingArguments,
    OutputArguments,
    ReadingArguments,
    Subset,
    ValueArguments,
    documented,
    shares,
)
from keras_oocore.sequences.image_folder import ImageFolderSequence
from keras_oocore.sequences.inputs import as_manifest

Format = Literal["tf", "grain"]


class FurtherArguments(ValueArguments, OutputArguments, ReadingArguments, LoadingArguments, total=False):
    """The arguments of `ImageFolderSequence` that the function of Keras does not have."""


class ImageDatasetArguments(FurtherArguments, total=False):
    """Types of the arguments for type checkers, without `subset`, which determines the result."""

    labels: str | os.PathLike[str] | Sequence[Any] | np.ndarray | None
    label_mode: LabelMode | None
    class_names: Sequence[str] | None
    color_mode: ColorMode
    batch_size: int
    image_size: tuple[int, int]
    shuffle: bool
    seed: int | None
    validation_split: float | None
    interpolation: Interpolation
    follow_links: bool
    crop_to_aspect_ratio: bool
    pad_to_aspect_ratio: bool
    data_format: DataFormat | None
    format: Format
    verbose: bool
    dtype: Any
    cache: str | os.PathLike[str] | None
    strict: bool


@overload
def image_dataset_from_directory(
    directory: str | os.PathLike[str], *, subset: Literal["both"], **options: Unpack[ImageDatasetArguments]
) -> tuple[ImageFolderSequence, ImageFolderSequence]: ...


@overload
def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: str | os.PathLike[str] | Sequence[Any] | np.ndarray | None = "inferred",
    label_mode: LabelMode | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: ColorMode = "rgb",
    batch_size: int = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: Subset | None = None,
    interpolation: Interpolation = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: DataFormat | None = None,
    format: Format = "tf",
    verbose: bool = True,
    dtype: Any = "float32",
    cache: str | os.PathLike[str] | None = None,
    strict: bool = False,
    **shared: Unpack[FurtherArguments],
) -> ImageFolderSequence: ...


@overload
def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    *,
    subset: Subset | Literal["both"] | None,
    **options: Unpack[ImageDatasetArguments],
) -> ImageFolderSequence | tuple[ImageFolderSequence, ...]: ...


@documented
@shares(FurtherArguments)
def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: str | os.PathLike[str] | Sequence[Any] | np.ndarray | None = "inferred",
    label_mode: LabelMode | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: ColorMode = "rgb",
    batch_size: int = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: Subset | Literal["both"] | None = None,
    interpolation: Interpolation = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: DataFormat | None = None,
    format: Format = "tf",
    verbose: bool = True,
    dtype: Any = "float32",
    cache: str | os.PathLike[str] | None = None,
    strict: bool = False,
    **shared: Unpack[FurtherArguments],
) -> ImageFolderSequence | tuple[ImageFolderSequence, ...]:
    """Return batches of the images in class folders, with the arguments of `keras.utils.image_dataset_from_directory`.

    Code written for Keras works after changing `keras.utils` into `ko`. The result is an `ImageFolderSequence`, which
    works on every backend. The arguments after `verbose` are those of `ImageFolderSequence` that Keras does not have.

    Args:
        directory: Directory of class folders. With `labels=None` or a list of labels, any directory of images.
        labels: `"inferred"` from the class folders, `None`, or a list of labels in the order of the sorted file paths.
        label_mode: `"int"`, `"categorical"`, `"binary"` or `None`.
        class_names: Names of the classes in the order of their indices. Defaults to alphanumeric order.
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"`.
        batch_size: Size of the batches of data. Defaults to `32`.
        image_size: Size of the images, `(height, width)`.
        shuffle: Whether to shuffle the data. `False` sorts it in alphanumeric order.
        seed: Random seed of shuffling and of the split.
        validation_split: Fraction of the data to reserve for validation. The selected files differ from those of Keras.
        subset: `"training"`, `"validation"` or `"both"`. `"both"` returns a tuple of two Sequences, and the one for
            validation is read in order.
        interpolation: Interpolation of the resizing, as in `ImageFolderSequence`.
        follow_links: Whether to visit directories that symbolic links point to.
        crop_to_aspect_ratio: Whether to crop images instead of changing their aspect ratio.
        pad_to_aspect_ratio: Whether to pad images with zeros instead of changing their aspect ratio.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.
        format: `"tf"` or `"grain"`, accepted for compatibility with Keras. The result is the same.
        verbose: Whether to print the number of files and classes.
        dtype: Dtype of the images, with values from 0 to 255. `"uint8"` needs a quarter of the memory of the default.
            `"uint16"` keeps all bits of images of 16 bits, with values from 0 to 65535.
        cache: Directory that stores the decoded images, as in `ImageFolderSequence`.
        strict: Whether a JPEG that its decoder warns about counts as unreadable, as in `ImageFolderSequence`.
        {shared}

    Returns:
        An `ImageFolderSequence`, or a tuple of two with `subset="both"`.

    Raises:
        OptionError: If an argument is not valid.
        DataError: If the directory does not exist or does not contain images.
        MissingExtraError: If `strict=True` and simplejpeg is not installed.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> directory = tempfile.mkdtemp()
    >>> for name in ("dark/1", "dark/2", "light/1", "light/2"):
    ...     path = Path(directory, f"{name}.png")
    ...     path.parent.mkdir(exist_ok=True)
    ...     Image.new("RGB", (8, 8)).save(path)
    >>> train, val = image_dataset_from_directory(directory, validation_split=0.5, subset="both", seed=1)
    Found 4 files belonging to 2 classes.
    Using 2 files for training.
    Using 2 files for validation.
    >>> train[0][0].shape, train[0][0].dtype
    ((2, 256, 256, 3), dtype('float32'))
    """
    choice(format, "format", get_args(Format))
    if batch_size is None:
        raise OptionError(
            "`batch_size` should be a positive integer. For single samples, use batch_size=1. Received: batch_size=None"
        )
    raw = label_mode == "raw"
    manifest = as_manifest(directory, labels, class_names, None, IMAGE_EXTENSIONS, follow_links, raw)
    options = {
        "label_mode": label_mode,
        "color_mode": color_mode,
        "batch_size": batch_size,
        "image_size": image_size,
        "seed": seed,
        "validation_split": validation_split,
        "interpolation": interpolation,
        "crop_to_aspect_ratio": crop_to_aspect_ratio,
        "pad_to_aspect_ratio": pad_to_aspect_ratio,
        "data_format": data_format,
        "dtype": dtype,
        "cache": cache,
        "strict": strict,
        **shared,
    }
    both = subset == "both"
    names = ("training", "validation") if both else (subset,)
    sequences = tuple(
        ImageFolderSequence(manifest, subset=name, shuffle=shuffle and not (both and name == "validation"), **options)
        for name in names
    )
    if verbose:
        classes = "" if manifest.class_names is None else f" belonging to {len(manifest.class_names)} classes"
        print(f"Found {len(manifest)} files{classes}.")
        for name, sequence in zip(names, sequences):
            if name is not None:
                print(f"Using {sequence.num_samples} files for {name}.")
    return sequences if both else sequences[0]
