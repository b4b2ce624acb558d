"""One batch, from its place in the plan to what the model gets: samples read, labels and weights beside them.

It does not know how many batches are made at a time, nor in which order Keras asks for them.
"""

import math
import numbers
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from keras_oocore.batches.pool import BufferPool
from keras_oocore.core.errors import ON_ERROR, OptionError, SampleError
from keras_oocore.core.stopwatch import stage
from keras_oocore.manifest.labels import Labels
from keras_oocore.ordering.epoch_order import EpochOrder
from keras_oocore.ordering.window_order import WindowOrder

CONVERTED_BYTES = 2**20  # read and converted at a time: what was read is still in the processor's cache
BLOCKS_PER_BATCH = 8  # with shuffle="block", so that a batch mixes neighbours from as many places


class Samples(Protocol):
    """All samples there are, of one shape, read by their numbers. Called from several threads; must pickle."""

    shape: tuple[int, ...]
    dtype: np.dtype
    rows_per_task: int

    def __len__(self) -> int: ...

    def which(self) -> dict:
        """Which samples these are, as plain JSON: the same in the next run, another for other samples."""

    def name(self, sample: int) -> str:
        """What a person calls the sample."""

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Fill `out[i]` with sample `samples[i]`; returns why, by row, for those that cannot be read."""


@dataclass(frozen=True)
class BatchOptions:
    """How samples become batches; the arguments that every Sequence shares, checked."""

    batch_size: int = 32
    shuffle: bool | str = True
    seed: int = 0
    rescale: float | None = None
    dtype: Any = None
    data_format: str = "channels_last"
    transform: Callable | None = None
    on_error: str = "raise"
    last_batch: str = "keep"
    seed_is_drawn: bool = False  # nobody asked for this seed, so that another may take its place

    def __post_init__(self):
        if (
            isinstance(self.batch_size, bool)
            or not isinstance(self.batch_size, int | np.integer)
            or self.batch_size < 1
        ):
            raise OptionError(f"`batch_size` should be a positive integer. Received: batch_size={self.batch_size!r}")
        for name, choices in (
            ("on_error", ("raise", "skip", "replace")),
            ("last_batch", ("keep", "drop")),
            ("data_format", ("channels_last", "channels_first")),
        ):
            if getattr(self, name) not in choices:
                raise OptionError(f"`{name}` should be one of {choices}. Received: {name}={getattr(self, name)!r}")
        if self.rescale is not None and not isinstance(self.rescale, numbers.Real):
            raise OptionError(f"`rescale` should be a number. Received: rescale={self.rescale!r}")
        if self.transform is not None and not callable(self.transform):
            raise OptionError(f"`transform` should be a function. Received: transform={self.transform!r}")

    def output_dtype(self, stored: np.dtype) -> np.dtype:
        """What the model gets: `dtype` where given, else `float32` with `rescale`, else as stored."""
        if self.dtype is None:
            return stored if self.rescale is None else np.dtype(np.float32)
        try:
            dtype = np.dtype(self.dtype)
        except TypeError as error:
            raise OptionError(f"`dtype` should be one that numpy has. Received: dtype={self.dtype!r}") from error
        if dtype.kind in "OSUMm":
            raise OptionError(f"`dtype` should be one of numbers. Received: dtype={self.dtype!r}")
        return dtype


class BatchMaker:
    """Makes the batches of every epoch.

    Args:
        samples: what can be read.
        labels: the label of every sample.
        sample_weight: `(num_samples,)` weights, or `None`.
        options: how samples become batches.
        order: of the epochs, where `options.shuffle` does not say it; of a part of the samples, only that is served.
    """

    def __init__(
        self,
        samples: Samples,
        labels: Labels,
        sample_weight: np.ndarray | None,
        options: BatchOptions,
        order: EpochOrder | WindowOrder | None = None,
    ):
        self.samples = samples
        self.labels = labels
        self.recipe = getattr(samples, "recipe", None)  # where rows hold targets too
        self.sample_weight = sample_weight
        self.options = options
        block_size = max(1, options.batch_size // BLOCKS_PER_BATCH)
        self.order = order or EpochOrder(len(samples), options.shuffle, options.seed, block_size)
        whole_batches, ragged = divmod(self.order.size, options.batch_size)
        self.num_batches = whole_batches + (ragged > 0 and options.last_batch == "keep")
        self.dtype = options.output_dtype(samples.dtype)
        self.converts = (
            self.dtype != samples.dtype or options.rescale is not None or options.data_format == "channels_first"
        )
        shape = samples.shape
        self.shape = (shape[-1], *shape[:-1]) if options.data_format == "channels_first" else shape
        self.batch_bytes = options.batch_size * math.prod(shape) * self.dtype.itemsize
        stored_bytes = max(1, math.prod(shape) * samples.dtype.itemsize)
        self.rows_converted = max(1, CONVERTED_BYTES // stored_bytes)
        self.scratch_bytes = min(self.rows_converted, options.batch_size) * stored_bytes * self.converts
        self.make_together(1)
        self.bad_samples = {}  # number of the sample -> its error

    def of_order(self, order: EpochOrder | WindowOrder) -> "BatchMaker":
        """Makes batches of the same samples in another order, with memory and bad samples of its own."""
        return BatchMaker(self.samples, self.labels, self.sample_weight, self.options, order)

    def reseed(self, seed: int) -> None:
        """Another order, and other draws for `transform`, from the next batch on; nothing may be in the making.

        Raises:
            OptionError: when it is no seed; then nothing has changed.
        """
        self.order = self.order.reseeded(seed)
        self.options = replace(self.options, seed=seed)

    def make_together(self, num_batches: int) -> None:
        """Make so many batches in one job."""
        self.batches_per_job = num_batches
        self.num_jobs = -(-self.num_batches // num_batches)  # of an epoch
        self.pool = BufferPool(num_batches * self.batch_bytes, keep=0)

    def planned(self, epoch: int, position: int, num_batches: int = 1) -> np.ndarray:
        """The samples of batches from `position` of the plan on."""
        return self.order.samples(epoch, *self.places(position, num_batches))

    def places(self, position: int, num_batches: int = 1) -> tuple[int, int]:
        """Where in the order of the samples batches from `position` of the plan on begin and end."""
        start = position * self.options.batch_size
        return start, min(start + num_batches * self.options.batch_size, self.order.size)

    def parts(self, x: np.ndarray, samples: np.ndarray) -> tuple:
        """`(x, y, sample_weight)` of the rows of these samples; `None` for what there is not."""
        if self.recipe is not None:
            return self.recipe.parts(x)
        return x, self.labels.take(samples), None if self.sample_weight is None else self.sample_weight[samples]

    def convert(self, stored: np.ndarray, out: np.ndarray) -> None:
        """Write rows as they were read over `out`, as the options say."""
        if self.options.data_format == "channels_first":
            stored = np.moveaxis(stored, -1, 1)
        if self.options.rescale is None:
            np.copyto(out, stored, casting="unsafe")
        else:
            factor = np.result_type(np.float32, self.dtype).type(self.options.rescale)
            np.multiply(stored, factor, out=out, casting="unsafe")

    def job(self, number: int) -> "BatchJob":
        """The batches of a job; their numbers count on from epoch to epoch."""
        epoch, job = divmod(number, self.num_jobs)
        position = job * self.batches_per_job
        return BatchJob(self, epoch, position, min(self.batches_per_job, self.num_batches - position))

    def single(self, epoch: int, position: int) -> "BatchJob":
        """A job of one batch."""
        return BatchJob(self, epoch, position, 1)


class Failure(NamedTuple):
    """In place of a batch: why it could not be made."""

    error: Exception


class BatchJob:
    """Batches in the making, mostly one: `fill` all rows in any order, then `finish`."""

    def __init__(self, maker: BatchMaker, epoch: int, position: int, num_batches: int):
        self.maker = maker
        self.epoch = epoch
        self.position = position  # of the first
        self.num_batches = num_batches
        start, stop = maker.places(position, num_batches)
        self.num_rows = stop - start
        self.rows_per_task = maker.samples.rows_per_task
        self.x = None
        self._planned = None
        self.leasing = threading.Lock()
        self.failed = {}  # row -> error

    @property
    def planned(self) -> np.ndarray:
        """Their samples; worked out by a thread that fills them, and not by the one that asks for them."""
        with self.leasing:
            if self._planned is None:
                self._planned = self.maker.planned(self.epoch, self.position, self.num_batches)
            return self._planned

    def fill(self, start: int, stop: int) -> None:
        """Read rows `start` to `stop`."""
        if start == 0:
            self._prepare(WindowOrder.beginning)
        with self.leasing:
            if self.x is None:  # not before: a job that waits its turn would keep a buffer that is warm
                self.x = self._leased()
        for row, error in self._read(self.planned[start:stop], self.x[start:stop]).items():
            self.failed[start + row] = error

    def prefetch_next(self) -> None:
        """Read ahead what comes after these batches."""
        self._prepare(WindowOrder.coming)

    def _prepare(self, chunks: Callable[..., list[int]]) -> None:
        """Where samples are read in chunks, read some that are due."""
        maker = self.maker
        if isinstance(maker.order, WindowOrder):
            maker.samples.prepare(chunks(maker.order, self.epoch, *maker.places(self.position, self.num_batches)))

    def _leased(self) -> np.ndarray:
        maker = self.maker
        size_bytes = self.num_rows * math.prod(maker.shape) * maker.dtype.itemsize
        return maker.pool.lease()[:size_bytes].view(maker.dtype).reshape(self.num_rows, *maker.shape)

    def _read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Read samples and convert them on the way to `out`."""
        maker = self.maker
        if not maker.converts:
            return maker.samples.read(samples, out)
        failed = {}
        for start in range(0, len(samples), maker.rows_converted):
            part = slice(start, start + maker.rows_converted)
            stored = np.empty((len(samples[part]), *maker.samples.shape), maker.samples.dtype)
            for row, error in maker.samples.read(samples[part], stored).items():
                failed[start + row] = error
            maker.convert(stored, out[part])
        return failed

    def finish(self) -> list:
        """The batches, each `x`, `(x, y)`, or `(x, y, sample_weight)` as Keras takes them, and independent of others.

        Several have a copy each, so that one that is kept does not keep the others' memory; of several, one that
        cannot be made is a `Failure`.
        """
        x, self.x = self.x, None  # the batches alone hold the buffer from here on
        if self.num_batches == 1:
            return [self._finished(x, 0)]
        size = self.maker.options.batch_size
        return [self._outcome(x[start : start + size].copy(), start) for start in range(0, self.num_rows, size)]

    def _outcome(self, x: np.ndarray, start: int) -> Any:
        """One of several batches, or why there is none: the others are there all the same."""
        try:
            return self._finished(x, start)
        except Exception as error:
            return Failure(error)

    def _finished(self, x: np.ndarray, start: int) -> Any:
        """The batch of the rows `x` that begin at row `start`."""
        maker, samples = self.maker, self.planned[start : start + len(x)]
        if self.failed:
            x, samples = self._without_failed(x, samples, start)
        x, y, weight = maker.parts(x, samples)
        if maker.options.transform is not None:
            # Counted on from part to part of an order, so that no two parts draw the same.
            position = self.position + (maker.order.first + start) // maker.options.batch_size
            key = np.random.SeedSequence(maker.options.seed, spawn_key=(self.epoch, position))
            x, y = self._transformed(x, y, np.random.default_rng(key))
        if weight is not None:
            return x, y, weight
        return x if y is None else (x, y)

    def _transformed(self, x: np.ndarray, y: np.ndarray | None, rng: np.random.Generator) -> tuple:
        with stage("transform"):
            result = self.maker.options.transform(x, y, rng)
        if not isinstance(result, tuple) or len(result) != 2:
            raise OptionError(
                f"`transform(x, y, rng)` should return a tuple (x, y). Received: {type(result).__name__}"
                + (f" of {len(result)}" if isinstance(result, tuple) else "")
            )
        return result

    def _without_failed(self, x: np.ndarray, samples: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and samples of a batch once those that cannot be read are skipped or replaced."""
        on_error = self.maker.options.on_error
        failed = {row - start: error for row, error in self.failed.items() if start <= row < start + len(x)}
        for row, error in sorted(failed.items()):
            if on_error == "raise":
                raise SampleError(f"{error} {ON_ERROR}") from error.__cause__
            self.maker.bad_samples[int(samples[row])] = error
        if on_error == "replace":
            samples = samples.copy()
            for row in sorted(failed):
                samples[row] = self._replace(start + row, x[row : row + 1])
            return x, samples
        kept = np.delete(np.arange(len(x)), list(failed))
        if not len(kept):
            raise SampleError(f"None of the {len(x)} samples of a batch can be read. First: {failed[min(failed)]}")
        return x[kept], samples[kept]

    def _replace(self, row: int, out: np.ndarray) -> int:
        """Fill `out` with the plan's next readable sample after `row`, and return its number."""
        maker = self.maker
        first = self.position * maker.options.batch_size + row
        for position in range(first + 1, first + maker.order.size):
            position %= maker.order.size
            samples = maker.order.samples(self.epoch, position, position + 1)
            failed = self._read(samples, out)
            if not failed:
                return int(samples[0])
            maker.bad_samples[int(samples[0])] = failed[0]
        raise SampleError(f"No sample can be read. First: {self.failed[row]}")
