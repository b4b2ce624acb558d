"""How one array of a batch is made of the arrays of stored rows: its shape and dtype, and the conversion."""

import math

import numpy as np

from keras_oocore.sources.layout import RowSpec


class FieldFormat:
    """Shape and dtype of one array of a batch.

    Args:
        spec: Shape and dtype of the array of a stored row.
        dtype: Dtype of the array of a batch.
        rescale: Factor of the values, or `None`.
        channels_first: Whether the last axis becomes the first one of a sample.

    Attributes:
        shape: Shape of a sample in a batch.
        dtype: Dtype of the array of a batch.
        converts: Whether the values or their places differ from those that are stored.
        row_bytes: Size of a sample in a batch.

    >>> field = FieldFormat(RowSpec((8, 8, 3), np.dtype("uint8")), np.dtype("float32"), 1 / 255, channels_first=True)
    >>> field.shape, field.row_bytes
    ((3, 8, 8), 768)
    """

    def __init__(self, spec: RowSpec, dtype: np.dtype, rescale: float | None = None, channels_first: bool = False):
        shape, stored_dtype = spec
        self.spec: RowSpec = spec
        self.rescale: float | None = rescale
        self.channels_first: bool = channels_first
        self.shape: tuple[int, ...] = (shape[-1], *shape[:-1]) if channels_first else shape
        self.dtype: np.dtype = dtype
        self.converts: bool = dtype != stored_dtype or rescale is not None or channels_first
        self.row_bytes: int = math.prod(shape) * dtype.itemsize

    def convert(self, stored: np.ndarray, out: np.ndarray) -> None:
        """Convert stored rows and write them into `out`."""
        if self.channels_first:
            stored = np.moveaxis(stored, -1, 1)
        if self.rescale is None:
            np.copyto(out, stored, casting="unsafe")
        else:
            factor = np.result_type(np.float32, self.dtype).type(self.rescale)
            np.multiply(stored, factor, out=out, casting="unsafe")
