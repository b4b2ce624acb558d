"""The abstract OutOfCoreSequence: a batch maker, a pass and a loader behind the methods that Keras calls."""

import copy
import os
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_oocore.batches.budget import HELD_BATCHES, batches_ahead, num_threads
from keras_oocore.batches.loader import BatchLoader
from keras_oocore.batches.maker import BatchMaker, BatchOptions, Samples
from keras_oocore.batches.pipeline import Batches
from keras_oocore.batches.profile import WARM_UP_BATCHES, Profile, measure
from keras_oocore.core.checks import positive
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.text import display_path
from keras_oocore.manifest.labels import Labels
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.ordering.epoch_order import partition
from keras_oocore.ordering.epoch_pass import EpochPass
from keras_oocore.ordering.window_order import WindowOrder
from keras_oocore.plots import images as plots
from keras_oocore.sequences.position import checked_state, fingerprint
from keras_oocore.sources.cache import cached
from keras_oocore.sources.cached import CachedSamples
from keras_oocore.sources.files import FileSamples
from keras_oocore.sources.fill import fill_store


class OutOfCoreSequence(keras.utils.PyDataset):
    """What all Sequences share: `len`, indexing, iteration, and the life of the loader.

    Each call of `fit`, `evaluate` or `predict` gets whole passes over the samples: every sample exactly once, in the
    plan's order for `seed`, whatever the backend, the number of workers, `steps_per_epoch` or the call before.
    """

    def __init__(
        self,
        samples: Samples,
        labels: Labels,
        manifest: Manifest | None,
        options: BatchOptions,
        sample_weight,
        class_weight,
        cache: Path | None,
        overwrite_cache: bool,
        memory_limit: int | str | None,
        workers: int | None,
        max_queue_size: int,
        use_multiprocessing: bool,
        order: WindowOrder | None = None,
    ):
        # Keras is told to read in order and by itself: its own queue loses batches (3.15.1, workers=2).
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=max_queue_size)
        if use_multiprocessing:
            warnings.warn("`use_multiprocessing=True`: threads are used instead, see `workers`.", stacklevel=3)
        self._maker = BatchMaker(samples, labels, _weights(labels, sample_weight, class_weight), options, order)
        if self._maker.num_batches == 0:
            raise DataError(
                f"{len(samples)} samples do not fill one batch of {options.batch_size}. "
                'Use a smaller batch_size, or last_batch="keep".'
            )
        if self._maker.batch_bytes == 0:
            raise DataError(f"Samples of shape {samples.shape} hold nothing.")
        num_workers = num_threads(workers)
        max_ahead = min(
            positive(max_queue_size, "max_queue_size"), batches_ahead(self._maker, memory_limit, num_workers)
        )
        self._pass = EpochPass(self._maker.num_batches)
        self._batches = Batches(self._maker, num_workers, max_ahead)
        self._last_read = -1  # index last read outside an epoch
        self._fingerprint = {}  # of the data, once somebody wanted it; partitions share it
        self._partition = None  # which of how many, where this is one
        self.manifest = manifest
        self._own_loader()
        if cache is not None:  # last: an error above leaves no half-open cache in a notebook's traceback
            self._maker.samples = self._cached(samples, cache, overwrite_cache)
            if not self._maker.samples.has_store:
                warnings.warn(
                    f"{str(cache)!r} is being filled by another process; until that one has finished, this one reads "
                    "the files themselves.",
                    stacklevel=3,
                )

    def _own_loader(self) -> None:
        weakref.finalize(self, self._loader.abandon).atexit = False

    @property
    def _loader(self) -> BatchLoader:
        return self._batches.loader

    @property
    def seed(self) -> int:
        """The seed of the order and of `transform`: the one given, or the one that was drawn."""
        return self._maker.options.seed

    @property
    def batch_size(self) -> int:
        """Samples in a batch; the last one may be shorter."""
        return self._maker.options.batch_size

    @property
    def num_samples(self) -> int:
        """Samples in a pass; with `last_batch="drop"` some of them are left out of each."""
        return self._maker.order.size

    @property
    def labels(self) -> np.ndarray | None:
        """Class indices `(num_samples,)`, or the raw targets, in the order of the samples; not one-hot."""
        labels = self._maker.labels.values
        return labels if labels is None or self._partition is None else labels[self._maker.order.members()]

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, in the order of their indices."""
        return self._maker.labels.class_names

    @property
    def bad_samples(self) -> list[tuple[str, str]]:
        """Every sample met so far that cannot be read, with the reason: `[(file, reason), ...]`."""
        bad = sorted(self._maker.bad_samples.copy().items())
        return [(self._maker.samples.name(sample), error.reason or str(error)) for sample, error in bad]

    @property
    def num_workers(self) -> int:
        """Our own loading threads. (`workers` is what Keras is told: 1, always.)"""
        return self._loader.num_workers

    def samples_of(self, batch_index: int) -> np.ndarray:
        """Numbers of the samples at a position of the current pass, as planned, an `int64` array `(batch,)`."""
        return self._maker.planned(self._pass.number, self._checked(batch_index))

    @property
    def file_paths(self) -> list[str]:
        """The path of every sample, in their order; empty for rows of an array."""
        if self.manifest is None:
            return []
        if self._partition is None:
            return self.manifest.file_paths
        return [self.manifest.path(sample) for sample in self._maker.order.members().tolist()]

    def filenames(self, batch_index: int) -> list[str]:
        """The files, or rows, at a position of the current pass, as planned: before `on_error` skips or replaces any.

        In a callback's `on_train_batch_end(batch)`, `filenames(batch)` are the files of that batch. With
        `steps_per_epoch` the pass goes on over several epochs: add the batches of those before.
        """
        samples = self.samples_of(batch_index)
        if self.manifest is None:
            return [self._maker.samples.name(sample) for sample in samples.tolist()]
        return self.manifest.filenames[samples].tolist()

    def __len__(self) -> int:
        return self._maker.num_batches

    @property
    def num_batches(self) -> int:
        """Batches in a pass; within an epoch that a state began in the middle, those that it still has.

        Keras reads it when a call of `fit`, `evaluate` or `predict` begins, and when an epoch does.
        """
        self._pass.length_read()
        return self._pass.remaining

    def __getitem__(self, index: int) -> Any:
        """The batch that `index` stands for: within an epoch the plan's next one, outside it batch `index`."""
        number, position, within_epoch = self._pass.bind(self._checked(index))
        if within_epoch:
            return self._batches.get(number, position)
        in_order, self._last_read = position == self._last_read + 1, position
        return self._batches.get(number, position) if in_order and position else self._batches.load(number, position)

    def _peek(self, batch_index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """`(x, y)` at a position of the current pass, made apart from what Keras is given."""
        batch = self._batch_apart(batch_index)
        return batch[:2] if isinstance(batch, tuple) else (batch, None)

    def _batch_apart(self, batch_index: int) -> Any:
        """The batch at a position of the current pass, which counts for nothing."""
        return self._batches.load(self._pass.number, self._checked(batch_index))

    def _checked(self, index: int) -> int:
        num_batches = self._maker.num_batches
        if not -num_batches <= index < num_batches:
            raise IndexError(f"Batch {index} of {num_batches} does not exist.")
        return int(index) % num_batches

    def __iter__(self) -> Iterator[Any]:
        """One pass in the plan's order, for a loop of your own; the next loop is the next pass."""
        self._pass.enter()
        try:
            for index in range(self._pass.remaining):
                yield self[index]
        finally:
            self._pass.leave()

    def state_dict(self, batches: int | None = None) -> dict[str, Any]:
        """The place in the data, as a small JSON: a Sequence that loads it goes on with the very next batch.

        In a loop of your own, call it within the loop. In a callback of a plain `fit`, say how many batches of the
        pass the model was given, because TensorFlow and JAX ask for some ahead: `state_dict(batches=batch + 1)` in
        `on_train_batch_end(batch)`. `ko.fit_resumable` does all of it for you.

        Args:
            batches: of the current pass, that were used, counted from where a state began it; `None` for those
                handed out.

        Returns:
            `{"seed", "epoch", "batches", "num_samples", "fingerprint"}`, of plain numbers and texts.

        >>> import keras_oocore as ko
        >>> sequence = ko.NpyManifestSequence(np.arange(8.0), labels=None, batch_size=2, seed=1)
        >>> for position, x in enumerate(sequence):
        ...     if position == 1:
        ...         state = sequence.state_dict()
        >>> state["epoch"], state["batches"], state["num_samples"]
        (0, 2, 8)
        >>> again = ko.NpyManifestSequence(np.arange(8.0), labels=None, batch_size=2)
        >>> again.load_state_dict(state)
        >>> len(list(again)), again.seed
        (2, 1)
        """
        epoch, handed_out = self._pass.place(None if batches is None else positive(batches, "batches"))
        return {"seed": self.seed, "epoch": epoch, "batches": handed_out, **self._described_data()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to the place of a `state_dict()`: what comes next is the batch after it, then whole passes as ever.

        A Sequence made with `seed=None` takes the state's seed over. `len()` stays the batches of a whole pass. A plain
        `fit` trains on what is left of the epoch first, and Keras warns that this epoch ran out of data; weights,
        history and callbacks it does not bring back: see `ko.fit_resumable`.

        Args:
            state: from `state_dict()`, in this process or another.

        Raises:
            OptionError: when it is no state, or has another seed than the one given.
            DataError: when it belongs to other data; it says what differs.
        """
        described = self._described_data()
        here = {"num_samples": described["num_samples"], **described["fingerprint"]}
        seed, epoch, batches = checked_state(state, len(self), here)
        if seed != self.seed and not self._maker.options.seed_is_drawn:
            raise OptionError(
                f"The state has seed={seed}, this Sequence was made with seed={self.seed}. Make it with seed={seed}, "
                "or with seed=None, which takes the state's."
            )
        self._take_seed(seed)
        self._seek(epoch, batches)

    def _take_seed(self, seed: int) -> None:
        """Take a seed over, unless one was asked for."""
        if seed != self.seed and self._maker.options.seed_is_drawn:
            self._batches.close()
            self._maker.reseed(seed)

    def _seek(self, epoch: int, batches: int) -> None:
        """Go to a place, without a look at whose it is."""
        self._pass.seek(epoch, batches)

    def _described_data(self) -> dict[str, Any]:
        """What `state_dict` says of the data."""
        if not self._fingerprint:
            self._fingerprint.update(fingerprint(self._maker))
        which = {} if self._partition is None else {"partition": self._partition}
        return {"num_samples": self.num_samples, "fingerprint": {**self._fingerprint, **which}}

    def partition(self, n: int) -> list["OutOfCoreSequence"]:
        """`n` Sequences of the same samples: disjoint, together complete, and equal within one batch.

        Which samples are whose is drawn once by `seed` and stays; with `shuffle=False` each has neighbours. They share
        what was opened, cache included, and hold no list of their samples, so that each costs next to nothing.
        `manifest` stays the whole's.

        Args:
            n: how many; at most the number of batches.

        Raises:
            OptionError: when there are fewer batches, or this is a partition already.

        >>> import keras_oocore as ko
        >>> parts = ko.NpyManifestSequence(np.arange(10.0), labels=None, batch_size=2, seed=1).partition(2)
        >>> [part.num_samples for part in parts]
        [4, 6]
        >>> sorted(float(x) for part in parts for batch in part for x in batch)
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
        """
        if self._partition is not None:
            raise OptionError("Only a whole Sequence can be partitioned. Received: one that `partition` returned")
        bounds = partition(min(self.num_samples, len(self) * self.batch_size), self.batch_size, n)
        bounds[-1] = (bounds[-1][0], self.num_samples)  # with what last_batch="drop" leaves out of each pass
        return [self._part(number, *bound, len(bounds)) for number, bound in enumerate(bounds)]

    def _part(self, number: int, first: int, stop: int, num_parts: int) -> "OutOfCoreSequence":
        part = object.__new__(type(self))
        vars(part).update(vars(self))
        part._maker = self._maker.of_order(self._maker.order.part(first, stop))
        part._pass = EpochPass(part._maker.num_batches)
        part._batches = Batches(part._maker, self.num_workers, self._batches.max_ahead)
        part._last_read = -1
        part._partition = f"{number} of {num_parts}"
        part._own_loader()
        return part

    def on_epoch_begin(self) -> None:
        """Called by Keras."""
        self._pass.begin()

    def on_epoch_end(self) -> None:
        """Called by Keras."""
        self._pass.end()

    def show_batch(self, batch_index: int = 0, num_images: int = 16, path: str | os.PathLike | None = None):
        """A picture of a batch, each image under its label: a `matplotlib.figure.Figure`, saved when `path` is given.

        Args:
            batch_index: which batch of the plan.
            num_images: how many images of it, at most.
            path: a `.png` to save it as, or `None`.

        Raises:
            OptionError: when the samples are no images.
            MissingExtraError: when matplotlib is not installed (extra `plots`).
        """
        if not is_image(self._maker.samples.shape):
            raise OptionError(
                "`show_batch` shows images, samples of shape (height, width, 1, 3 or 4). "
                f"Received: samples of shape {self._maker.samples.shape}"
            )
        x, y = self._peek(batch_index)
        x = x[:num_images]
        if self._maker.options.data_format == "channels_first":
            x = np.moveaxis(x, 1, -1)
        titles = self._maker.labels.texts(y, len(x))
        return plots.image_grid(x, titles, path)

    def profile(self, num_batches: int = 50) -> Profile:
        """Where the time of a batch goes, how many samples a second could be delivered, and what would help; printed.

        The batches are made apart from what Keras is given: afterwards the pass goes on where it was. Call it while no
        model trains, which would share the cores. Files that were read lately come from memory: the first epoch after
        a start of the machine reads slower.

        Args:
            num_batches: how many are timed, after two that warm up; they go on into the next pass where one ends.

        Returns:
            A `Profile`: `seconds_per_batch` of reading, decoding, resizing, `transform` and assembling, summed over
            the threads, and of waiting; `samples_per_second`; `advice`, a list of sentences.

        Raises:
            OptionError: when `num_batches` is not a positive integer.
        """
        return self._profiled(num_batches, WARM_UP_BATCHES)

    def _profiled(self, num_batches: int, warm_up: int) -> Profile:
        num_batches = positive(num_batches, "num_batches")
        self._loader.close()  # what it made ahead would count against `memory_limit`; it is made again when asked for
        epoch, num_cores = self._pass.number, num_threads(None)
        profile = measure(self._batches, self.max_queue_size, num_cores, epoch, num_batches, warm_up)
        print(profile)
        return profile

    def pack(self, directory: str | os.PathLike, overwrite_cache: bool = False) -> Path:
        """Store all samples as rows of a packed store, with a progress bar; a call that was stopped goes on.

        `open_packed(directory)` then trains from it alone, on a machine that never saw the files: labels, class names
        and file names lie beside the rows. `transform`, `rescale` and `dtype` are not applied.

        Args:
            directory: a new or empty one, or one with an unfinished store of these files and options.
            overwrite_cache: whether a store that is there is made again.

        Returns:
            The directory.

        Raises:
            SampleError: when a file cannot be read and `on_error="raise"`; otherwise the store marks it as bad.
            DataError: when other rows are stored there.
            DestinationError: when the disk is too small, or another process fills the store.
        """
        self._loader.close()  # what it reads ahead would be stored by two at once
        samples, directory = self._maker.samples, Path(directory)
        is_cache = isinstance(samples, CachedSamples) and samples.directory == Path(os.path.abspath(directory))
        if overwrite_cache or not is_cache:
            samples = self._cached(getattr(samples, "source", samples), directory, overwrite_cache)
            if is_cache:
                self._maker.samples = samples
        try:
            self._maker.bad_samples.update(fill_store(samples, max(1, self.num_workers)))
        finally:
            if not is_cache:
                samples.close()
        return directory

    def _cached(self, samples: Samples, directory: Path, overwrite: bool) -> CachedSamples:
        if not isinstance(samples, FileSamples):
            raise OptionError(
                "`pack` stores what is read from files. Received: rows, which are as quick to read already"
            )
        return cached(samples, directory, self._maker.options.on_error != "raise", overwrite)

    def close(self) -> None:
        """End the loading threads, close the cache and give memory back; reading again opens all of it again.

        Not needed: threads end by themselves after two seconds without work, and the rest goes with the Sequence.
        """
        self._batches.close()
        if isinstance(self._maker.samples, CachedSamples) and self._partition is None:
            self._maker.samples.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __setstate__(self, state):
        vars(self).update(state)
        self._pass, self._batches = copy.copy(self._pass), copy.copy(self._batches)  # a copy has its own
        self._own_loader()

    @property
    def workers(self) -> int:
        """What Keras is told: 1. Our own threads are `num_workers`."""
        return 1

    @workers.setter
    def workers(self, value):
        raise AttributeError(f"`workers` is set in the constructor only: {type(self).__name__}(..., workers={value!r})")

    @property
    def use_multiprocessing(self) -> bool:
        """What Keras is told: `False`."""
        return False

    @use_multiprocessing.setter
    def use_multiprocessing(self, value):
        raise AttributeError("`use_multiprocessing` stays False: samples are loaded in threads, see `workers`.")

    @property
    def max_queue_size(self) -> int:
        """Most batches made ahead of time; `memory_limit` may allow fewer."""
        return self._max_queue_size

    @max_queue_size.setter
    def max_queue_size(self, value):
        raise AttributeError(
            f"`max_queue_size` is set in the constructor only: {type(self).__name__}(..., max_queue_size={value!r})"
        )

    @property
    def _partition_shown(self) -> str:
        return f", partition {self._partition}" if self._partition else ""

    def _described(self, *lines: str) -> str:
        """The `repr`: what it holds, then `lines` of the kind of samples."""
        options, maker = self._maker.options, self._maker
        order = {True: "shuffled", False: "in order", "block": "shuffled in blocks"}[options.shuffle]
        names = self.class_names
        classes = f", {len(names)} classes" if names else ""
        plural = "batch" if len(self) == 1 else "batches"
        if isinstance(maker.samples, CachedSamples):
            num_stored = len(maker.samples) - len(maker.samples.missing())
            lines += (f"cache {display_path(maker.samples.directory)!r} has {num_stored:,} of them",)
        return "\n  ".join(
            [
                f"<{type(self).__name__}: {self.num_samples:,} samples{classes}{self._partition_shown}",
                f"{len(self):,} {plural} of {self.batch_size}, {order}, seed={self.seed}",
                f"x {maker.dtype} {(self.batch_size, *maker.shape)}, labels {maker.labels.label_mode}",
                *lines,
                f"{self.num_workers} threads, {self._batches.max_ahead} batches ahead, "
                f"{format_bytes((self._batches.max_ahead + HELD_BATCHES) * maker.batch_bytes)} in flight at most>",
            ]
        )


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether samples of this shape can be shown: `(height, width, channels)`."""
    return len(shape) == 3 and shape[-1] in (1, 3, 4)


def _weights(labels: Labels, sample_weight: np.ndarray | None, class_weight) -> np.ndarray | None:
    if sample_weight is not None and class_weight is not None:
        raise OptionError(
            "`sample_weight` and `class_weight` cannot both be given. Multiply them into `sample_weight`."
        )
    if class_weight is not None:
        return labels.class_weights(class_weight)
    if sample_weight is None:
        return None
    if labels.label_mode is None:
        raise OptionError("`sample_weight` wants labels. Received: no labels")
    return sample_weight
