"""Train Keras 3 models on data larger than memory.

    import keras_oocore as ko

    manifest = ko.flatten_images("plant_seedlings", "prepared/all_images")
    train, val = manifest.split(validation_split=0.2, seed=0)
    model.fit(ko.ImageFolderSequence(train), validation_data=ko.ImageFolderSequence(val, shuffle=False), epochs=10)

Modules are imported when they are first used, so preparation needs no backend of Keras.
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

from keras_oocore.core.version import __version__ as __version__

if TYPE_CHECKING:  # everything is imported when it is first used: see __getattr__
    from keras_oocore.augmentation.augment import augment
    from keras_oocore.batches.per_sample import per_sample
    from keras_oocore.checks.check import check
    from keras_oocore.core.errors import (
        BusyError,
        DataError,
        DestinationError,
        MissingExtraError,
        OptionError,
        OutOfCoreError,
        ResourceError,
        SampleError,
    )
    from keras_oocore.manifest.manifest import Manifest
    from keras_oocore.plots.history import plot_history
    from keras_oocore.predictions.confusion import plot_confusion
    from keras_oocore.predictions.predict import predict
    from keras_oocore.predictions.table import Predictions
    from keras_oocore.predictions.wrong import show_wrong
    from keras_oocore.prepare import (
        flatten_images,
        load_arrays,
        save_arrays,
        shuffle_arrays,
        split_arrays,
        unzip_folder,
        zip_folder,
    )
    from keras_oocore.sequences import (
        ArraySequence,
        CSVChunkSequence,
        ImageFolderSequence,
        NpyManifestSequence,
        TableFeatures,
        TableSequence,
        image_dataset_from_directory,
        load_features,
        open_packed,
    )
    from keras_oocore.training import Phase, fit_partitions, fit_phases, fit_resumable

__all__ = [
    "ArraySequence",
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
    "Phase",
    "Predictions",
    "ResourceError",
    "SampleError",
    "TableFeatures",
    "TableSequence",
    "augment",
    "check",
    "fit_partitions",
    "fit_phases",
    "fit_resumable",
    "flatten_images",
    "image_dataset_from_directory",
    "load_arrays",
    "load_features",
    "open_packed",
    "per_sample",
    "plot_confusion",
    "plot_history",
    "predict",
    "save_arrays",
    "show_wrong",
    "shuffle_arrays",
    "split_arrays",
    "unzip_folder",
    "zip_folder",
]

_MODULES = {
    "augmentation.augment": ("augment",),
    "batches.per_sample": ("per_sample",),
    "checks.check": ("check",),
    "core.errors": (
        "BusyError",
        "DataError",
        "DestinationError",
        "MissingExtraError",
        "OptionError",
        "OutOfCoreError",
        "ResourceError",
        "SampleError",
    ),
    "manifest.manifest": ("Manifest",),
    "plots.history": ("plot_history",),
    "predictions.confusion": ("plot_confusion",),
    "predictions.predict": ("predict",),
    "predictions.table": ("Predictions",),
    "predictions.wrong": ("show_wrong",),
    "prepare": (
        "flatten_images",
        "load_arrays",
        "save_arrays",
        "shuffle_arrays",
        "split_arrays",
        "unzip_folder",
        "zip_folder",
    ),
    "sequences": (
        "ArraySequence",
        "CSVChunkSequence",
        "ImageFolderSequence",
        "NpyManifestSequence",
        "TableFeatures",
        "TableSequence",
        "image_dataset_from_directory",
        "load_features",
        "open_packed",
    ),
    "training": ("Phase", "fit_partitions", "fit_phases", "fit_resumable"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            globals()[name] = value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
            return value
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__]
    )  # with `name` and `obj`, Python adds "Did you mean"


def __dir__() -> list[str]:
    return __all__


class _Package(types.ModuleType):
    """Pickles by name, as cloudpickle does with other modules: Ray and Dask send functions that use this one."""

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package
