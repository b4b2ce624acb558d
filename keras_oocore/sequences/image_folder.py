"""Batches of images from class folders, a manifest or filenames."""

import os
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np

from keras_oocore.batches.maker import BatchOptions
from keras_oocore.images.reader import ImageReader
from keras_oocore.manifest.labels import Labels
from keras_oocore.manifest.manifest import IMAGE_EXTENSIONS, Manifest
from keras_oocore.manifest.splits import as_seed
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.sequences.inputs import VALIDATION_OF_BOTH, as_manifest, both_subsets, cache_directory, subset_of
from keras_oocore.sources.files import FileSamples


class ImageFolderSequence(OutOfCoreSequence):
    """Batches of images read from disk while the model trains, on any backend of Keras 3.

    Words, meanings and defaults are those of `keras.utils.image_dataset_from_directory`, and where they differ it is
    on purpose: images are `uint8` unless `rescale` or `dtype` says otherwise; EXIF orientation is applied; a JPEG far
    larger than `image_size` is decoded at a smaller scale; the split of `validation_split` does not reproduce Keras's
    choice of files, and depends on `seed` alone. Every sample is served exactly once a pass, and the same seed gives
    the same bytes for any number of workers and any backend.

    Use one object for training and another for validation.

    Args:
        data: a directory of class folders; a `Manifest`; or filenames, as an array, a list or the path of a `.npy`
            file, with `labels` and `directory`.
        labels: `"inferred"` from the class folders or as the manifest has them, `None`, or one label a sample: an
            array, a list, or the path of a `.npy` file.
        label_mode: `"int"`: `int32` labels of shape `(batch,)`. `"categorical"`: one-hot `float32` of shape
            `(batch, num_classes)`. `"binary"`: `float32` of shape `(batch, 1)`. `"raw"`: rows of any array, for
            several labels a sample or regression. `None`: images alone.
        class_names: the classes in the order of their indices (alphanumeric otherwise).
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"`: 3, 4 or 1 channels.
        batch_size: samples in a batch.
        image_size: `(height, width)`.
        shuffle: `True` for a new global order every epoch; `False` for the order on disk; `"block"` for runs of
            neighbours in random order, on disks that seek slowly.
        seed: of the order, the split and `transform`. `None` draws one from Python's `random`, which
            `keras.utils.set_random_seed` governs; `sequence.seed` shows it.
        validation_split: fraction of the samples that are kept for validation, with `subset` and `seed`. For a split
            that keeps the mix of classes, or keeps groups together, see `Manifest.split`.
        subset: `"training"`, `"validation"`, or `"both"`, which gives a tuple of two Sequences, validation in order.
            All other arguments, `transform` too, then go for both.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"area"`, `"lanczos3"`, `"lanczos5"`, `"gaussian"` or
            `"mitchellcubic"`.
        follow_links: whether to look into linked folders.
        crop_to_aspect_ratio: keep the aspect ratio by cropping.
        pad_to_aspect_ratio: keep the aspect ratio by padding with zeros.
        data_format: `"channels_last"` or `"channels_first"`; `None` takes Keras's.
        directory: the folder that filenames are relative to.
        rescale: factor on the pixels, such as `1/255`; the images are then `float32`.
        dtype: of the images, such as `"float32"` for a subclassed model, which does not cast integers.
        transform: `transform(x, y, rng)` → `(x, y)`, called on every batch after `rescale` and `dtype`, in our
            threads, with a `numpy.random.Generator` keyed by seed, epoch and batch. `y` is `None` without labels.
        sample_weight: `(num_samples,)` weights, in the order of the samples before `subset`.
        class_weight: `{class index: weight}` or `"balanced"`; then `fit(class_weight=...)` must not be given too.
        on_error: what a file that cannot be read does. `"raise"`: an error that names it. `"skip"`: the batch is
            shorter. `"replace"`: the plan's next readable sample takes its place. `bad_samples` lists them.
        last_batch: `"keep"` or `"drop"` one that is not full.
        cache: a directory where the decoded images are stored while the first epoch trains, and read from in every
            later epoch and run; a run that was stopped goes on where it was. Each set of files and options wants a
            directory of its own, and `subset` a folder in it. `transform`, `rescale` and `dtype` come after it.
        overwrite_cache: whether the cache is made again, whatever lies there; otherwise other rows are refused.
        memory_limit: of all batches in flight, in bytes or as `"128MB"`; by default the smaller of 512 MB and a tenth
            of this machine's memory. Decoding needs one image a thread on top, and arrays that `transform` makes count
            as its own.
        workers: loading threads; by default one for each core. 0 loads in the thread that asks.
        max_queue_size: most batches made ahead of time.
        use_multiprocessing: taken for Keras's sake; threads are used, with a warning.

    Attributes:
        class_names: `list[str]`, or `None`.
        file_paths: `list[str]`, the path of every sample. With `shuffle=False`, row i of `predict` is file i.
        labels: class indices `(num_samples,)`, or the raw targets.
        seed, batch_size, num_samples, num_workers, bad_samples: as their names say.

    Raises:
        OptionError: when an argument cannot work.
        DataError: when the directory or the arrays are not what they should be, or the cache holds other rows.
        DestinationError: when the cache cannot be written: its disk is too small, or read-only.
        SampleError: from reading a batch, when a file cannot be read and `on_error="raise"`.

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

    def __new__(cls, *args, **kwargs):
        # A constructor that returns a tuple, so that subset="both" reads as it does in Keras.
        return both_subsets(cls, args, kwargs, _scanned) or super().__new__(cls)

    def __init__(
        self,
        data: str | os.PathLike | Manifest | Sequence[str] | np.ndarray,
        labels="inferred",
        label_mode: str | None = "int",
        class_names: Sequence[str] | None = None,
        color_mode: str = "rgb",
        batch_size: int = 32,
        image_size: int | tuple[int, int] = (256, 256),
        shuffle: bool | str = True,
        seed: int | None = None,
        validation_split: float | None = None,
        subset: str | None = None,
        interpolation: str = "bilinear",
        follow_links: bool = False,
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        data_format: str | None = None,
        directory: str | os.PathLike | None = None,
        rescale: float | None = None,
        dtype=None,
        transform: Callable | None = None,
        sample_weight: Sequence[float] | np.ndarray | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        on_error: str = "raise",
        last_batch: str = "keep",
        cache: str | os.PathLike | None = None,
        overwrite_cache: bool = False,
        memory_limit: int | str | None = None,
        workers: int | None = None,
        max_queue_size: int = 10,
        use_multiprocessing: bool = False,
    ):
        options = BatchOptions(
            batch_size=batch_size,
            shuffle=False if subset == VALIDATION_OF_BOTH else shuffle,
            seed=as_seed(seed),
            seed_is_drawn=seed is None,
            rescale=rescale,
            dtype=dtype,
            data_format=data_format or keras.config.image_data_format(),
            transform=transform,
            on_error=on_error,
            last_batch=last_batch,
        )
        reader = ImageReader(image_size, color_mode, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio)
        raw = label_mode == "raw"
        manifest = as_manifest(data, labels, class_names, directory, IMAGE_EXTENSIONS, follow_links, raw)
        samples, labels, sample_weight = subset_of(
            FileSamples(manifest, reader), manifest.labels, sample_weight, validation_split, subset, seed
        )
        super().__init__(
            samples=samples,
            labels=Labels(labels, label_mode, manifest.class_names),
            manifest=samples.manifest,
            options=options,
            sample_weight=sample_weight,
            class_weight=class_weight,
            cache=cache_directory(cache, subset, overwrite_cache),
            overwrite_cache=overwrite_cache,
            memory_limit=memory_limit,
            workers=workers,
            max_queue_size=max_queue_size,
            use_multiprocessing=use_multiprocessing,
        )

    def __repr__(self) -> str:
        return self._described(f"from {str(self.manifest.directory)!r}")


def _scanned(arguments: dict) -> dict:
    """The same arguments with a manifest as `data`: what the disk holds at this moment."""
    manifest = as_manifest(
        arguments["data"],
        arguments.get("labels", "inferred"),
        arguments.get("class_names"),
        arguments.get("directory"),
        IMAGE_EXTENSIONS,
        arguments.get("follow_links", False),
        arguments.get("label_mode") == "raw",
    )
    return {**arguments, "data": manifest, "labels": "inferred", "class_names": None, "directory": None}
