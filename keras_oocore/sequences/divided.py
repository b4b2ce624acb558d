"""Divides a Sequence: the samples into partitions, or every batch into shards."""

import copy
from dataclasses import replace
from typing import Self

from keras_oocore.batches.options import BatchFormat
from keras_oocore.batches.pipeline import Pipeline
from keras_oocore.core.errors import OptionError
from keras_oocore.ordering.epoch_order import partition
from keras_oocore.ordering.epoch_pass import EpochPass
from keras_oocore.ordering.shard_order import ShardOrder
from keras_oocore.sequences.shards import checked_shard, require_equal_batches
from keras_oocore.sequences.stateful import StatefulDataset
from keras_oocore.sources.layout import is_cut


class DividedDataset(StatefulDataset):
    """A dataset that can be divided among the rounds of a training, and among processes."""

    def partition(self, n: int) -> list[Self]:
        """Divide the samples into `n` Sequences whose numbers of batches differ by at most one.

        Each sample is in exactly one partition. The members of each partition depend on `seed` and do not change. With
        `shuffle=False`, each partition has neighboring samples. Partitions share open files and the cache, and store
        no list of their samples, so they need almost no memory. The `manifest` of a partition contains all samples.
        The partitions of a shard are the shards of the partitions.

        Args:
            n: Number of partitions, at most the number of batches.

        Returns:
            A list of `n` Sequences.

        Raises:
            OptionError: If `n` is larger than the number of batches, or this Sequence is a partition.

        >>> import numpy as np
        >>> import keras_oocore as ko
        >>> parts = ko.ArraySequence(np.arange(10.0), labels=None, batch_size=2, seed=1).partition(2)
        >>> [part.num_samples for part in parts]
        [4, 6]
        >>> sorted(float(x) for part in parts for batch in part for x in batch)
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
        """
        if self._partition is not None:
            raise OptionError(
                "Only a whole Sequence can be partitioned. Call its `partition` with a larger `n`. "
                f"Received: a result of `{self._made_by}`"
            )
        bounds = partition(min(self.num_samples, len(self) * self.batch_size), self.batch_size, n)
        bounds[-1] = (bounds[-1][0], self.num_samples)  # including samples that last_batch="drop" leaves out
        return [self._part(f"{number} of {len(bounds)}", bound) for number, bound in enumerate(bounds)]

    def _part(self, name: str, bounds: tuple[int, int]) -> Self:
        pipeline, part = self._pipeline, copy.copy(self)
        order = pipeline.order.part(*bounds)
        part._partition, part._bounds = name, bounds
        part._num_samples = bounds[1] - bounds[0]
        part._pass, part._last_read = EpochPass(self._options.num_batches(order.size)), -1
        part._use(pipeline.with_order(order))
        return part

    def shard(self, index: int | None = None, num_shards: int | None = None, gradients_averaged: bool = False) -> Self:
        """Return the share of one process in every batch, for a training on several processes.

        Shard r of P has samples `rB/P` to `(r + 1)B/P` of every batch, where B is `batch_size`, the size of the batches
        of all processes together. So the shards, joined, are the batches of one process, for every P that divides B.
        `len`, `num_samples`, `batch_size` and `state_dict()` are those of all shards: a state continues with any other
        number of shards. A `transform` of whole batches draws other numbers in each shard, and `ko.per_sample` the
        numbers of one process.

        The parts of `partition` have the same members in every epoch. Shards divide all samples in each epoch.

        Args:
            index: Number of this process, from 0. By default, `index` and `num_shards` are those of
                `keras.distribution` or `torch.distributed`. `repr` says which.
            num_shards: Number of processes. `shard(0, 1)` says that each process has samples of its own.
            gradients_averaged: Whether your script averages the gradients of all processes. Keras before 3.16 does not
                do so on torch, and `fit` with several processes is an error there.

        Raises:
            OptionError: If the shards of a batch would have different sizes, or an argument is not valid.

        >>> import numpy as np
        >>> import keras_oocore as ko
        >>> whole = ko.ArraySequence(np.arange(8.0), labels=None, batch_size=4, seed=1)
        >>> list(whole)[0].tolist(), [list(whole.shard(index, 2))[0].tolist() for index in range(2)]
        ([6.0, 3.0, 7.0, 4.0], [[6.0, 3.0], [7.0, 4.0]])
        """
        if self._shard is not None:
            raise OptionError("Only a Sequence of whole batches can be sharded. Received: a result of `shard`")
        shard = checked_shard(index, num_shards, gradients_averaged, self._options)
        if is_cut(self._source.spec) and shard.num_shards > 1:
            raise OptionError(
                'With pad="batch", the shares of a batch would have different lengths, and several processes wait for '
                'each other forever. Use pad_to=LENGTH without `pad`. Received: pad="batch"'
            )
        require_equal_batches(self.num_samples, self._options, shard.num_shards)
        self._described_data()  # of all shards
        pipeline, part, options = self._pipeline, copy.copy(self), self._options
        keeps_last = options.last_batch == "keep"
        order = ShardOrder(pipeline.order, shard.index, shard.num_shards, options.batch_size, keeps_last, options.pads)
        share = options.batch_size // shard.num_shards
        part._shard = shard
        index = shard.index if shard.num_shards > 1 else None
        part._options = replace(options, batch_size=share, shard=index, num_shards=shard.num_shards)
        part._format = BatchFormat(self._source.spec, part._options)
        part._pass, part._last_read = EpochPass(part._options.num_batches(order.size)), -1
        part._use(Pipeline(pipeline.source, order, part._options, self._budget))
        return part
