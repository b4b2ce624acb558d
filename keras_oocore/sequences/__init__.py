"""The Sequences that a user passes to `model.fit`."""

from keras_oocore.core.backend import require_backend

require_backend()  # before any room here imports Keras, so that a missing backend is a message and not a traceback

from keras_oocore.sequences.csv_chunk import CSVChunkSequence  # noqa: E402
from keras_oocore.sequences.image_folder import ImageFolderSequence  # noqa: E402
from keras_oocore.sequences.npy_manifest import NpyManifestSequence  # noqa: E402
from keras_oocore.sequences.packed import PackedSequence, open_packed  # noqa: E402

__all__ = ["CSVChunkSequence", "ImageFolderSequence", "NpyManifestSequence", "PackedSequence", "open_packed"]
