"""The options that all Sequences share, and the format of the batches that follows from them."""

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from keras_oocore.batches.field_format import FieldFormat
from keras_oocore.batches.image_input import no_image
from keras_oocore.batches.transform import BatchSpec, Transform, Transforms
from keras_oocore.batches.transforms import as_transform
from keras_oocore.core.checks import choice, is_boolean, positive, require_numbers
from keras_oocore.core.errors import OptionError
from keras_oocore.sources.layout import RowSpec, arrays_of, described, fields_of, image_field, inputs_of

CONVERTED_BYTES = 2**20  # rows that are read and converted at a time, while they are in the processor's cache
ALIGNED_BYTES = 64  # where each of several arrays of a batch begins

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
        if self.rescale is not None and (is_boolean(self.rescale) or not isinstance(self.rescale, numbers.Real)):
            raise OptionError(f"`rescale` should be a number, such as 1/255. Received: rescale={self.rescale!r}")
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
    """Shape, dtype and size of the arrays of a batch, and how stored rows are converted to them.

    `rescale`, `dtype` and `data_format` apply to `x`. If `x` is several arrays, they apply to those with three axes,
    which are images, or if there are none, to the only one that is more than a number per sample. The answer `y` of a
    row is never converted.

    Args:
        spec: Shape and dtype of the rows of the source.
        options: Options of the Sequence.

    Attributes:
        fields: Name → `FieldFormat`, for each array of a row: see `sources/layout`.
        shape: Shape of a sample in a batch: of `x`, or of the image in it, or of its first array.
        dtype: Dtype of the same array.
        several: Whether a row has several arrays.
        converts: Whether rows are converted, to another dtype, with `rescale`, or to channels first.
        batch_bytes: Size of a full batch.
        rows_per_step: Number of rows that are read and converted at a time.
        scratch_bytes: Memory that each thread needs for the conversion.
        transform: The `Transform` of every batch, or `None`.

    Raises:
        OptionError: If `transform`, `rescale` or `dtype` cannot be applied to such batches.

    >>> format = BatchFormat(RowSpec((8, 8, 3), np.dtype("uint8")), BatchOptions(batch_size=4, rescale=1 / 255))
    >>> format.shape, format.dtype, format.batch_bytes
    ((8, 8, 3), dtype('float32'), 3072)
    """

    def __init__(self, spec: RowSpec, options: BatchOptions):
        fields = fields_of(spec)
        image = image_field(spec)
        self.spec: RowSpec = spec
        self.several: bool = len(fields) > 1
        self.fields: dict[str, FieldFormat] = _formats(fields, options)
        self._main = self.fields[image or next(iter(inputs_of(fields).values()))]
        self.shape: tuple[int, ...] = self._main.shape
        self.dtype: np.dtype = self._main.dtype
        self.converts: bool = any(field.converts for field in self.fields.values())
        self.batch_bytes: int = sum(
            self._aligned(options.batch_size * field.row_bytes) for field in self.fields.values()
        )
        stored_bytes = max(1, math.prod(spec.shape) * spec.dtype.itemsize)
        self.rows_per_step: int = max(1, CONVERTED_BYTES // stored_bytes)
        needs_scratch = self.converts or self.several
        self.scratch_bytes: int = min(self.rows_per_step, options.batch_size) * stored_bytes * needs_scratch
        transform = as_transform(options.transform)
        if transform is not None and transform.needs_image and image is None:
            raise no_image(fields)
        self.transform: Transform | None = transform and transform.for_batches(self._batch_spec(options))

    def _batch_spec(self, options: BatchOptions) -> BatchSpec:
        main = self._main
        known = main.spec.dtype == np.uint8
        value_range = (0.0, 255.0 * (1.0 if main.rescale is None else float(main.rescale))) if known else None
        is_shard = options.shard is not None
        return BatchSpec(main.spec.shape, main.dtype, main.channels_first, value_range, options.batch_size, is_shard)

    @property
    def channels_first(self) -> bool:
        """Whether the channels of `x`, or of the images in it, are the first axis of a sample."""
        return self._main.channels_first

    @property
    def empty(self) -> str | None:
        """The name of an array that contains no values, or `None`."""
        return next((name for name, field in self.fields.items() if field.row_bytes == 0), None)

    def _aligned(self, size_bytes: int) -> int:
        """Return a size in bytes after which another array may begin."""
        return -(-size_bytes // ALIGNED_BYTES) * ALIGNED_BYTES if self.several else size_bytes

    def arrays(self, memory: np.ndarray, num_rows: int) -> dict[str, np.ndarray]:
        """Return an array of `num_rows` rows for each field, one after the other in `memory`, a `uint8` array."""
        arrays, start = {}, 0
        for name, field in self.fields.items():
            stop = start + num_rows * field.row_bytes
            arrays[name] = memory[start:stop].view(field.dtype).reshape(num_rows, *field.shape)
            start = self._aligned(stop)
        return arrays

    def convert(self, stored: np.ndarray, out: Mapping[str, np.ndarray]) -> None:
        """Convert stored rows and write them into the arrays of a batch."""
        for name, values in arrays_of(stored).items():
            self.fields[name].convert(values, out[name])


def _changed(num_axes: Mapping[str, int]) -> list[str]:
    """Return the inputs to which `rescale`, `dtype` and `data_format` apply."""
    images = [name for name, number in num_axes.items() if number == 3]
    arrays = [name for name, number in num_axes.items() if number]
    only = list(num_axes) if len(num_axes) == 1 else arrays if len(arrays) == 1 else []
    return images or only


def _formats(fields: Mapping[str, RowSpec], options: BatchOptions) -> dict[str, FieldFormat]:
    """Return the format of each array of a row. The options apply to `x`, or to the images in it."""
    inputs = inputs_of(fields).values()
    changed = _changed({name: len(fields[name].shape) for name in inputs})
    if not changed and (options.rescale is not None or options.dtype is not None):
        given = "dtype" if options.rescale is None else "rescale"
        raise OptionError(
            f"With several inputs, `{given}` applies to images, which have three axes. Convert the others in the "
            f"`reader` or in the model. Received: {given}={getattr(options, given)!r} for {described(fields)}"
        )
    formats = {}
    for name, spec in fields.items():
        if name in changed:
            channels_first = options.data_format == "channels_first"
            dtype = options.output_dtype(spec.dtype)
            formats[name] = FieldFormat(spec, dtype, options.rescale, channels_first)
        else:
            if options.transform is None:
                require_numbers(spec.dtype, "Samples")
            formats[name] = FieldFormat(spec, spec.dtype)
    return formats
