"""Train Keras 3 models on data larger than memory.

    import keras_oocore as ko

    manifest = ko.flatten_images("plant_seedlings", "prepared/all_images")
    train, val = manifest.split(validation_split=0.2, seed=0)
    model.fit(ko.ImageFolderSequence(train), validation_data=ko.ImageFolderSequence(val, shuffle=False), epochs=10)

Preparation needs no backend: Keras is imported when a Sequence is first asked for.
"""

import importlib
from typing import TYPE_CHECKING

from keras_oocore.errors import (
    BusyError,
    DataError,
    DestinationError,
    MissingExtraError,
    OptionError,
    OutOfCoreError,
    SampleError,
)
from keras_oocore.manifest import Manifest
from keras_oocore.prepare import (
    flatten_images,
    load_arrays,
    save_arrays,
    shuffle_arrays,
    split_arrays,
    unzip_folder,
    zip_folder,
)

if TYPE_CHECKING:
    from keras_oocore.sequences import (
        CSVChunkSequence,
        ImageFolderSequence,
        NpyManifestSequence,
        PackedSequence,
        open_packed,
    )

__version__ = "0.1.0"

__all__ = [
    "BusyError",
    "CSVChunkSequence",
    "DataError",
    "DestinationError",
    "ImageFolderSequence",
    "Manifest",
    "MissingExtraError",
    "NpyManifestSequence",
    "OptionError",
    "OutOfCoreError",
    "PackedSequence",
    "SampleError",
    "flatten_images",
    "load_arrays",
    "open_packed",
    "save_arrays",
    "shuffle_arrays",
    "split_arrays",
    "unzip_folder",
    "zip_folder",
]

_NEEDS_KERAS = ("CSVChunkSequence", "ImageFolderSequence", "NpyManifestSequence", "PackedSequence", "open_packed")


def __getattr__(name: str):
    if name in _NEEDS_KERAS:
        return getattr(importlib.import_module("keras_oocore.sequences"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_NEEDS_KERAS])
