"""`PipelinedDataset`: the fields of a Sequence, and the pipeline that makes its batches, from first use to `close`."""

import copy
import threading
import weakref
from typing import Any, Self

from keras_oocore.batches.budget import Budget, queue_size
from keras_oocore.batches.options import BatchFormat, BatchOptions
from keras_oocore.batches.pipeline import Pipeline
from keras_oocore.core.errors import DataError
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.ordering.epoch_pass import EpochPass
from keras_oocore.ordering.order import Order
from keras_oocore.sequences.exit import end_iterators_at_exit
from keras_oocore.sequences.py_dataset import OrderedPyDataset
from keras_oocore.sequences.shards import Shard
from keras_oocore.sources.base import Source


class PipelinedDataset(OrderedPyDataset):
    """A `PyDataset` of a source and options, whose pipeline is made when the first batch is asked for."""

    _abandon = None  # finalizer that stops the threads of the pipeline

    def __init__(
        self,
        source: Source,
        options: BatchOptions,
        memory_limit: int | str | None,
        workers: int | None,
        max_queue_size: int | None,
        use_multiprocessing: bool,
    ):
        format = BatchFormat(source.spec, options)
        max_queue_size = queue_size(format.batch_bytes) if max_queue_size is None else max_queue_size
        super().__init__(max_queue_size, use_multiprocessing)
        end_iterators_at_exit()
        if len(source) == 0:
            raise DataError("There are no samples. Received: data of length 0")
        num_samples = self._samples_per_epoch(source)
        num_batches = options.num_batches(num_samples)
        if num_batches == 0:
            raise DataError(
                f"{num_samples} samples do not fill a batch of {options.batch_size}. "
                'Use a smaller batch_size, or last_batch="keep".'
            )
        self._source, self._options = source, options
        self._format = format
        if (empty := self._format.empty) is not None:
            raise DataError(
                f"Samples of shape {self._format.fields[empty].shape} contain no values. The first sample is "
                f"{source.name(0)!r}. Check how the arrays were saved, or what the `reader` returns."
            )
        self._budget = Budget.of(self._format, memory_limit, workers, max_queue_size)
        self._bounds = None  # of a partition: where it begins and ends in the order of all samples
        self._partition = None  # of a partition: its name, such as "0 of 2"
        self._shard: Shard | None = None  # of a shard: which one it is
        self._data_fingerprint = {}  # computed when first needed, and shared by partitions
        self._data_options = {}  # the same
        self._num_samples = num_samples
        self._pass = EpochPass(num_batches)
        self._last_read = -1  # position that was last read outside an epoch
        self._warns_of_bad_samples = not options.shuffle and options.on_error != "raise"
        self._use(None)

    def _use(self, pipeline: Pipeline | None) -> None:
        """Use this pipeline. With `None`, a pipeline is made when it is first needed."""
        self._pass.forget_served()
        if self._abandon is not None:
            self._abandon.detach()
        if pipeline is not None:
            self._abandon = weakref.finalize(self, pipeline.loader.abandon)
            self._abandon.atexit = False
        register_fork_aware(self)
        self._made = pipeline  # not earlier: after Ctrl-C in a line above, it is made again
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Create an unlocked lock, in a forked child."""
        self._making = threading.RLock()

    def _ordered(self, source: Source) -> Order:
        order = source.order(self._options.shuffle, self._options.seed, self._options.batch_size)
        return order if self._bounds is None else order.part(*self._bounds)

    def _samples_per_epoch(self, source: Source) -> int:
        """Return the number of samples per pass."""
        return len(source)

    def _ready_source(self) -> Source:
        """Do all work that must precede the first batch, and return the source that batches are read from."""
        return self._source

    @property
    def _pipeline(self) -> Pipeline:
        """The pipeline, made when it is first needed."""
        if self._made is None:
            with self._making:
                if self._made is None:
                    source = self._ready_source()
                    self._use(Pipeline(source, self._ordered(source), self._options, self._budget))
        return self._made

    @property
    def seed(self) -> int:
        """The seed of the order and of `transform`: the `seed` argument, or the seed that was drawn."""
        return self._options.seed

    @property
    def batch_size(self) -> int:
        """Number of samples per batch, of all shards together. The last batch may be shorter, unless it is padded."""
        return self._options.batch_size * (1 if self._shard is None else self._shard.num_shards)

    @property
    def num_samples(self) -> int:
        """Number of samples per pass, or of draws with `sampling`. With `last_batch="drop"`, some may not be served."""
        return self._num_samples

    @property
    def num_workers(self) -> int:
        """Number of loading threads. (The attribute `workers` is for Keras, and always 1.)"""
        return self._budget.num_workers

    def __len__(self) -> int:
        return self._pass.num_batches

    def _checked(self, index: int) -> int:
        num_batches = len(self)
        if isinstance(index, slice):
            raise TypeError(
                "A Sequence returns one batch at a time, and no slices. For the first batches: "
                f"itertools.islice(sequence, n). Received: {index}"
            )
        if not -num_batches <= index < num_batches:
            raise IndexError(f"Batch {index} of {num_batches} does not exist.")
        return int(index) % num_batches

    @property
    def _is_part(self) -> bool:
        """Whether it is a part of another Sequence."""
        return self._partition is not None or self._shard is not None

    @property
    def _made_by(self) -> str:
        """The method that made this part of another Sequence."""
        if self._partition is None:
            return "shard"
        return "folds" if "fold" in self._partition else "partition"

    def release(self) -> None:
        """Stop the loading threads and free the batches that were made ahead. Reading starts the threads again."""
        if self._made is not None:
            self._made.close()

    def close(self) -> None:
        """Stop the loading threads, close the cache and free memory. Reading opens everything again.

        Calling it is optional: threads end after two seconds without work, and deleting the Sequence frees the rest.
        """
        self.release()
        if not self._is_part:
            self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_making", "_abandon")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._pass = copy.copy(self._pass)  # a copy has its own pass and pipeline
        self._use(copy.copy(self._made))
