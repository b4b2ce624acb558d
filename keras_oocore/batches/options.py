"""The options that all Sequences share, and the format of the batches that follows from them."""

import math
import numbers
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from keras_oocore.batches.transform import BatchSpec, Transform, Transforms
from keras_oocore.batches.transforms import as_transform
from keras_oocore.core.checks import choice, is_boolean, positive, require_numbers
from keras_oocore.core.errors import OptionError
from keras_oocore.sources.base import RowSpec

CONVERTED_BYTES = 2**20  # rows that are read and converted at a time, while they are in the processor's cache

Shuffle = bool | Literal["block"]
OnError = Literal["raise", "skip", "replace"]
LastBatch = Literal["keep", "drop", "pad", "pad_for_evaluation"]
DataFormat = Literal["channels_last", "channels_first"]


@dataclass(frozen=True)
class BatchOptions:
    """The options of a Sequence that determine its batches.

    Raises:
        OptionError: If an option is not valid.
    """

    batch_size: int = 32
    shuffle: Shuffle = True
    seed: int = 0
    rescale: float | None = None
    dtype: Any = None
    data_format: DataFormat = "channels_last"
    transform: Transforms = None
    on_error: OnError = "raise"
    last_batch: LastBatch = "keep"
    shard: int | None = None  # number of the share of every batch, if several processes share the batches
    num_shards: int = 1
    seed_is_drawn: bool = False  # whether the user passed no seed, so that another one may replace it

    def __post_init__(self) -> None:
        positive(self.batch_size, "batch_size")
        choice(bool(self.shuffle) if is_boolean(self.shuffle) else self.shuffle, "shuffle", (True, False, "block"))
        choice(self.on_error, "on_error", get_args(OnError))
        choice(self.last_batch, "last_batch", get_args(LastBatch))
        if self.last_batch == "pad_for_evaluation" and self.on_error == "skip":
            raise OptionError(
                'With last_batch="pad_for_evaluation", all samples weigh alike, so their number must be known before '
                'the first batch. (Data for validation have it if you pass "pad".) Use on_error="replace" or '
                'on_error="raise". Received: on_error="skip"'
            )
        choice(self.data_format, "data_format", get_args(DataFormat))
        if self.rescale is not None and not isinstance(self.rescale, numbers.Real):
            raise OptionError(f"`rescale` should be a number. Received: rescale={self.rescale!r}")
        as_transform(self.transform)

    def output_dtype(self, stored: np.dtype) -> np.dtype:
        """Return the dtype of batches: `dtype` if given, else `float32` with `rescale`, else the stored dtype."""
        if self.rescale is not None or (self.dtype is None and self.transform is None):
            require_numbers(stored, "Samples")
        if self.dtype is None:
            return stored if self.rescale is None else np.dtype(np.float32)
        try:
            dtype = np.dtype(self.dtype)
        except TypeError as error:
            raise OptionError(f"`dtype` should be a NumPy dtype. Received: dtype={self.dtype!r}") from error
        if dtype.kind in "OSUMm":
            raise OptionError(f"`dtype` should be a numeric dtype. Received: dtype={self.dtype!r}")
        return dtype

    @property
    def pads(self) -> bool:
        """Whether a batch that is not full is filled."""
        return self.last_batch in ("pad", "pad_for_evaluation")

    def for_evaluation(self) -> "BatchOptions":
        """Return these options for data that are not trained on."""
        return replace(self, last_batch="pad_for_evaluation") if self.last_batch == "pad" else self

    def num_batches(self, num_samples: int) -> int:
        """Return the number of batches per pass over `num_samples` samples."""
        whole_batches, ragged = divmod(num_samples, self.batch_size)
        return whole_batches + (ragged > 0 and self.last_batch != "drop")

    def rows_per_batch(self, num_samples: int) -> int:
        """Return the size of the first batch of `num_samples` samples."""
        return self.batch_size if self.pads else min(self.batch_size, num_samples)


class BatchFormat:
    """Shape, dtype and size of batches, and how stored rows are converted to them.

    Args:
        spec: Shape and dtype of the rows of the source.
        options: Options of the Sequence.

    Attributes:
        shape: Shape of a sample in a batch.
        dtype: Dtype of a batch.
        converts: Whether rows are converted, to another dtype, with `rescale`, or to channels first.
        batch_bytes: Size of a full batch.
        rows_per_step: Number of rows that are read and converted at a time.
        scratch_bytes: Memory that each thread needs for the conversion.
        transform: The `Transform` of every batch, or `None`.

    Raises:
        OptionError: If `transform` cannot be applied to such batches.

    >>> format = BatchFormat(RowSpec((8, 8, 3), np.dtype("uint8")), BatchOptions(batch_size=4, rescale=1 / 255))
    >>> format.shape, format.dtype, format.batch_bytes
    ((8, 8, 3), dtype('float32'), 3072)
    """

    def __init__(self, spec: RowSpec, options: BatchOptions):
        shape, stored_dtype = spec
        self.spec: RowSpec = spec
        self.rescale: float | None = options.rescale
        self.channels_first: bool = options.data_format == "channels_first"
        self.shape: tuple[int, ...] = (shape[-1], *shape[:-1]) if self.channels_first else shape
        self.dtype: np.dtype = options.output_dtype(stored_dtype)
        self.converts: bool = self.dtype != stored_dtype or options.rescale is not None or self.channels_first
        self.batch_bytes: int = options.batch_size * math.prod(shape) * self.dtype.itemsize
        stored_bytes = max(1, math.prod(shape) * stored_dtype.itemsize)
        self.rows_per_step: int = max(1, CONVERTED_BYTES // stored_bytes)
        self.scratch_bytes: int = min(self.rows_per_step, options.batch_size) * stored_bytes * self.converts
        transform = as_transform(options.transform)
        self.transform: Transform | None = transform and transform.for_batches(self._batch_spec(options))

    def _batch_spec(self, options: BatchOptions) -> BatchSpec:
        known = self.spec.dtype == np.uint8
        value_range = (0.0, 255.0 * (1.0 if options.rescale is None else float(options.rescale))) if known else None
        is_shard = options.shard is not None
        return BatchSpec(self.spec.shape, self.dtype, self.channels_first, value_range, options.batch_size, is_shard)

    def convert(self, stored: np.ndarray, out: np.ndarray) -> None:
        """Convert stored rows and write them into `out`."""
        if self.channels_first:
            stored = np.moveaxis(stored, -1, 1)
        if self.rescale is None:
            np.copyto(out, stored, casting="unsafe")
        else:
            factor = np.result_type(np.float32, self.dtype).type(self.rescale)
            np.multiply(stored, factor, out=out, casting="unsafe")
