"""A Sequence of images from class folders, a manifest or file names."""

import os
from collections.abc import Sequence
from typing import Any, Unpack

import keras
import numpy as np

from keras_oocore.batches.options import BatchOptions, DataFormat
from keras_oocore.images.depth import any_has_16_bits
from keras_oocore.images.pillow import ColorMode
from keras_oocore.images.reader import Dtype, ImageReader
from keras_oocore.images.resize import Interpolation
from keras_oocore.images.thumbnail import thumbnail_of_file
from keras_oocore.manifest.extensions import IMAGE_EXTENSIONS
from keras_oocore.manifest.labels import LabelMode
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sequences.arguments import FileArguments, documented, shares
from keras_oocore.sequences.files import FileSequence
from keras_oocore.sequences.inputs import as_manifest, is_directory, labelled_data
from keras_oocore.sequences.masks import MaskOptions
from keras_oocore.sequences.shared_options import batch_options, cache_directory, loading_options
from keras_oocore.sources.files import FileSamples

NUM_LOOKED_AT = 5  # files whose header is read, to find out whether the images have 16 bits


@documented
class ImageFolderSequence(FileSequence):
    """Batches of images that are read from disk while the model trains, on every backend of Keras 3.

    The arguments, their meanings and defaults are those of `keras.utils.image_dataset_from_directory`, with these
    differences: images are `uint8` unless `rescale` or `dtype` is given; the orientation in EXIF or XMP is applied; a
    JPEG much larger than `image_size` is decoded at a smaller scale; the split of `validation_split` depends only on
    `seed`, and the files differ from those that Keras selects. Every sample is served exactly once per pass, and the
    same seed gives the same bytes for any number of workers and on every backend.

    Use separate objects for training and validation; `split()` returns them.

    Args:
        data: Directory of class folders; a `Manifest`; or file names, as an array, a list or the path of a `.npy`
            file, together with `labels` and `directory`. If the manifest has features (see `feature_cols` of
            `Manifest.from_csv`), `x` is `{"image": images, "features": features}`, with `float32` features of shape
            `(batch, num_features)`.
        labels: `"inferred"` from the class folders or the manifest, `None`, or one label per sample: an array, a list,
            or the path of a `.npy` file.
        label_mode: `"int"`: `int32` labels of shape `(batch,)`. `"categorical"`: one-hot `float32` labels of shape
            `(batch, num_classes)`. `"binary"`: `float32` labels of shape `(batch, 1)`. `"raw"`: rows of any array, for
            several labels per sample or for regression. `None`: no labels.
        class_names: Names of the classes in the order of their indices. Defaults to alphanumeric order.
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"`, for 3, 4 or 1 channels.
        image_size: Size of the images, `(height, width)`.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"area"`, `"lanczos3"`, `"lanczos5"`, `"gaussian"` or
            `"mitchellcubic"`.
        follow_links: Whether to visit directories that symbolic links point to.
        crop_to_aspect_ratio: Whether to crop images instead of changing their aspect ratio.
        pad_to_aspect_ratio: Whether to pad images with zeros instead of changing their aspect ratio.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()`.
        directory: Directory that file names are relative to.
        strict: Whether a JPEG that its decoder warns about counts as unreadable, so that `on_error` applies. If
            `False`, such a file is decoded as well as possible and listed in `doubtful_samples`. Requires simplejpeg
            (extra `fast`).
        dtype: Dtype of the images. Defaults to `"uint8"`, or `"float32"` with `rescale`, with values from 0 to 255. Of
            images of 16 bits per channel, `"uint8"` keeps the upper 8 with a warning. `"float32"` keeps fractions
            (`value / 257`) if the data contains mostly such images: the headers of a few files decide. `"uint16"` keeps
            all values, and those of images of 8 bits are multiplied by 257.
        masks: Masks for semantic segmentation. `y` is then the mask of each image: `uint8` of shape
            `(batch, height, width, 1)`, whose values are numbers of classes. A directory, in which the mask of
            `a/1.jpg` is `a/1` with any ending, such as `a/1.png`; or a `Manifest` or file names, one per image of a
            `Manifest` or list, in the same order and relative to the same directory. Images need no class folders.
            Masks are resized with the nearest neighbor, and cropped and padded as their images are. A palette gives
            its indices. `class_names` are names of the values.
        num_classes: Number of classes in masks. Other values than 0 to `num_classes - 1` are an error, which
            `on_error` handles. Defaults to the number of `class_names`, or to no check.
        ignore_class: A further value in masks, of pixels without a class, often `255`. It also pads masks. Pass it to
            the loss, too.
        {shared}

    Attributes:
        class_names: List of strings, or `None`.
        file_paths: List of strings, the path of every sample. Row i of `predict` is file i with
            `shuffle=False`, unless `on_error` leaves files out or replaces them: use `served_paths`.
        labels: Class indices of shape `(num_samples,)`, or the raw targets.
        served_paths: List of strings, the path of every sample that the last pass served. Row i of `predict` is file i.
        served_labels: The labels of these samples.
        manifest: The `Manifest` of the samples.
        doubtful_samples: Files that were read but may be damaged, with the reason. See `strict`.

    Raises:
        OptionError: If an argument is not valid.
        DataError: If files or labels are missing or do not match, or the cache contains other rows.
        DestinationError: If the cache cannot be written, for example because the disk is full.
        MissingExtraError: If `strict=True` and simplejpeg is not installed.
        SampleError: When a batch is read, if a file cannot be read and `on_error="raise"`.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     for name, level in (("dark/1", 10), ("dark/2", 20), ("light/1", 230), ("light/2", 240)):
    ...         path = Path(directory, f"{name}.png")
    ...         path.parent.mkdir(exist_ok=True)
    ...         Image.new("RGB", (8, 8), (level,) * 3).save(path)
    ...     batches = ImageFolderSequence(directory, image_size=(4, 4), batch_size=2, shuffle=False)
    ...     x, y = batches[1]
    >>> x.shape, x.dtype, x[:, 0, 0, 0].tolist(), y.tolist(), batches.class_names
    ((2, 4, 4, 3), dtype('uint8'), [230, 240], [1, 1], ['dark', 'light'])
    """

    @shares(FileArguments)
    def __init__(
        self,
        data: str | os.PathLike[str] | Manifest | Sequence[str] | np.ndarray,
        labels: str | os.PathLike[str] | Sequence[Any] | np.ndarray | None = "inferred",
        label_mode: LabelMode | None = "int",
        class_names: Sequence[str] | None = None,
        color_mode: ColorMode = "rgb",
        image_size: int | tuple[int, int] = (256, 256),
        interpolation: Interpolation = "bilinear",
        follow_links: bool = False,
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        data_format: DataFormat | None = None,
        directory: str | os.PathLike[str] | None = None,
        strict: bool = False,
        masks: str | os.PathLike[str] | Manifest | Sequence[str] | np.ndarray | None = None,
        num_classes: int | None = None,
        ignore_class: int | None = None,
        **shared: Unpack[FileArguments],
    ):
        mask_options = MaskOptions.of(masks, num_classes, ignore_class, class_names, labels, label_mode, shared)
        if mask_options is not None:
            labels, class_names = None, None
        options = batch_options(shared, data_format=data_format or keras.config.image_data_format())
        reader = ImageReader(image_size, color_mode, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio, strict)
        raw = label_mode == "raw"
        manifest = as_manifest(data, labels, class_names, directory, IMAGE_EXTENSIONS, follow_links, raw)
        reader = reader.with_dtype(_rows_dtype(options, manifest))
        if mask_options is None:
            source = FileSamples(manifest, reader, shared["retries"])
        else:
            manifest = mask_options.named(manifest)
            source = mask_options.source(manifest, reader, shared["retries"], is_directory(data), follow_links)
        super().__init__(
            labelled_data(
                source,
                manifest.labels,
                label_mode,
                manifest.class_names,
                manifest,
                shared,
                options,
                rows_name="image",
            ),
            options,
            loading_options(shared),
            cache_directory(shared),
            shared["overwrite_cache"],
        )

    def _thumbnail(self, sample: int) -> str | None:
        return thumbnail_of_file(self.manifest.path(sample))


def _rows_dtype(options: BatchOptions, manifest: Manifest) -> Dtype:
    """The dtype that images are stored with: `uint8`, unless more bits are requested and the files have them."""
    dtype = options.output_dtype(np.dtype(np.uint8))
    if dtype == np.uint16:
        return "uint16"
    if dtype.kind == "f" and len(manifest):
        samples = np.unique(np.linspace(0, len(manifest) - 1, NUM_LOOKED_AT, dtype=int)).tolist()
        if any_has_16_bits(manifest.path(sample) for sample in samples):
            return "float32"
    return "uint8"
