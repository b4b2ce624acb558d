"""1,000 processes train on 10^10 samples: what their order costs, who gets how much, and what a machine reads.

python benchmarks/simulate_ranks.py

No sample is read, and the orders are those of the package. The store has shards of 64,000 rows, which are 64 MB if a
row is 1 kB. 125 machines run 8 processes each.
"""

import argparse
import statistics
import time
import tracemalloc
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from keras_oocore.ordering.epoch_order import EpochOrder, partition
from keras_oocore.ordering.order import Order
from keras_oocore.ordering.shard_order import ShardOrder
from keras_oocore.ordering.window_order import WindowOrder
from keras_oocore.sources.base import BLOCKS_PER_BATCH

RUNS = 5


class Training(NamedTuple):
    """The sizes of a training on several machines. `batch_size` is that of all processes together."""

    num_samples: int = 10**10
    num_ranks: int = 1000
    num_nodes: int = 125
    batch_size: int = 32_000
    rows_per_shard: int = 64_000
    window_shards: int = 64

    def shuffled(self) -> EpochOrder:
        """Return the order of all processes with a shuffle of all samples."""
        return EpochOrder(self.num_samples, shuffle=True, seed=0)

    def windows(self) -> WindowOrder:
        """Return the order of all processes with a shuffle within windows of whole shards."""
        whole, ragged = divmod(self.num_samples, self.rows_per_shard)
        sizes = (self.rows_per_shard,) * whole + (ragged,) * bool(ragged)
        return WindowOrder(sizes, self.window_shards, seed=0)

    def of_rank(self, order: Order, rank: int) -> ShardOrder:
        """Return the order of one process."""
        return ShardOrder(order, rank, self.num_ranks, self.batch_size)

    def of_node(self, order: Order, node: int) -> ShardOrder:
        """Return the order of one machine. Its processes are neighbors, so their shares of a batch are one share."""
        return ShardOrder(order, node, self.num_nodes, self.batch_size)

    def orders_of_node(self, node: int) -> dict[str, Order]:
        """Return what one machine serves with each order that the package has."""
        block_size = max(1, self.batch_size // BLOCKS_PER_BATCH)
        part = partition(self.num_samples, self.batch_size // self.num_nodes, self.num_nodes)[node]
        return {
            "shuffle=True": self.of_node(self.shuffled(), node),
            'shuffle="block"': self.of_node(EpochOrder(self.num_samples, "block", 0, block_size), node),
            "windows": self.of_node(self.windows(), node),
            "shuffle=False": self.of_node(EpochOrder(self.num_samples, False, 0), node),
            "windows, own partition": self.windows().part(*part),
        }


class Reads(NamedTuple):
    """What one machine reads of a store in an epoch.

    Attributes:
        rows: Number of rows that it trains on.
        shards: Number of shards that have one of these rows.
        fetched: Number of rows in the shards that it fetches as a whole, for each size of its cache.
        ranges: Number of runs of neighboring rows in its share of a batch: the reads without a cache.
    """

    rows: int
    shards: int
    fetched: list[int]
    ranges: int


def cost(order: ShardOrder, num_steps: int) -> tuple[float, int]:
    """Return the seconds of CPU per step of one process, and the most bytes that its order has at once."""
    share = order.batch_size // order.num_shards

    def serve(epoch):
        for step in range(num_steps):
            order.samples(epoch, step * share, (step + 1) * share)

    seconds = []
    for epoch in range(RUNS):
        started = time.process_time()
        serve(epoch)
        seconds.append((time.process_time() - started) / num_steps)
    tracemalloc.start()
    serve(RUNS)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return statistics.median(seconds), peak_bytes


def balance(training: Training) -> dict[str, list[int]]:
    """Return the samples per epoch of every process: with shards of each batch, and with partitions."""
    share, order = training.batch_size // training.num_ranks, training.shuffled()
    parts = partition(training.num_samples, share, training.num_ranks)
    return {
        "shard(i, n)": [training.of_rank(order, rank).size for rank in range(training.num_ranks)],
        "partition(n)[i]": [stop - first for first, stop in parts],
    }


def reads(order: Order, share: int, rows_per_shard: int, caches: list[int]) -> Reads:
    """Follow one machine through an epoch.

    Args:
        order: What the machine serves.
        share: Number of its rows per step.
        rows_per_shard: Number of rows per shard of the store.
        caches: Sizes of caches, in shards. Each cache drops the shard that was not used for the longest time.
    """
    kept = [OrderedDict() for _ in caches]
    num_fetched, touched, ranges = [0] * len(caches), set(), 0
    for start in range(0, order.size, share):
        rows = np.sort(order.samples(0, start, min(start + share, order.size)))
        ranges += 1 + int(np.count_nonzero(np.diff(rows) > 1))
        shards = np.unique(rows // rows_per_shard).tolist()
        touched.update(shards)
        for number, (cache, size) in enumerate(zip(kept, caches)):
            for shard in shards:
                num_fetched[number] += shard not in cache
                cache[shard] = None
                cache.move_to_end(shard)
                if len(cache) > size:
                    cache.popitem(last=False)
    return Reads(order.size, len(touched), [number * rows_per_shard for number in num_fetched], ranges)


def table(title: str, *columns: str) -> Table:
    """Return an empty table, with the names of contestants on the left."""
    empty = Table(title=title)
    for column in ("", *columns):
        empty.add_column(column, justify="right" if column else "left")
    return empty


def show_costs(training: Training, num_steps: int) -> Table:
    costs = table(
        f"{training.num_samples:.0e} samples, {training.num_ranks} processes: the order of one",
        "CPU per step",
        "memory",
    )
    for name, order in (
        ("shuffle=True", training.shuffled()),
        ("windows", training.windows()),
    ):
        seconds, peak_bytes = cost(training.of_rank(order, training.num_ranks - 1), num_steps)
        costs.add_row(name, f"{seconds * 1e6:,.0f} us", f"{peak_bytes / 1e6:,.1f} MB")
    return costs


def show_balance(training: Training) -> Table:
    share = training.batch_size // training.num_ranks
    balances = table("per process and epoch, fewest and most", "batches", "samples")
    for name, samples in balance(training).items():
        fewest, most = min(samples), max(samples)
        batches = [f"{-(-number // share):,}" for number in (fewest, most)]
        balances.add_row(escape(name), " ".join(batches), f"{fewest:,} {most:,}")
    return balances


def show_reads(training: Training) -> Table:
    num_shards = -(-training.num_samples // training.rows_per_shard)
    share = training.batch_size // training.num_nodes
    caches = {f"{percent}%": num_shards * percent // 100 for percent in (1, 10)}
    node_reads = table(
        f"one of {training.num_nodes} machines and an epoch: what it reads of {num_shards:,} shards",
        "shards\ntouched",
        *(f"read / used,\ncache of {name}" for name in caches),
        "rows per\nrange read",
    )
    for name, order in training.orders_of_node(1).items():
        read = reads(order, share, training.rows_per_shard, list(caches.values()))
        node_reads.add_row(
            name,
            f"{read.shards / num_shards:.1%}",
            *(f"{fetched / read.rows:,.1f} x" for fetched in read.fetched),
            f"{read.rows / read.ranges:,.1f}",
        )
    return node_reads


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=float, default=1e10)
    parser.add_argument("--read-samples", type=float, default=1e9, help="a smaller store, to follow a whole epoch")
    parser.add_argument("--steps", type=int, default=4096, help="steps of one process that are measured")
    options = parser.parse_args()
    training = Training(int(options.samples))
    for part in (
        show_costs(training, options.steps),
        show_balance(training),
        show_reads(training._replace(num_samples=int(options.read_samples))),
    ):
        Console().print(part)


if __name__ == "__main__":
    main()
