"""The Sequences that a user passes to `model.fit`."""

from keras_oocore.core.backend import require_backend

require_backend()  # before Keras is imported, so that a missing backend gives a clear message

from keras_oocore.sequences.arrays import ArraySequence  # noqa: E402
from keras_oocore.sequences.csv_chunk import CSVChunkSequence  # noqa: E402
from keras_oocore.sequences.image_dataset import image_dataset_from_directory  # noqa: E402
from keras_oocore.sequences.image_folder import ImageFolderSequence  # noqa: E402
from keras_oocore.sequences.npy_manifest import NpyManifestSequence  # noqa: E402
from keras_oocore.sequences.packed import open_packed  # noqa: E402
from keras_oocore.sequences.table import TableSequence  # noqa: E402
from keras_oocore.sequences.table_features import TableFeatures, load_features  # noqa: E402

__all__ = [
    "ArraySequence",
    "CSVChunkSequence",
    "ImageFolderSequence",
    "NpyManifestSequence",
    "TableFeatures",
    "TableSequence",
    "image_dataset_from_directory",
    "load_features",
    "open_packed",
]
