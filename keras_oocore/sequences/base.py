"""The base class of all Sequences: the methods that Keras calls, and loops of the user."""

from collections.abc import Iterator
from typing import Any

from keras_oocore.batches.profile import Profile
from keras_oocore.batches.timing import WARM_UP_BATCHES, measure
from keras_oocore.core.checks import positive
from keras_oocore.sequences.distribution import require_one_training
from keras_oocore.sequences.divided import DividedDataset
from keras_oocore.sequences.padded_data import require_right_call


class OutOfCoreSequence(DividedDataset):
    """Base class of all Sequences: `len`, indexing, iteration, the position in the data, and the loading threads.

    Each call of `fit`, `evaluate` or `predict` reads whole passes over the samples. A pass serves every sample exactly
    once, in an order that depends only on `seed`, on any backend and for any number of workers and `steps_per_epoch`.
    """

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
                `auto_shard_dataset=True`), if processes or devices cannot train with this Sequence, or if the weights
                of samples that fill the last batch are made for something else.
        """
        self.require_all_indices()
        require_one_training(self._shard, self._partition is not None, self._batch_sizes())
        require_right_call(self)
        self._pass.begin()

    def require_evaluation(self) -> None:
        """Check that processes and devices can evaluate this Sequence, before a training that will do so.

        Raises:
            OptionError: If they cannot.
        """
        self.require_all_indices()
        require_one_training(self._shard, self._partition is not None, self._batch_sizes(), "evaluate")

    def on_epoch_end(self) -> None:
        """Called by Keras at the end of every epoch."""
        self._pass.end()

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
