"""Divides the samples of a Sequence into training and validation: `split` and `folds`. It also has their orders."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np

from keras_oocore.batches.options import BatchFormat, BatchOptions
from keras_oocore.batches.padding import require_labels
from keras_oocore.batches.transform import Transforms
from keras_oocore.core.errors import OptionError
from keras_oocore.core.keywords import answers
from keras_oocore.manifest.folds import fold_indices
from keras_oocore.manifest.splits import WORDS, as_seed, as_strata, split_indices
from keras_oocore.ordering.epoch_order import EpochOrder
from keras_oocore.ordering.epoch_pass import EpochPass
from keras_oocore.ordering.order import Order
from keras_oocore.ordering.subset_order import SubsetOrder
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.sequences.labelled_data import LabelledData
from keras_oocore.sources.base import BLOCKS_PER_BATCH, Source
from keras_oocore.sources.labelled import Labelled

OF_SEQUENCES = {
    "shuffle": "The training part is shuffled as this Sequence is, and the other parts are in order. Leave it out.",
    "transform": "The training part keeps the transform of this Sequence, and `val_transform` is for the other parts.",
    "by": "It is for tables. Pass `groups`, an array with one group per sample, or split a Manifest.",
}


class SplitSequence(OutOfCoreSequence):
    """A Sequence of labelled samples whose training part may draw samples several times.

    Args:
        data: The samples with their labels.
        options: How samples become batches.
        loading: The arguments `memory_limit`, `workers`, `max_queue_size` and `use_multiprocessing`.
    """

    _source: Labelled
    class_names: Any

    def __init__(self, data: LabelledData, options: BatchOptions, loading: Mapping[str, Any]):
        self._data, self._loading = data, loading
        require_labels(data.has_y, options)
        self._fold: np.ndarray | None = None  # of a part of a fold: its samples
        sampling = data.sampling
        self._draws = None if sampling is None else sampling.order(data.labels, len(data.source), options.seed)
        super().__init__(data.labelled(), options, **loading)

    def _samples_per_epoch(self, source: Source) -> int:
        return len(source) if self._draws is None else self._draws.size

    def _ordered(self, source: Source) -> Order:
        options, fold, drawn = self._options, self._fold, self._draws
        if drawn is None and fold is None:
            return super()._ordered(source)
        if source.reads_blocks:
            raise OptionError(
                f"`{'sampling' if fold is None else 'folds'}` reads rows in any order, but these are read in blocks. "
                "Pass cache=DIR, which stores the rows once."
            )
        if drawn is None:
            order = EpochOrder(len(fold), options.shuffle, options.seed, max(1, options.batch_size // BLOCKS_PER_BATCH))
        else:
            order = drawn.reseeded(options.seed)
        return order if fold is None else SubsetOrder(fold, order, len(source))

    @answers(WORDS | OF_SEQUENCES)
    def split(
        self,
        validation_split: float | int | None = None,
        test_split: float | int | None = None,
        stratify: bool | Sequence[Any] | np.ndarray = False,
        groups: Sequence[Any] | np.ndarray | None = None,
        seed: int | None = 0,
        val_transform: Transforms = None,
    ) -> tuple[Self, ...]:
        """Return Sequences of parts of the samples: `(train, val)`, `(train, test)` or `(train, val, test)`.

        The training part keeps all options. The other parts are read in order and have no class weights and no
        `sampling`, which would distort their metrics; with `last_batch="pad"`, theirs is `"pad_for_evaluation"`.
        `sample_weight` applies to all parts. So does `transform`, because it may be preprocessing; pass
        `val_transform` to use another function for the other parts. With `cache=DIR`, each part has a cache in
        `DIR/training`, `DIR/validation` or `DIR/test`.

        Args:
            validation_split: Fraction of the samples, or their number as an integer.
            test_split: Fraction of the samples, or their number as an integer.
            stratify: Whether each part keeps the proportions of the classes. You can also pass an array with one
                class per sample.
            groups: Array with one group per sample. All samples of a group, such as a patient, are in the same part.
            seed: Seed of the split. `None` draws one from Python's `random`.
            val_transform: Replaces `transform` in the parts other than training.

        Raises:
            OptionError: If a size is not valid, a class is too small to stratify, or this Sequence is a partition.

        >>> import keras_oocore as ko
        >>> rows = ko.ArraySequence(np.arange(10.0), labels=np.arange(10), batch_size=4)
        >>> train, val = rows.split(validation_split=0.3)
        >>> train.num_samples, [y.tolist() for x, y in val]
        (7, [[2, 4, 8]])
        """
        self._require_whole("split", "split")
        strata, own = as_strata(stratify, self._source.labels.values, len(self._source))
        parts = split_indices(
            len(self._source),
            validation_split,
            test_split,
            strata,
            groups,
            as_seed(seed),
            class_names=self.class_names if own else None,
        )
        train, *others = (np.sort(part) for part in parts)
        names = ("validation", "test") if validation_split is not None else ("test",)
        options = replace(self._options, shuffle=False, transform=val_transform or self._options.transform)
        options = options.for_evaluation()
        data = replace(self._data, class_weight=None, sampling=None)
        return (
            self._reopened(self._data.select(train), self._options, "training"),
            *(self._reopened(data.select(part), options, name) for name, part in zip(names, others)),
        )

    def folds(
        self,
        n: int,
        stratify: bool | Sequence[Any] | np.ndarray = False,
        groups: Sequence[Any] | np.ndarray | None = None,
        seed: int | None = 0,
        val_transform: Transforms = None,
    ) -> list[tuple[Self, Self]]:
        """Return training and validation Sequences for a cross-validation, which share one cache.

        Each sample is in the validation part of one fold. Options are those of `split`.

        Args:
            n: Number of folds.
            stratify: Whether each part keeps the proportions of the classes. You can also pass an array with one
                class per sample.
            groups: Array with one group per sample. All samples of a group, such as a patient, are in the same part.
            seed: Seed of the folds. `None` draws one from Python's `random`.
            val_transform: Replaces `transform` in the validation parts.

        Returns:
            A list of `n` tuples `(train, val)`.

        Raises:
            OptionError: If there are too few samples, groups, or samples of a class, or this Sequence is a part.

        >>> import keras_oocore as ko
        >>> rows = ko.ArraySequence(np.arange(6.0), labels=np.arange(6), batch_size=4)
        >>> [(train.num_samples, [y.tolist() for x, y in val]) for train, val in rows.folds(3)]
        [(4, [[2, 5]]), (4, [[1, 3]]), (4, [[0, 4]])]
        """
        self._require_whole("folds", "divided into folds")
        num_samples = len(self._source)
        strata, own = as_strata(stratify, self._source.labels.values, num_samples)
        parts = fold_indices(num_samples, n, strata, groups, as_seed(seed), self.class_names if own else None)
        options = replace(
            self._options.for_evaluation(), shuffle=False, transform=val_transform or self._options.transform
        )
        data = replace(self._data, class_weight=None, sampling=None)
        return [
            (
                self._part_of_fold(train, self._data, self._options, f"training part of fold {number} of {len(parts)}"),
                self._part_of_fold(val, data, options, f"validation part of fold {number} of {len(parts)}"),
            )
            for number, (train, val) in enumerate(parts)
        ]

    def _part_of_fold(self, members: np.ndarray, data: LabelledData, options: BatchOptions, name: str) -> Self:
        """Return a Sequence of some of the samples, with the source of this one."""
        part, labels, weight = copy.copy(self), data.labels.select(members), data.sample_weight
        if data.class_weight is not None:
            weight = np.zeros(len(data.source), np.float32)
            weight[members] = labels.class_weights(data.class_weight)
        sampling = None if data.sampling is None else data.sampling.select(members)
        part._fold, part._partition, part._options = members, name, options
        part._draws = None if sampling is None else sampling.order(labels, len(members), options.seed)
        part._source = replace(data, source=self._source.source).weighted(weight)
        part._format = BatchFormat(self._source.spec, options)
        part._num_samples = len(members) if part._draws is None else part._draws.size
        part._pass, part._last_read = EpochPass(options.num_batches(part._num_samples)), -1
        part._data_fingerprint, part._data_options = {}, {}
        part._use(None)
        return part

    def _require_whole(self, method: str, divided: str) -> None:
        """Check that this Sequence is not a part of another one.

        Raises:
            OptionError: If it is.
        """
        if self._is_part:
            raise OptionError(
                f"Only a whole Sequence can be {divided}. Call `{method}` first, and `{self._made_by}` on what it "
                f"returns. Received: a result of `{self._made_by}`"
            )

    def _reopened(self, data: LabelledData, options: BatchOptions, folder: str) -> Self:
        """Return a Sequence of the same kind with other data. Its cache is in the directory `folder` of the cache."""
        sequence = copy.copy(self)
        SplitSequence.__init__(sequence, data, options, self._loading)
        return sequence
