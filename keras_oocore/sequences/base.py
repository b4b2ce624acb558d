"""The base class of all Sequences: the methods that Keras calls, and the position in the data."""

import copy
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

import numpy as np

from keras_oocore.batches.budget import Budget, queue_size
from keras_oocore.batches.options import BatchFormat, BatchOptions, OnError
from keras_oocore.batches.pipeline import Pipeline
from keras_oocore.batches.profile import Profile
from keras_oocore.batches.timing import WARM_UP_BATCHES, measure
from keras_oocore.core.checks import positive
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.forks import register_fork_aware
from keras_oocore.core.warn import warn_user
from keras_oocore.ordering.epoch_pass import EpochPass
from keras_oocore.ordering.order import Order
from keras_oocore.sequences.distribution import require_one_training
from keras_oocore.sequences.divided import DividedDataset
from keras_oocore.sequences.exit import end_iterators_at_exit
from keras_oocore.sequences.in_order import InOrder, RowNames
from keras_oocore.sequences.position import Cursor, checked_state, data_fingerprint, data_options
from keras_oocore.sequences.shards import Shard
from keras_oocore.sources.base import Source


class OutOfCoreSequence(DividedDataset):
    """Base class of all Sequences: `len`, indexing, iteration, the position in the data, and the loading threads.

    Each call of `fit`, `evaluate` or `predict` reads whole passes over the samples. A pass serves every sample exactly
    once, in an order that depends only on `seed`, on any backend and for any number of workers and `steps_per_epoch`.
    """

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
        self._warns_of_metrics = options.last_batch == "pad_for_evaluation"
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
    def bad_samples(self) -> list[tuple[str, str]]:
        """Samples that could not be read so far, with the reason: `[(file, reason), ...]`.

        The rows of CSV files that `on_bad_row="skip"` leaves out are not samples, and not in this list.
        """
        if self._made is None:
            return []
        bad = sorted(self._made.bad_samples.copy().items())
        return [(self._made.source.name(sample), error.reason or str(error)) for sample, error in bad]

    @property
    def num_workers(self) -> int:
        """Number of loading threads. (The attribute `workers` is for Keras, and always 1.)"""
        return self._budget.num_workers

    def samples_of(self, batch_index: int) -> np.ndarray:
        """Return the numbers of the samples of a batch of the current pass, an `int64` array of shape `(batch,)`.

        A last batch that is padded has some samples several times.
        """
        return self._pipeline.maker.rows(self._pass.number, self._checked(batch_index))

    def filenames(self, batch_index: int) -> list[str]:
        """Return the files or rows of a batch of the current pass, including those that `on_error` skips or replaces.

        In `on_train_batch_end(batch)` of a callback, `filenames(batch)` names the samples of that batch. With
        `steps_per_epoch`, a pass continues over several epochs, so add the number of batches of the earlier epochs.
        """
        return [self._source.name(sample) for sample in self.samples_of(batch_index).tolist()]

    @property
    def served_samples(self) -> np.ndarray:
        """Numbers of the samples that the last pass served, in order, `int64` of shape `(num_served,)`.

        Row i of `predict` belongs to sample `served_samples[i]`, for any `shuffle`, `on_error` and `last_batch`. With
        `last_batch="pad"`, the samples that fill a batch are in it several times. During a pass, and
        after one that ended early (such as `predict(steps=n)`), these are the samples that were handed out so far.
        Keras may have asked for a few more batches than the model received, so use as many as there are predictions.
        A copy, and a Sequence that moved to another position, has served nothing.

        >>> import keras_oocore as ko
        >>> sequence = ko.ArraySequence(np.arange(5.0), labels=None, batch_size=2, seed=1)
        >>> x = np.concatenate(list(sequence))
        >>> x.tolist(), sequence.served_samples.tolist()
        ([1.0, 3.0, 0.0, 4.0, 2.0], [1, 3, 0, 4, 2])
        """
        if self._made is None:
            return np.empty(0, np.int64)
        return self._made.maker.served(*self._pass.last_served())

    @property
    def served_paths(self) -> list[str]:
        """The file (or the row, for rows of an array or a table) of every sample in `served_samples`."""
        return [self._source.name(sample) for sample in self.served_samples.tolist()]

    def _warn_of_bad_samples(self) -> None:
        """Warn once that rows of predictions are not the samples of the same numbers."""
        self._warns_of_bad_samples = False
        sample, error = min(self._pipeline.bad_samples.copy().items(), key=lambda item: item[0])
        action = "left out" if self._options.on_error == "skip" else "replaced by another sample"
        warn_user(
            f"{self._source.name(sample)!r} is {action} (on_error={self._options.on_error!r}), because it cannot be "
            f"read: {error.reason or error}. Row i of `predict` may not belong to sample i: use `served_paths`, which "
            "names the sample of every row. `bad_samples` lists all unreadable samples."
        )

    def _warn_of_metrics(self) -> None:
        """Warn once that some metrics count the samples that fill the last batch several times."""
        self._warns_of_metrics = False
        if self.num_samples % self.batch_size:
            warn_user(
                f"The last batch has {self.num_samples % self.batch_size} samples, which are repeated to make "
                f"{self.batch_size}. The loss and the `weighted_metrics` of `compile` count each of them once, but "
                "`metrics=` of `compile` counts the repetitions, too: pass them as `weighted_metrics=`."
            )

    def __len__(self) -> int:
        return self._pass.num_batches

    @property
    def num_batches(self) -> int:
        """Number of batches per pass. In a resumed epoch, the number of remaining batches.

        Keras reads it when a call of `fit`, `evaluate` or `predict` begins, and when an epoch begins.
        """
        self._pass.length_read()
        return self._pass.remaining

    def __getitem__(self, index: int) -> Any:
        """Return a batch: the next batch of the plan during an epoch of Keras, otherwise batch `index` of the plan."""
        pipeline = self._pipeline
        number, position, within_epoch = self._pass.bind(self._checked(index))
        if within_epoch:
            batch = pipeline.get(number, position)
            self._pass.record_served(number, position)
            if self._warns_of_bad_samples and pipeline.bad_samples:
                self._warn_of_bad_samples()
            return batch
        in_order, self._last_read = position == self._last_read + 1, position
        return pipeline.get(number, position) if in_order and position else pipeline.load(number, position)

    def load_batch(self, batch_index: int) -> Any:
        """Return batch `batch_index` of the current pass. The position in the data does not change."""
        return self._pipeline.load(self._pass.number, self._checked(batch_index))

    def _checked(self, index: int) -> int:
        num_batches = len(self)
        if not -num_batches <= index < num_batches:
            raise IndexError(f"Batch {index} of {num_batches} does not exist.")
        return int(index) % num_batches

    def __iter__(self) -> Iterator[Any]:
        """Iterate over one pass, for custom training loops. The next loop iterates over the next pass.

        A loop that ends early, with `break`, also ends its pass. Within a loop, `sequence[i]` is batch i of its pass.
        """
        loop = self._pass.enter()
        try:
            for index in range(loop.num_batches):
                self._pass.ask(loop, index)
                yield self[index]
        finally:
            self._pass.leave(loop)

    def _batch_sizes(self) -> list[int]:
        """Return the sizes of whole batches and of a shorter last one, or `[]` if any batch may be shorter."""
        options = self._options
        if options.on_error == "skip":
            return []
        whole, last = divmod(self.num_samples, self.batch_size)
        last = last if options.last_batch == "keep" else 0
        return [options.batch_size] * (whole > 0) + [last * options.batch_size // self.batch_size] * (last > 0)

    def on_epoch_begin(self) -> None:
        """Called by Keras at the beginning of every epoch.

        Raises:
            OptionError: If Keras divides the batches among several processes (`keras.distribution`, with
                `auto_shard_dataset=True`), or if processes or devices cannot train with this Sequence.
        """
        self.require_all_indices()
        require_one_training(self._shard, self._partition is not None, self._batch_sizes())
        if self._warns_of_metrics:
            self._warn_of_metrics()
        self._pass.begin()

    def on_epoch_end(self) -> None:
        """Called by Keras at the end of every epoch."""
        self._pass.end()

    @property
    def cursor(self) -> Cursor:
        """The position in the data, which can be read and moved. `ko.fit_resumable` uses it."""
        return Cursor(self, self._pass, self._described_options, self._shard)

    def in_order(self, transformed: bool = True, on_error: OnError = "skip") -> InOrder:
        """The samples in their order, each once, which `ko.predict` reads. The position in the data stays.

        Args:
            transformed: Whether `transform` is applied.
            on_error: `"raise"`, or `"skip"`.

        Raises:
            OptionError: If this is a shard.
        """
        if self._shard is not None and self._shard.num_shards > 1:
            raise OptionError(
                f"All samples are predicted, and this is shard {self._shard}. Pass the whole Sequence. Each of several "
                "processes can predict it."
            )
        self.release()  # otherwise batches made ahead would count twice
        members = None if self._partition is None else self._pipeline.order.members()
        source = self._pipeline.source
        options = self._options if transformed else replace(self._options, transform=None)
        return InOrder(source, members, options, self._budget, self._row_names(), on_error)

    def _row_names(self) -> RowNames:
        """Return what is known about the rows: here, their numbers."""

        def no_columns(samples: np.ndarray, y: Any = None) -> dict[str, np.ndarray]:
            return {}

        return RowNames(lambda samples: {"row": samples}, no_columns, no_columns, None, [], False, False)

    def state_dict(self, batches: int | None = None) -> dict[str, Any]:
        """Return the position in the data as a small JSON. A Sequence that loads it continues with the next batch.

        In a custom training loop, call it inside the loop. In a callback of plain `fit`, pass the number of batches
        that the model received, because TensorFlow and JAX request some batches ahead: `state_dict(batches=batch + 1)`
        in `on_train_batch_end(batch)`. `ko.fit_resumable` does all of this for you.

        Args:
            batches: Number of batches of the current pass that the model received since the pass began, or since
                `load_state_dict`. Defaults to the number of batches that were handed out.

        Returns:
            `{"seed", "epoch", "batches", "num_samples", "fingerprint"}`, with plain numbers and strings.

        >>> import keras_oocore as ko
        >>> sequence = ko.ArraySequence(np.arange(8.0), labels=None, batch_size=2, seed=1)
        >>> for position, x in enumerate(sequence):
        ...     if position == 1:
        ...         state = sequence.state_dict()
        >>> state["epoch"], state["batches"], state["num_samples"]
        (0, 2, 8)
        >>> again = ko.ArraySequence(np.arange(8.0), labels=None, batch_size=2)
        >>> again.load_state_dict(state)
        >>> len(list(again)), again.seed
        (2, 1)
        """
        epoch, handed_out = self._pass.position(None if batches is None else positive(batches, "batches"))
        return {"seed": self.seed, "epoch": epoch, "batches": handed_out, **self._described_data()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Move to the position of a `state_dict()`. The rest of that pass comes next, followed by whole passes.

        A Sequence made with `seed=None` adopts the seed of the state. `len()` stays the number of batches of a whole
        pass. A plain `fit` first trains on the rest of the epoch, and Keras warns that this epoch ran out of data.
        Weights, history and callbacks are not restored: see `ko.fit_resumable`.

        Args:
            state: Result of `state_dict()`, of this process or of an earlier one.

        Raises:
            OptionError: If `state` is not a state, or if its seed is not the `seed` of the Sequence.
            DataError: If the state belongs to other data. The message says what differs.
        """
        described = self._described_data()
        here = {"num_samples": described["num_samples"], **described["fingerprint"]}
        seed, epoch, batches = checked_state(state, len(self), here)
        if seed != self.seed and not self._options.seed_is_drawn:
            raise OptionError(
                f"The state has seed={seed}, but this Sequence was made with seed={self.seed}. Make it with "
                f"seed={seed}, or with seed=None, which adopts the seed of the state."
            )
        self.adopt_seed(seed)
        self._pass.seek(epoch, batches)

    def adopt_seed(self, seed: int) -> None:
        """Use another seed for the order and for `transform`, unless the user passed one."""
        if seed != self.seed and self._options.seed_is_drawn:
            pipeline = None if self._made is None else self._made.with_seed(seed)
            self.release()
            self._options = replace(self._options, seed=seed)
            self._use(pipeline)

    def _described_data(self) -> dict[str, Any]:
        """Return the part of `state_dict()` that describes the data."""
        if not self._data_fingerprint:
            pipeline = self._pipeline
            self._data_fingerprint.update(data_fingerprint(pipeline.source, pipeline.order, pipeline.options))
        partition = {} if self._partition is None else {"partition": self._partition}
        return {"num_samples": self.num_samples, "fingerprint": {**self._data_fingerprint, **partition}}

    def _described_options(self) -> dict[str, Any]:
        """Return the `data_options`. They are computed once, because the values of a `transform` may change."""
        if not self._data_options:
            self._data_options.update(data_options(self._source, self._format, self._options))
        return self._data_options

    def profile(self, num_batches: int = 50) -> Profile:
        """Measure and print where the time per batch goes, the speed of loading, and which setting would help.

        The position in the data does not change. Do not call it while a model trains, because both would share the
        cores. Files that were read recently are in memory, so the first epoch after starting the machine is slower.

        Args:
            num_batches: Number of batches to time, after two batches of warm-up. They may continue in the next pass.

        Returns:
            A `Profile`: `seconds_per_batch` of reading, decoding, resizing, `transform` and assembling, summed over
            the threads, and of waiting; `samples_per_second`; `advice`, a list of sentences; `errors`, the messages of
            batches that could not be made.

        Raises:
            OptionError: If `num_batches` is not a positive integer.
            DataError: If none of the batches can be made.
        """
        return self._profiled(num_batches, WARM_UP_BATCHES)

    def _profiled(self, num_batches: int, warm_up: int) -> Profile:
        num_batches = positive(num_batches, "num_batches")
        self._pipeline.loader.close()  # batches made ahead would count towards `memory_limit`
        profile = measure(self._pipeline, self.max_queue_size, self._pass.number, num_batches, warm_up)
        print(profile)
        return profile

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
