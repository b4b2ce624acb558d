"""A Sequence of the rows of a packed store, without the files that it was made from."""

import os
from typing import Literal, Unpack

import keras

from keras_oocore.batches.options import DataFormat
from keras_oocore.core.text import display_path
from keras_oocore.manifest.labels import LabelMode
from keras_oocore.sequences.arguments import SampleArguments, documented, shares
from keras_oocore.sequences.inputs import labelled_data
from keras_oocore.sequences.labelled import LabelledSequence, is_image
from keras_oocore.sequences.shared_options import batch_options, loading_options
from keras_oocore.sources.cache import open_samples
from keras_oocore.sources.layout import fields_of, has_answer, image_field

AS_PACKED: Literal["as packed"] = "as packed"


class PackedSequence(LabelledSequence):
    """Batches of the rows of a packed store. See `open_packed`."""

    @shares(SampleArguments)
    def __init__(
        self,
        directory: str | os.PathLike[str],
        label_mode: LabelMode | Literal["as packed"] | None = AS_PACKED,
        data_format: DataFormat | None = None,
        **shared: Unpack[SampleArguments],
    ):
        rows, manifest = open_samples(directory)
        labels = None if has_answer(rows.spec) else manifest.labels  # which may be left from an earlier store
        names = manifest.class_names
        if label_mode == AS_PACKED:
            label_mode = "int" if names else "raw"
        name = image_field(rows.spec)
        images = name is not None and is_image(fields_of(rows.spec)[name].shape)
        options = batch_options(
            shared, data_format=data_format or (keras.config.image_data_format() if images else "channels_last")
        )
        super().__init__(
            labelled_data(rows, labels, label_mode, names, manifest, shared, options, rows.rows_name),
            options,
            loading_options(shared),
        )

    def verify(self) -> None:
        """Read every byte of the store and compare it with the checksums.

        Raises:
            DataError: If a file or a row changed since it was written. The message names them.
        """
        self._data.source.store.verify()

    def _description(self) -> list[tuple[str, str]]:
        return self._described_samples(("rows", f"packed in {display_path(self._data.source.store.directory)!r}"))


@documented
@shares(SampleArguments)
def open_packed(
    directory: str | os.PathLike[str],
    label_mode: LabelMode | Literal["as packed"] | None = AS_PACKED,
    data_format: DataFormat | None = None,
    **shared: Unpack[SampleArguments],
) -> PackedSequence:
    """Return batches of the rows of a packed store, which `sequence.pack(directory)` or `cache=directory` made.

    Only the directory is needed, which you can copy to another machine: it contains labels, class names and file
    names, and the features of the manifest. Every sample is served exactly once per pass, in the same order as from the
    files.

    `dtype` converts the numbers and not their range. So images that were packed with `dtype="uint16"` have values from
    0 to 65535, with `dtype="float32"` too: use `rescale=1/257` for values from 0 to 255, as the files give them.

    Args:
        directory: Directory of the store.
        label_mode: As in `ImageFolderSequence`. `"as packed"` gives class indices if the store has class names, and
            otherwise the labels as they are stored.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to `keras.config.image_data_format()` for
            images. Other arrays stay as they are.
        {shared}

    Returns:
        A `PackedSequence`. It has the methods of all Sequences, and `verify()`, which checks every byte.

    Raises:
        OptionError: If an argument is not valid.
        DataError: If there is no store, or it is unfinished, truncated, damaged, or made by a newer version.
        SampleError: When a batch is read, for a file that could not be read when it was packed.

    >>> import tempfile
    >>> import numpy as np
    >>> from keras_oocore import NpyManifestSequence
    >>> folder = tempfile.mkdtemp()
    >>> for level in (10, 20, 30):
    ...     np.save(f"{folder}/{level}.npy", np.full((2, 2), level, "uint8"))
    >>> files = NpyManifestSequence(["10.npy", "20.npy", "30.npy"], labels=[1, 2, 3], directory=folder)
    >>> batches = open_packed(files.pack(f"{folder}/packed"), batch_size=2, shuffle=False)
    >>> x, y = batches[0]
    >>> x[:, 0, 0].tolist(), y.tolist(), batches.filenames(1)
    ([10, 20], [1, 2], ['30.npy'])
    """
    return PackedSequence(directory, label_mode, data_format, **shared)
