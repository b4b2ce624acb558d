"""The Sequences that a user passes to `model.fit`."""

from keras_oocore.sequences.image_folder import ImageFolderSequence
from keras_oocore.sequences.npy_manifest import NpyManifestSequence

__all__ = ["ImageFolderSequence", "NpyManifestSequence"]
