"""Images with masks: each row is an image and its mask, which are two files."""

from typing import Any

import numpy as np

from keras_oocore.core.errors import SampleError
from keras_oocore.core.faults import RETRIES
from keras_oocore.core.fingerprint import of_names
from keras_oocore.images.mask import MaskReader
from keras_oocore.images.reader import ImageReader
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.manifest.part import ManifestPart
from keras_oocore.sources.files import FileSamples
from keras_oocore.sources.layout import RowSpec, X, Y, row_spec


class ImagesWithMasks(FileSamples):
    """Images and their masks, read together.

    Args:
        manifest: The images.
        masks: Their masks, in the same order.
        reader: Reads images.
        mask_reader: Reads masks.
        retries: How often reading a file is tried again if the disk or the network fails.
    """

    files_per_sample = 2

    def __init__(
        self,
        manifest: Manifest | ManifestPart,
        masks: Manifest | ManifestPart,
        reader: ImageReader,
        mask_reader: MaskReader,
        retries: int = RETRIES,
    ):
        super().__init__(manifest, reader, retries)
        self.masks: Any = masks
        self.mask_reader = mask_reader
        image, mask = (RowSpec(tuple(one.shape), np.dtype(one.dtype)) for one in (reader, mask_reader))
        self.spec: RowSpec = row_spec({X: image, Y: mask})

    @property
    def has_images(self) -> bool:
        return self.reader.dtype == np.uint8

    def fingerprint(self) -> dict[str, Any]:
        return {**super().fingerprint(), "masks": of_names(self.masks.filenames)}

    def _reader_options(self) -> dict[str, Any]:
        return {**super()._reader_options(), **self.mask_reader.options}

    def _read_row(self, sample: int, out: np.ndarray) -> str | None:
        doubt, height, width = self.reader.read_sized(self.name(sample), out[X])
        self._read_mask(sample, out[Y], height, width)
        return doubt

    def check_others(self, sample: int, height: int, width: int) -> None:
        self._read_mask(sample, np.empty(self.mask_reader.shape, self.mask_reader.dtype), height, width)

    def _read_mask(self, sample: int, out: np.ndarray, height: int, width: int) -> None:
        path = self.masks.path(sample)
        try:
            self.mask_reader.read_into(path, out, height, width)
        except SampleError as error:
            raise _of_mask(path, error) from error

    def select(self, samples: np.ndarray) -> "ImagesWithMasks":
        return self._with_files(self.manifest.take(samples), self.masks.take(samples))

    def part(self, samples: np.ndarray) -> "ImagesWithMasks":
        return self._with_files(ManifestPart(self.manifest, samples), ManifestPart(self.masks, samples))

    def _with_files(self, manifest: Manifest | ManifestPart, masks: Manifest | ManifestPart) -> "ImagesWithMasks":
        return ImagesWithMasks(manifest, masks, self.reader, self.mask_reader, self.retries)

    def stamps(self, samples: np.ndarray) -> np.ndarray:
        return np.concatenate([super().stamps(samples), self._stamps_of(self.masks, samples)], axis=1)


def _of_mask(path: str, error: SampleError) -> SampleError:
    """Return the error of a sample whose mask cannot be read."""
    found = (
        SampleError(f"its mask {path!r}: {error}")
        if error.proven
        else SampleError.unproven(f"its mask {path!r}: {error}")
    )
    if error.proven:
        found.fix = "Fix the mask, or remove it and its image"
    return found
