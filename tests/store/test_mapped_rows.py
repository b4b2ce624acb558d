"""Copied rows are the same as those of fancy indexing, from memory and from disk."""

import gc
import os
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from keras_oocore.core.errors import DataError
from keras_oocore.store import mapped_rows
from keras_oocore.store.mapped_rows import MappedRows

has_advice = pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="needs posix_fadvise")


def mapped(path, array):
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def rows_of(array, numbers, copier=None):
    """Copy rows into a buffer that contains other values."""
    numbers = np.asarray(numbers, np.int64)
    out = np.ones((len(numbers), *array.shape[1:]), array.dtype)
    (copier or MappedRows(array)).copy(numbers, out)
    return out


@pytest.fixture
def advice(monkeypatch):
    """`(offset, number of bytes)` of each piece of a file that the system was asked for."""
    asked = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _file, offset, size, _advice: asked.append((offset, size)))
    return asked


@pytest.mark.parametrize("row_bytes", [1, 4095, 12288])
@pytest.mark.parametrize("kind", ["memmap", "array", "fortran", "strided"])
def test_rows_are_those_of_fancy_indexing(tmp_path, row_bytes, kind):
    array = expected = np.random.default_rng(0).integers(0, 256, (4, row_bytes), dtype=np.uint8)
    if kind == "memmap":
        array = mapped(tmp_path / "x.npy", array)
    elif kind == "fortran":
        array = np.asfortranarray(array)
    elif kind == "strided":
        array = np.repeat(array, 2, axis=0)[::2]
    for numbers in ([0, 1, 2, 3], [3, 0, 2], [2, 2, 2, 0, 2], [1], []):
        np.testing.assert_array_equal(rows_of(array, numbers), expected[np.asarray(numbers, int)])


@given(st.data())
def test_any_rows_of_any_array(data):
    array = data.draw(
        npst.arrays(
            data.draw(st.sampled_from([np.uint8, np.float32, np.int64, ">i2", "U5", bool])),
            npst.array_shapes(min_dims=1, max_dims=4, max_side=5),
        )
    )
    numbers = data.draw(st.lists(st.integers(0, len(array) - 1), max_size=12))
    np.testing.assert_array_equal(rows_of(array, numbers), array[np.array(numbers, np.int64)])


def test_an_array_in_fortran_order_on_disk(tmp_path, advice):
    array = mapped(tmp_path / "x.npy", np.asfortranarray(np.arange(12_000).reshape(4, 3000)))
    assert not array.flags.c_contiguous
    copier = MappedRows(array)
    for _ in range(2):
        np.testing.assert_array_equal(rows_of(array, [3, 1], copier), array[[3, 1]])
    assert advice == []  # a row is not stored in one piece


@has_advice
@pytest.mark.parametrize("row_bytes", [16, 12288])
def test_rows_from_disk_are_requested_first(tmp_path, advice, monkeypatch, row_bytes):
    array = mapped(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (6, row_bytes), dtype=np.uint8))
    copier = MappedRows(array)
    monkeypatch.setattr(mapped_rows, "WARM_SECONDS_PER_ROW", -1e9)  # every copy counts as slow
    rows_of(array, [1], copier)
    assert advice == []
    np.testing.assert_array_equal(rows_of(array, [5, 0, 3, 3], copier), array[[5, 0, 3, 3]])
    assert advice == [(array.offset + number * row_bytes, row_bytes) for number in (5, 0, 3, 3)]


@has_advice
def test_rows_are_requested_after_a_slow_copy_and_not_after_a_fast_one(tmp_path, advice, monkeypatch):
    array = mapped(tmp_path / "x.npy", np.arange(6).reshape(3, 2))
    copier, clock, copy_seconds = MappedRows(array), [0.0], [1.0]

    def tick():
        clock[0] += copy_seconds[0]
        return clock[0]

    monkeypatch.setattr(mapped_rows.time, "perf_counter", tick)
    rows_of(array, [0], copier)
    assert advice == []
    copy_seconds[0] = 0.0
    rows_of(array, [1, 2], copier)
    assert len(advice) == 2
    rows_of(array, [1, 2], copier)
    assert len(advice) == 2


def test_rows_in_memory_are_never_requested(advice, monkeypatch):
    monkeypatch.setattr(mapped_rows, "WARM_BYTES_PER_SECOND", float("inf"))
    monkeypatch.setattr(mapped_rows, "WARM_SECONDS_PER_ROW", -1.0)  # every copy counts as slow
    copier = MappedRows(np.arange(6).reshape(3, 2))
    for _ in range(2):
        assert rows_of(copier.array, [2, 1], copier).tolist() == [[4, 5], [2, 3]]
    assert advice == []


def test_a_system_without_posix_fadvise(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    monkeypatch.setattr(mapped_rows, "WARM_SECONDS_PER_ROW", -1e9)  # every copy counts as slow
    array = mapped(tmp_path / "x.npy", np.arange(6).reshape(3, 2))
    copier = MappedRows(array)
    for _ in range(2):
        assert rows_of(array, [2, 1], copier).tolist() == [[4, 5], [2, 3]]


def test_rows_of_a_removed_file(tmp_path):
    array = mapped(tmp_path / "x.npy", np.arange(6).reshape(3, 2))
    (tmp_path / "x.npy").unlink()
    copier = MappedRows(array)
    for _ in range(2):
        assert rows_of(array, [2, 1], copier).tolist() == [[4, 5], [2, 3]]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files in /proc")
def test_no_file_stays_open(tmp_path):
    array = mapped(tmp_path / "x.npy", np.arange(6).reshape(3, 2))
    gc.collect()
    before = os.listdir("/proc/self/fd")
    for _ in range(20):
        MappedRows(array)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_map_without_a_file_name_and_a_part_of_a_map(tmp_path, advice, monkeypatch):
    with tempfile.TemporaryFile() as file:
        nameless = np.memmap(file, np.uint8, "w+", shape=(6, 5000))
        nameless[:] = np.arange(6)[:, None]
        out = np.empty((2, 5000), np.uint8)
        MappedRows(nameless).copy(np.array([4, 1]), out)
        assert out[:, 0].tolist() == [4, 1]
    np.save(tmp_path / "x.npy", np.arange(6)[:, None] * np.ones(5000))
    part = MappedRows(np.load(tmp_path / "x.npy", mmap_mode="r")[2:])
    monkeypatch.setattr(mapped_rows, "WARM_SECONDS_PER_ROW", -1e9)  # every copy counts as slow
    out = np.empty((2, 5000))
    for _ in range(2):
        part.copy(np.array([0, 3]), out)
    assert out[:, 0].tolist() == [2, 5]
    assert advice == []  # the position of a part in its file is not known


@has_advice
def test_a_file_that_was_truncated_is_an_error_and_does_not_end_the_process(tmp_path):
    array = mapped(tmp_path / "x.npy", np.arange(12_000).reshape(4, 3000))
    copier = MappedRows(array)
    os.truncate(tmp_path / "x.npy", 5000)
    with pytest.raises(DataError, match=r"x\.npy' was truncated while it was open\. Restore it, or make it again"):
        rows_of(array, [3, 1], copier)
