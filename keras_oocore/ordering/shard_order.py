"""The share of one process in every batch of an order. It has no array of positions."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from keras_oocore.ordering.order import Order

KEPT_BLOCKS = 2  # threads may ask for positions on both sides of the end of a block


@dataclass(frozen=True)
class ShardOrder:
    """Positions `[tB + rB/P, tB + (r+1)B/P)` of an order for every batch t, laid end to end.

    Shard r of P serves these positions, where B is the batch size of all shards together. The last batch may have fewer
    samples, which are divided in the same way.

    Args:
        order: The order of all shards. It is not a `ShardOrder`.
        index: Number of the shard, r.
        num_shards: Number of shards, P. It divides B, and the number of samples of the last batch.
        batch_size: B.
        keeps_last: Whether a last batch with fewer samples is served.

    >>> from keras_oocore.ordering.epoch_order import EpochOrder
    >>> order = EpochOrder(num_samples=10, shuffle=False, seed=0)
    >>> [ShardOrder(order, index, 2, batch_size=4).samples(0, 0, 5).tolist() for index in range(2)]
    [[0, 1, 4, 5, 8], [2, 3, 6, 7, 9]]
    """

    order: Order
    index: int
    num_shards: int
    batch_size: int
    keeps_last: bool = True
    _blocks: dict[tuple[int, int], np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    @property
    def num_samples(self) -> int:
        """Number of samples that the order is drawn from."""
        return self.order.num_samples

    @property
    def size(self) -> int:
        """Number of samples per epoch of this shard."""
        whole, ragged = divmod(self.order.size, self.batch_size)
        return whole * self._share + self.keeps_last * (ragged // self.num_shards)

    @property
    def first(self) -> int:
        """Where a part of an order begins, in samples of this shard."""
        return self.order.first // self.num_shards

    @property
    def seed(self) -> int:
        """Random seed of the order."""
        return self.order.seed

    @property
    def positions_at_once(self) -> int:
        """Number of positions whose samples are computed at a time."""
        return self.order.positions_at_once

    @property
    def _share(self) -> int:
        return self.batch_size // self.num_shards

    def positions(self, start: int, stop: int) -> np.ndarray:
        """Return where positions `start` to `stop` of this shard are in the order of all shards, an `int64` array."""
        own = np.arange(start, stop)
        batch, within = own // self._share, own % self._share
        whole, ragged = divmod(self.order.size, self.batch_size)
        share = np.where(batch < whole, self._share, ragged // self.num_shards)
        return batch * self.batch_size + self.index * share + within

    def samples(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """Return the samples at positions `start` to `stop` of an epoch of this shard, an `int64` array."""
        at_once = self.positions_at_once
        if stop - start >= at_once:
            return self.order.samples_at(epoch, self.positions(start, stop))
        parts = []
        for block in range(start // at_once, -(-stop // at_once)):
            first = block * at_once
            parts.append(self._samples_of(epoch, block)[max(start - first, 0) : stop - first])
        return parts[0] if len(parts) == 1 else np.concatenate([*parts, np.empty(0, np.int64)])

    def _samples_of(self, epoch: int, block: int) -> np.ndarray:
        blocks, key = self._blocks, (epoch, block)
        samples = blocks.get(key)
        if samples is None:
            at_once = self.positions_at_once
            positions = self.positions(block * at_once, min((block + 1) * at_once, self.size))
            samples = self.order.samples_at(epoch, positions)
            samples.flags.writeable = False  # batches share it
            for oldest in list(blocks)[: 1 - KEPT_BLOCKS]:
                blocks.pop(oldest, None)  # another thread may have removed it
            blocks[key] = samples
        return samples

    def samples_at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """Return the samples at positions of an epoch of this shard, an `int64` array."""
        start, stop = int(positions.min()), int(positions.max()) + 1
        return self.order.samples_at(epoch, self.positions(start, stop)[positions - start])

    def members(self) -> np.ndarray:
        """Return the samples of all shards in ascending order, an `int64` array: a shard has others in every epoch."""
        return self.order.members()

    def part(self, first: int, stop: int) -> "ShardOrder":
        """Return the shard of a part of the order of all shards, whose positions `first` and `stop` are."""
        return replace(self, order=self.order.part(first, stop), _blocks={})

    def reseeded(self, seed: int) -> "ShardOrder":
        """Return the shard of the order of another seed."""
        return replace(self, order=self.order.reseeded(seed), _blocks={})

    def fingerprint(self) -> dict[str, Any]:
        """Return what determines the order of all shards, as plain JSON."""
        return self.order.fingerprint()

    def chunks_due(self, epoch: int, start: int, stop: int) -> list[int]:
        """Return the chunks to read before the samples at positions `start` to `stop`."""
        return self.order.chunks_due(epoch, *self._whole_batches(start, stop))

    def chunks_coming(self, epoch: int, start: int, stop: int) -> list[int]:
        """Return the chunks to read ahead after the samples at positions `start` to `stop`."""
        return self.order.chunks_coming(epoch, *self._whole_batches(start, stop))

    def _whole_batches(self, start: int, stop: int) -> tuple[int, int]:
        """Return the positions of all shards in the batches that begin at positions `start` to `stop`."""
        first, end = -(-start // self._share), -(-stop // self._share)
        return first * self.batch_size, min(end * self.batch_size, self.order.size)

    def __reduce__(self) -> tuple[Any, ...]:
        return ShardOrder, (self.order, self.index, self.num_shards, self.batch_size, self.keeps_last)
