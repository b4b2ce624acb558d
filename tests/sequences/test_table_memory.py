"""TableSequence: data in memory are not copied."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from frames import as_data

import keras_oocore as ko

NUM_ROWS, NUM_COLUMNS = 400_000, 20
POOLS = []  # which outlive all arrays in them


@pytest.fixture
def peak():
    """A function that calls another one, and returns the largest number of bytes that it has allocated at once."""

    def peak(function):
        pool, before = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
        POOLS.append(pool)
        pa.set_memory_pool(pool)
        tracemalloc.start()
        try:
            function()
            return pool.max_memory() + tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            pa.set_memory_pool(before)

    return peak


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_an_epoch_and_a_checksum_need_less_than_half_of_the_data(peak, kind, tmp_path):
    numbers = np.arange(NUM_ROWS, dtype=np.float64)
    table = pa.table({f"x{i}": numbers + i for i in range(NUM_COLUMNS)})
    data = as_data(table, kind, tmp_path)
    size_bytes = table.nbytes
    del table

    def epoch():
        rows = ko.TableSequence(data, "x0", memory_limit="8MB", batch_size=10_000, workers=1)
        assert rows.state_dict()
        assert sum(len(y) for _, y in rows) == NUM_ROWS

    assert peak(epoch) < size_bytes / 2
