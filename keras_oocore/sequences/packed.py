"""Batches from a packed store alone, without the files that it was made of."""

import os
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np

from keras_oocore.batches.maker import BatchOptions
from keras_oocore.core.text import display_path
from keras_oocore.manifest.labels import Labels
from keras_oocore.manifest.splits import as_seed
from keras_oocore.sequences.base import OutOfCoreSequence, is_image
from keras_oocore.sequences.inputs import VALIDATION_OF_BOTH, both_subsets, subset_of
from keras_oocore.sources.cache import open_samples

AS_PACKED = "as packed"


class PackedSequence(OutOfCoreSequence):
    """Batches of rows of a packed store, which `sequence.pack(directory)` or `cache=directory` made.

    It needs nothing but the directory, which may be copied to another machine: labels, class names and file names lie
    in it. Every sample is served exactly once a pass, in the order that the files would have come in.

    Args:
        directory: the store.
        batch_size: samples in a batch.
        label_mode: as in `ImageFolderSequence`; `"as packed"` gives class indices where the store has class names,
            and the labels as they are otherwise.
        data_format: `"channels_last"` or `"channels_first"`; `None` takes Keras's for images, and leaves other arrays
            as they are.
        shuffle, seed, validation_split, subset, rescale, dtype, transform, sample_weight, class_weight, on_error,
        last_batch, memory_limit, workers, max_queue_size, use_multiprocessing: as in `ImageFolderSequence`.

    Raises:
        OptionError: when an argument cannot work.
        DataError: when there is no store, or it is unfinished, truncated, damaged, or of a newer version.
        SampleError: from reading a batch, for a file that could not be read when it was packed.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> for level in (10, 20, 30):
    ...     np.save(f"{folder}/{level}.npy", np.full((2, 2), level, "uint8"))
    >>> from keras_oocore import NpyManifestSequence
    >>> files = NpyManifestSequence(["10.npy", "20.npy", "30.npy"], labels=[1, 2, 3], directory=folder)
    >>> batches = PackedSequence(files.pack(f"{folder}/packed"), batch_size=2, shuffle=False)
    >>> x, y = batches[0]
    >>> x[:, 0, 0].tolist(), y.tolist(), batches.filenames(1)
    ([10, 20], [1, 2], ['30.npy'])
    """

    def __new__(cls, *args, **kwargs):
        # A constructor that returns a tuple, so that subset="both" reads as it does in Keras.
        return both_subsets(cls, args, kwargs, dict) or super().__new__(cls)

    def __init__(
        self,
        directory: str | os.PathLike,
        batch_size: int = 32,
        label_mode: str | None = AS_PACKED,
        shuffle: bool | str = True,
        seed: int | None = None,
        validation_split: float | None = None,
        subset: str | None = None,
        data_format: str | None = None,
        rescale: float | None = None,
        dtype=None,
        transform: Callable | None = None,
        sample_weight: Sequence[float] | np.ndarray | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        on_error: str = "raise",
        last_batch: str = "keep",
        memory_limit: int | str | None = None,
        workers: int | None = None,
        max_queue_size: int = 10,
        use_multiprocessing: bool = False,
    ):
        samples, manifest = open_samples(directory)
        images = is_image(samples.shape)
        if label_mode == AS_PACKED:
            label_mode = "int" if manifest.class_names else "raw"
        options = BatchOptions(
            batch_size=batch_size,
            shuffle=False if subset == VALIDATION_OF_BOTH else shuffle,
            seed=as_seed(seed),
            seed_is_drawn=seed is None,
            rescale=rescale,
            dtype=dtype,
            data_format=data_format or (keras.config.image_data_format() if images else "channels_last"),
            transform=transform,
            on_error=on_error,
            last_batch=last_batch,
        )
        samples, labels, sample_weight = subset_of(
            samples, manifest.labels, sample_weight, validation_split, subset, seed
        )
        super().__init__(
            samples=samples,
            labels=Labels(labels, label_mode, manifest.class_names),
            manifest=manifest.take(samples.chosen),
            options=options,
            sample_weight=sample_weight,
            class_weight=class_weight,
            cache=None,
            overwrite_cache=False,
            memory_limit=memory_limit,
            workers=workers,
            max_queue_size=max_queue_size,
            use_multiprocessing=use_multiprocessing,
        )

    def verify(self) -> None:
        """Read every byte of the store and compare it with the checksums.

        Raises:
            DataError: which names the files and the rows that are not what was written.
        """
        self._maker.samples.store.verify()

    def __repr__(self) -> str:
        return self._described(f"packed in {display_path(self._maker.samples.store.directory)!r}")


open_packed = PackedSequence
