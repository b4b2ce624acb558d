"""`ServedDataset`: which samples a batch has, which ones were served, and which ones could not be read."""

from dataclasses import replace
from typing import Any

import numpy as np

from keras_oocore.batches.options import OnError
from keras_oocore.core.errors import OptionError
from keras_oocore.core.warn import warn_user
from keras_oocore.sequences.description import DescribedDataset
from keras_oocore.sequences.in_order import InOrder, RowNames


class ServedDataset(DescribedDataset):
    """A dataset that names the samples of its batches, beside predictions."""

    @property
    def bad_samples(self) -> list[tuple[str, str]]:
        """Samples that could not be read so far, with the reason: `[(file, reason), ...]`.

        The rows of CSV files that `on_bad_row="skip"` leaves out are not samples, and not in this list.
        """
        if self._made is None:
            return []
        bad = sorted(self._made.bad_samples.copy().items())
        return [(self._made.source.name(sample), error.reason or str(error)) for sample, error in bad]

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
