"""What benchmarks/simulate_ranks.py shows of 10^10 samples on 1,000 processes, as promises."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


def module_of_benchmark(name):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ranks = module_of_benchmark("simulate_ranks")
LARGE = ranks.Training()
SMALL = ranks.Training(
    num_samples=60_000, num_ranks=40, num_nodes=10, batch_size=400, rows_per_shard=1000, window_shards=4
)


def test_all_processes_have_the_same_number_of_samples():
    of_shards, of_partitions = ranks.balance(LARGE).values()

    assert of_shards == of_partitions == [10_000_000] * 1000


def test_partitions_differ_by_a_batch_at_most():
    samples = ranks.balance(LARGE._replace(num_samples=10**10 + 32 * 500))["partition(n)[i]"]

    assert samples == [10_000_000] * 500 + [10_000_032] * 500


@pytest.mark.parametrize("num_samples", [10**7, 10**10])
def test_memory_of_an_order_does_not_depend_on_the_number_of_samples(num_samples):
    training = LARGE._replace(num_samples=num_samples)

    _, peak_bytes = ranks.cost(training.of_rank(training.shuffled(), 999), num_steps=300)

    assert peak_bytes < 4e6


@pytest.mark.parametrize("name", ["shuffled", "windows"])
def test_a_thousand_processes_serve_every_sample_exactly_once(name):
    training = ranks.Training(num_samples=20_000, batch_size=4000, rows_per_shard=300, window_shards=7)
    order = getattr(training, name)()

    served = [training.of_rank(order, rank).samples(3, 0, 20) for rank in range(1000)]

    assert np.sort(np.concatenate(served)).tolist() == [*range(20_000)]


@pytest.mark.parametrize("name", SMALL.orders_of_node(0))
def test_all_machines_serve_every_sample_exactly_once(name):
    orders = [SMALL.orders_of_node(node)[name] for node in range(10)]

    served = [order.samples(0, 0, order.size) for order in orders]

    assert np.sort(np.concatenate(served)).tolist() == [*range(60_000)]


@pytest.fixture(scope="module")
def reads():
    """What each of 10 machines reads of a store of 60 shards, with room for 3 and for 8 of them: order → machines."""
    of_nodes = [
        {name: ranks.reads(order, 40, 1000, [3, 8]) for name, order in SMALL.orders_of_node(node).items()}
        for node in range(10)
    ]
    return {name: [of_node[name] for of_node in of_nodes] for name in of_nodes[0]}


def test_a_machine_reads_all_shards_when_all_machines_share_an_order(reads):
    for name in ("shuffle=True", "windows", "shuffle=False"):
        assert {read.shards for read in reads[name]} == {60}
    assert all(read.fetched == [60_000, 60_000] for read in reads["shuffle=False"])


def test_a_shuffle_of_all_samples_fetches_most_shards_again_for_each_row(reads):
    for read in reads["shuffle=True"]:
        assert all(fetched > 1000 * 0.5 * read.rows for fetched in read.fetched)
        assert read.ranges > 0.95 * read.rows


def test_a_machine_fetches_a_window_once_if_its_cache_has_room_for_it(reads):
    for read in reads["windows"]:
        too_small, large_enough = read.fetched
        assert large_enough == 60_000
        assert too_small == 10 * large_enough


def test_a_machine_with_a_partition_of_windows_reads_its_own_shards_alone(reads):
    own = reads["windows, own partition"]

    assert [read.rows for read in own] == [6000] * 10
    assert all(read.fetched[1] == 1000 * read.shards for read in own)
    assert {read.shards for read in own} == {6}
