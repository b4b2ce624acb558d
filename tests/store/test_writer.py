"""Filling a store: rows in any order, invalid arguments, other rows, and unreadable rows."""

import errno
import gc
import os
import shutil
import sys
import threading
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packed_rows import (
    FIELDS,
    NUM_ROWS,
    TIMEOUT_SECONDS,
    contents,
    example_rows,
    finished,
    flip,
    read,
    write,
    writer_of,
)

from keras_oocore.core import files
from keras_oocore.core.errors import DataError, DestinationError, OutOfCoreError
from keras_oocore.store import creation, synced
from keras_oocore.store import writer as packed_writer
from keras_oocore.store.format import StoreRecord
from keras_oocore.store.reader import PackedStore
from keras_oocore.store.writer import PackedStoreWriter, shared_writer

# --- written and read back --------------------------------------------------------------------------------------------


@st.composite
def stores(draw):
    """Fields with values, and groups of rows that threads write, in two sessions."""
    num_rows = draw(st.integers(1, 20))
    arrays = {}
    for name in draw(st.lists(st.sampled_from(["x", "y", "source"]), min_size=1, max_size=3, unique=True)):
        shape = tuple(draw(st.lists(st.integers(1, 4), max_size=3)))
        dtype = np.dtype(draw(st.sampled_from(["U5", "float32", "int64", "uint8", ">i2", "bool"])))
        numbers = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 2**15, (num_rows, *shape))
        arrays[name] = numbers.astype(dtype)
    order = draw(st.permutations(range(num_rows)))
    cuts = sorted(draw(st.lists(st.integers(0, num_rows), max_size=6)))
    groups = [order[start:stop] for start, stop in zip([0, *cuts], [*cuts, num_rows])]
    split = draw(st.integers(0, len(groups)))
    return num_rows, arrays, [groups[:split], groups[split:]]


@settings(deadline=None, max_examples=60)
@given(stores(), st.data())
def test_rows_written_by_threads_in_any_order_are_read_back(tmp_path_factory, store, data):
    num_rows, arrays, sessions = store
    directory = tmp_path_factory.mktemp("store")
    fields = {name: (values.shape[1:], values.dtype) for name, values in arrays.items()}
    num_written = 0
    for groups in sessions:
        writer = writer_of(directory, fields, num_rows)
        assert writer.num_missing == num_rows - num_written
        threads = [threading.Thread(target=write, args=(writer, group, arrays)) for group in groups]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_SECONDS)
        num_written += sum(map(len, groups))
        assert writer.num_missing == num_rows - num_written
        writer.close()
    opened = writer_of(directory, fields, num_rows).finish()

    assert opened.states.tolist() == [1] * num_rows
    assert opened.fields == {name: (values.shape[1:], values.dtype) for name, values in arrays.items()}
    rows = data.draw(st.lists(st.integers(0, num_rows - 1), max_size=30))
    for name, values in arrays.items():
        np.testing.assert_array_equal(read(opened, name, rows), values[rows])
        np.testing.assert_array_equal(read(opened, name, sorted(rows)), values[sorted(rows)])
        np.testing.assert_array_equal(np.load(directory / f"{name}.npy"), values)
    opened.verify()


def test_rows_in_reverse_order(tmp_path):
    with writer_of(tmp_path) as writer:
        write(writer, [5, 6, 7, 2, 1, 0, 11, 3, 4])
        np.testing.assert_array_equal(read(writer, "x", [0, 11, 5, 5]), example_rows()["x"][[0, 11, 5, 5]])
        assert np.flatnonzero(writer.states == 0).tolist() == [8, 9, 10]


def test_arrays_that_are_not_contiguous(tmp_path):
    arrays = {"x": np.asfortranarray(example_rows()["x"]), "y": np.repeat(example_rows()["y"], 2)[::2]}
    with writer_of(tmp_path) as writer:
        writer.write(np.arange(NUM_ROWS), arrays)
        np.testing.assert_array_equal(read(writer, "x", range(NUM_ROWS)), example_rows()["x"])
        np.testing.assert_array_equal(read(writer, "y", range(NUM_ROWS)), example_rows()["y"])


def test_stored_rows_do_not_change(tmp_path):
    writer = writer_of(tmp_path)
    write(writer, [0, 1])
    writer.mark_unreadable(np.array([2]), "gone", {})
    other = {name: values + 100 for name, values in example_rows().items()}
    write(writer, [3, 1, 2, 0], other)
    writer.mark_unreadable(np.array([0, 1]), "gone too", {})
    assert writer.states[:4].tolist() == [1, 1, 2, 1]
    assert writer.unreadable == {2: "gone"}
    assert read(writer, "y", [0, 1, 3]).tolist() == [0, 1, 103]
    assert writer.num_missing == NUM_ROWS - 4


@pytest.mark.parametrize("kind", ["unreadable", "doubtful"])
def test_unreadable_and_doubtful_rows_take_linear_time(tmp_path, monkeypatch, kind):
    """What is known already is neither copied nor written again for each further row."""
    num_rows, rows, saves, entries = 400, example_rows(), [], []

    class Counted(dict):
        def __iter__(self):
            entries.append(len(self))
            return super().__iter__()

        def keys(self):
            entries.append(len(self))
            return super().keys()

    monkeypatch.setattr(StoreRecord, "save", lambda *a, save=StoreRecord.save: (saves.append(a), save(*a)))
    writer = writer_of(tmp_path, num_rows=num_rows)
    setattr(writer.record, kind, Counted())
    saves.clear()
    for row in range(num_rows):
        if kind == "unreadable":
            writer.mark_unreadable(np.array([row]), f"reason {row}", {})
        else:
            writer.write(np.array([row]), {name: part[:1] for name, part in rows.items()}, {row: f"reason {row}"})
    assert type(getattr(writer, kind)) is Counted
    assert (len(getattr(writer, kind)), saves, sum(entries)) == (num_rows, [], 0)
    writer.finish()
    assert len(saves) == 2  # at the last sync, and when it is finished
    assert sum(entries) <= 4 * num_rows
    assert getattr(PackedStore(tmp_path), kind) == {row: f"reason {row}" for row in range(num_rows)}


def test_a_relative_directory_stays_valid_in_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writer = writer_of("store")
    monkeypatch.chdir("/")
    write(writer, np.arange(NUM_ROWS))
    np.testing.assert_array_equal(read(writer.finish(), "x", [3]), example_rows()["x"][[3]])


def test_no_rows(tmp_path):
    with writer_of(tmp_path / "some") as writer:
        write(writer, [])
        writer.mark_unreadable(np.array([], int), "gone", {})
        writer.forget(np.array([], int))
        assert writer.num_missing == NUM_ROWS
    empty = finished(tmp_path / "none", num_rows=0)
    empty.verify()
    assert read(empty, "x", []).shape == (0, 2, 3)


def test_rows_larger_than_a_checksum_block(tmp_path, monkeypatch):
    fields = {"x": ((1, 2**20 + 5), "uint8")}
    arrays = {"x": np.random.default_rng(0).integers(0, 256, (3, 1, 2**20 + 5), dtype=np.uint8)}
    writer = writer_of(tmp_path, fields, 3)
    write(writer, [2, 0, 1], arrays)
    store = writer.finish()
    np.testing.assert_array_equal(read(store, "x", [1, 2]), arrays["x"][[1, 2]])
    store.verify()
    flip(tmp_path / "x.npy", -1)
    with pytest.raises(DataError, match=r"rows 2 to 2 of x\.npy"):
        store.verify()


# --- invalid arguments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"rows": ((), "uint8")}, {"a b": ((), "uint8")}, {"x": ((), object)}])
def test_invalid_fields_create_no_folder(tmp_path, fields):
    with pytest.raises(DataError):
        writer_of(tmp_path / "new", fields)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": example_rows(2)["x"]}, r"A row has the fields \['x', 'y'\]. Received: \['x'\]"),
        ({**example_rows(2), "z": example_rows(2)["y"]}, r"Received: \['x', 'y', 'z'\]"),
        ({**example_rows(2), "x": example_rows(3)["x"]}, r"'x' requires an array of shape \(2, 2, 3\) and dtype uint8"),
        ({**example_rows(2), "x": example_rows(2)["x"].reshape(2, 3, 2)}, r"Received: shape \(2, 3, 2\)"),
        ({**example_rows(2), "y": np.float64([0, 1])}, "requires .* dtype float32. Received: .* dtype float64"),
        ({**example_rows(2), "y": np.float32([[0], [1]])}, r"Received: shape \(2, 1\)"),
    ],
)
def test_invalid_arrays_change_nothing(tmp_path, arrays, said):
    with writer_of(tmp_path) as writer:
        before = contents(tmp_path)
        with pytest.raises(OutOfCoreError, match=said):
            writer.write(np.array([1, 0]), arrays)
        assert contents(tmp_path) == before
        assert writer.num_missing == NUM_ROWS


@pytest.mark.parametrize("rows", [[-1, 0], [0, NUM_ROWS], [-NUM_ROWS, 1]])
def test_rows_out_of_range_change_nothing(tmp_path, rows):
    with writer_of(tmp_path) as writer:
        before = contents(tmp_path)
        with pytest.raises(
            OutOfCoreError, match=f"The store has rows 0 to 11. Received: rows {min(rows)} to {max(rows)}"
        ):
            writer.write(np.array(rows), example_rows(2))
        assert contents(tmp_path) == before


def test_a_closed_writer_raises(tmp_path):
    writer = writer_of(tmp_path)
    write(writer, [0])
    writer.close()
    writer.close()
    assert not writer.writable
    for call in (
        lambda: write(writer, [1]),
        lambda: writer.mark_unreadable(np.array([1]), "gone", {}),
        lambda: writer.forget(np.array([1])),
        writer.finish,
    ):
        with pytest.raises(OutOfCoreError, match=r"The writer of .* is closed"):
            call()
    assert read(writer, "y", [0]).tolist() == [0]


def test_ctrl_c_in_the_constructor_leaves_no_lock_and_prints_no_error(tmp_path, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: ignored.append(repr(unraisable.exc_value)))
    monkeypatch.setattr(synced, "threading", SimpleNamespace(RLock=threading.RLock, Lock=interrupt))
    with pytest.raises(KeyboardInterrupt):
        writer_of(tmp_path)
    gc.collect()
    assert ignored == []
    monkeypatch.undo()
    writer_of(tmp_path).close()


def test_finish_requires_all_rows(tmp_path):
    with writer_of(tmp_path) as writer:
        write(writer, range(10))
        with pytest.raises(OutOfCoreError, match=r"2 rows of '.*' are missing"):
            writer.finish()
        assert writer.writable


# --- refused ----------------------------------------------------------------------------------------------------------


def test_an_unfinished_store_is_refused_by_readers_and_continued_by_writers(tmp_path):
    with writer_of(tmp_path) as writer:
        write(writer, [3])
        with pytest.raises(DataError, match=r"is unfinished. Finish it .* sequence\.pack.*cache="):
            PackedStore(tmp_path)
    with pytest.raises(DataError, match="is unfinished"):
        PackedStore(tmp_path)
    with writer_of(tmp_path) as writer:
        assert np.flatnonzero(writer.states).tolist() == [3]
        np.testing.assert_array_equal(read(writer, "x", [3]), example_rows()["x"][[3]])


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"fingerprint": {"size": [4, 3]}}, r"size was \[2, 3\], is \[4, 3\]"),
        ({"num_rows": 13}, "number of rows was 12, is 13"),
        ({"fields": {**FIELDS, "x": ((3, 2), "uint8")}}, r"shape of x was \[2, 3\], is \[3, 2\]"),
        ({"fields": {**FIELDS, "y": ((), "float64")}}, "dtype of y was 'float32', is 'float64'"),
    ],
)
def test_other_rows_are_refused(tmp_path, complete, other, said):
    if complete:
        finished(tmp_path)
    else:
        with writer_of(tmp_path) as writer:
            write(writer, [1])
    before = contents(tmp_path)
    arguments = {"directory": tmp_path, "fields": FIELDS, "num_rows": NUM_ROWS, "fingerprint": {"size": [2, 3]}}
    for opens in (PackedStoreWriter, shared_writer, PackedStore.opened_if_finished):
        with pytest.raises(DataError, match=f"stores other rows: {said}.*Pass overwrite_cache=True"):
            opens(**{**arguments, **other})
    assert contents(tmp_path) == before


def test_a_directory_with_other_files_is_refused(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"mine")
    (tmp_path / "notes.txt").write_bytes(b"mine too")
    for overwrite in (False, True):
        with pytest.raises(DestinationError, match=r"holds other files \(notes.txt, x.npy\) and no packed store"):
            writer_of(tmp_path, overwrite=overwrite)
    assert contents(tmp_path) == {"x.npy": b"mine", "notes.txt": b"mine too"}


def test_a_directory_that_is_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    for directory in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(DestinationError):
            writer_of(directory)
    assert contents(tmp_path) == {"file": b"mine"}


def test_a_disk_that_is_too_small(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 20 * 10**6))
    large = {"x": ((10**6,), "uint8")}
    with pytest.raises(
        DestinationError, match=r"packed store: 12\.0 MB needed, 20\.0 MB free .*16\.0 MB must stay free"
    ):
        writer_of(tmp_path / "new", large)
    assert not (tmp_path / "new").exists()
    writer_of(tmp_path / "new", FIELDS).close()


def test_stored_rows_require_no_further_disk_space(tmp_path, monkeypatch):
    fields, usage = {"x": ((10**6,), "uint8")}, namedtuple("usage", "total used free")
    with writer_of(tmp_path, fields) as writer:
        writer.write(np.arange(8), {"x": np.ones((8, 10**6), np.uint8)})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 21 * 10**6))  # 16 MB are kept free
    with writer_of(tmp_path, fields) as writer:
        assert writer.num_missing == 4
    with writer_of(tmp_path, fields, fingerprint={"size": "other"}, overwrite=True) as writer:
        assert writer.num_missing == 12


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_read_only_directory(tmp_path, monkeypatch, code):
    """The system's refusal is simulated, because root may write everywhere."""
    finished(tmp_path / "store")
    before = contents(tmp_path / "store")

    def refuse(*_args, **_options):
        raise OSError(code, os.strerror(code))

    really_open = open
    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(
        files,
        "open",
        lambda path, mode="r", **o: really_open(path, mode, **o) if mode == "rb" else refuse(),
        raising=False,
    )
    with pytest.raises(DestinationError, match="Choose a destination that you may write to"):
        writer_of(tmp_path / "new")
    with pytest.raises(DestinationError, match="Choose a destination that you may write to"):
        writer_of(tmp_path / "store", fingerprint={"size": "other"}, overwrite=True)
    np.testing.assert_array_equal(read(PackedStore(tmp_path / "store"), "x", [3, 2]), example_rows()["x"][[3, 2]])
    assert contents(tmp_path / "store") == before


# --- overwritten ------------------------------------------------------------------------------------------------------


def test_overwrite_with_other_fields(tmp_path):
    finished(tmp_path)
    other = {"x": ((4,), "int16"), "z": ((), "U3")}
    arrays = {"x": np.arange(20, dtype="int16").reshape(5, 4), "z": np.array(["a", "bb", "ccc", "", "é"], "U3")}
    with writer_of(tmp_path, other, 5, overwrite=True) as writer:
        assert (writer.num_missing, writer.states.tolist()) == (5, [0] * 5)
        write(writer, range(5), arrays)
        store = writer.finish()
    np.testing.assert_array_equal(read(store, "x", range(5)), arrays["x"])
    assert read(store, "z", [4, 2]).tolist() == ["é", "ccc"]
    store.verify()


def test_overwrite_removes_the_old_states_before_it_writes_the_new_record(tmp_path, monkeypatch):
    """Otherwise, a power cut could leave old rows with the record of the new ones."""
    finished(tmp_path)
    steps, really_unlink, really_save = [], Path.unlink, packed_writer.StoreRecord.save
    monkeypatch.setattr(Path, "unlink", lambda path, **o: (steps.append(path.name), really_unlink(path, **o))[1])
    monkeypatch.setattr(creation, "sync_folder", lambda _: steps.append("synced"))
    monkeypatch.setattr(packed_writer.StoreRecord, "save", lambda *a: (steps.append("saved"), really_save(*a))[1])
    writer_of(tmp_path, fingerprint={"size": "other"}, overwrite=True).close()
    assert steps.index("rows.npy") < steps.index("synced") < steps.index("saved")


# --- unreadable rows --------------------------------------------------------------------------------------------------


def test_reasons_of_unreadable_rows_are_stored(tmp_path):
    with writer_of(tmp_path) as writer:
        writer.mark_unreadable(np.array([7, 3]), "cut short: ünï", {"y": np.float32([70, 30])})
    with writer_of(tmp_path) as writer:
        assert writer.unreadable == {7: "cut short: ünï", 3: "cut short: ünï"}
        assert np.flatnonzero(writer.states == 2).tolist() == [3, 7]
        assert read(writer, "y", [3, 7]).tolist() == [30, 70]
        writer.mark_unreadable(np.array([0]), "gone", {})
        write(writer, [1, 2, 4, 5, 6, 8, 9, 10, 11])
        store = writer.finish()
    for opened in (store, PackedStore(tmp_path)):
        assert opened.unreadable == {0: "gone", 3: "cut short: ünï", 7: "cut short: ünï"}
        assert opened.states.tolist() == [2, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1]


def test_forget_reopens_a_finished_store(tmp_path):
    writer = writer_of(tmp_path)
    writer.mark_unreadable(np.array([3, 4]), "gone", {})
    write(writer, [0, 1, 2, *range(5, NUM_ROWS)])
    before = writer.finish()
    with writer_of(tmp_path) as writer:
        assert writer.num_missing == 0
        writer.forget(np.array([4]))
        assert writer.num_missing == 1
        with pytest.raises(DataError, match="is unfinished"):
            PackedStore(tmp_path)
    with writer_of(tmp_path) as writer:
        assert writer.states.tolist() == [1, 1, 1, 2, 0, 1, 1, 1, 1, 1, 1, 1]
        write(writer, [4])
        after = writer.finish()
    assert after.unreadable == {3: "gone"}
    np.testing.assert_array_equal(read(after, "x", [4, 5]), example_rows()["x"][[4, 5]])
    after.verify()
    assert before.unreadable == {3: "gone", 4: "gone"}


def test_forget_is_on_disk_at_once(tmp_path):
    writer = writer_of(tmp_path)
    writer.mark_unreadable(np.array([3]), "gone", {})
    writer.sync()
    writer.forget(np.array([3]))
    assert np.load(tmp_path / "rows.npy").tolist() == [0] * NUM_ROWS
    writer.close()
