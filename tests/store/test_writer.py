"""Rows written once in any order, read in any other: what counts, what is refused, and who may write."""

import contextlib
import errno
import gc
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_oocore.core import files, locks
from keras_oocore.core.errors import BusyError, DataError, DestinationError, OutOfCoreError
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sources import cache
from keras_oocore.store import creation
from keras_oocore.store import format as packed_format
from keras_oocore.store import reader as packed_store
from keras_oocore.store import writer as packed_writer
from keras_oocore.store.reader import PackedStore
from keras_oocore.store.writer import PackedStoreWriter, shared_writer

FIXTURE = Path(__file__).parents[1] / "fixtures" / "store_v1"
FIELDS = {"x": ((2, 3), "uint8"), "y": ((), "float32")}
NUM_ROWS = 12
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def made(num_rows=NUM_ROWS):
    """Arrays in which row i is made of i."""
    rows = np.arange(num_rows)
    return {"x": np.uint8(rows[:, None, None] + np.arange(6).reshape(2, 3)), "y": np.float32(rows)}


def writer_of(directory, fields=FIELDS, num_rows=NUM_ROWS, fingerprint=None, **options):
    return PackedStoreWriter(directory, fields, num_rows, fingerprint or {"size": [2, 3]}, **options)


def write(writer, rows, arrays=None):
    rows = np.array(rows, np.int64)
    writer.write(rows, {name: values[rows] for name, values in (arrays or made(writer.record.num_rows)).items()})


def finished(directory, **options):
    writer = writer_of(directory, **options)
    write(writer, np.arange(writer.record.num_rows))
    return writer.finish()


def read(store, name, rows):
    shape, dtype = store.record.fields[name]
    out = np.full((len(rows), *shape), 7).astype(dtype)
    store.read(name, np.array(rows, np.int64), out)
    return out


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(files.TEMPORARY_PREFIX))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def flip(path, offset):
    """Change one bit, counted from the end when negative."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def python(code, *arguments):
    """What a child process prints."""
    child = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    assert child.returncode == 0
    return child.stdout.strip()


def seen_from_elsewhere(directory):
    """Whether another process may write there."""
    code = """if True:
        import sys
        from keras_oocore.core import errors
        from keras_oocore.core import files, locks
        try:
            with locks.write_lock(sys.argv[1]):
                print("free")
        except errors.BusyError:
            print("busy")
    """
    return python(code, directory)


# --- written and read -----------------------------------------------------------------------------------------------


@st.composite
def stores(draw):
    """Fields with contents, and rows in groups to be written by threads, in sessions."""
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
def test_any_rows_by_any_threads_come_back(tmp_path_factory, store, data):
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
            thread.join()
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


def test_a_row_spread_over_several_runs_and_given_backwards(tmp_path):
    with writer_of(tmp_path) as writer:
        write(writer, [5, 6, 7, 2, 1, 0, 11, 3, 4])
        np.testing.assert_array_equal(read(writer, "x", [0, 11, 5, 5]), made()["x"][[0, 11, 5, 5]])
        assert np.flatnonzero(writer.states == 0).tolist() == [8, 9, 10]


def test_arrays_that_are_not_contiguous(tmp_path):
    arrays = {"x": np.asfortranarray(made()["x"]), "y": np.repeat(made()["y"], 2)[::2]}
    with writer_of(tmp_path) as writer:
        writer.write(np.arange(NUM_ROWS), arrays)
        np.testing.assert_array_equal(read(writer, "x", range(NUM_ROWS)), made()["x"])
        np.testing.assert_array_equal(read(writer, "y", range(NUM_ROWS)), made()["y"])


def test_rows_that_are_there_stay_as_they_are(tmp_path):
    writer = writer_of(tmp_path)
    write(writer, [0, 1])
    writer.mark_unreadable(np.array([2]), "gone", {})
    other = {name: values + 100 for name, values in made().items()}
    write(writer, [3, 1, 2, 0], other)
    writer.mark_unreadable(np.array([0, 1]), "gone too", {})
    assert writer.states[:4].tolist() == [1, 1, 2, 1]
    assert writer.unreadable == {2: "gone"}
    assert read(writer, "y", [0, 1, 3]).tolist() == [0, 1, 103]
    assert writer.num_missing == NUM_ROWS - 4


def test_no_rows_and_a_store_without_any(tmp_path):
    with writer_of(tmp_path / "some") as writer:
        write(writer, [])
        writer.mark_unreadable(np.array([], int), "gone", {})
        writer.forget(np.array([], int))
        assert writer.num_missing == NUM_ROWS
    empty = finished(tmp_path / "none", num_rows=0)
    empty.verify()
    assert read(empty, "x", []).shape == (0, 2, 3)


def test_rows_larger_than_a_block_of_checksums(tmp_path, monkeypatch):
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


def test_numpy_alone_opens_it(tmp_path):
    writer = writer_of(tmp_path)
    write(writer, range(NUM_ROWS - 1))
    writer.mark_unreadable(np.array([NUM_ROWS - 1]), "gone", {})
    writer.finish()
    code = """if True:
        import sys
        import numpy as np
        x, y, states = (np.load(f"{sys.argv[1]}/{name}.npy", mmap_mode="r") for name in ("x", "y", "rows"))
        assert "keras_oocore" not in sys.modules
        print(x.shape, x.dtype, x[:, 1, 2].tolist(), y.dtype, y.tolist(), states.dtype, states.tolist())
    """
    numbers = [*range(NUM_ROWS - 1), 0]
    last = [*range(5, NUM_ROWS + 4), 0]
    expected = f"(12, 2, 3) uint8 {last} float32 {[float(i) for i in numbers]} uint8 {[1] * 11 + [2]}"
    assert python(code, tmp_path) == expected


def test_a_store_crosses_to_another_process_by_name(tmp_path):
    code = """if True:
        import pickle, sys
        import numpy as np
        store, out = pickle.load(sys.stdin.buffer), np.empty(2, "float32")
        store.read("y", np.array([3, 1]), out)
        print(out.tolist())
    """
    sent = pickle.dumps(finished(tmp_path))
    assert len(sent) < 1000
    assert subprocess.run([sys.executable, "-c", code], input=sent, stdout=subprocess.PIPE).stdout == b"[3.0, 1.0]\n"


# --- bad arguments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"rows": ((), "uint8")}, {"a b": ((), "uint8")}, {"x": ((), object)}])
def test_fields_that_cannot_be_make_no_folder(tmp_path, fields):
    with pytest.raises(DataError):
        writer_of(tmp_path / "new", fields)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": made(2)["x"]}, r"A row has the fields \['x', 'y'\]. Received: \['x'\]"),
        ({**made(2), "z": made(2)["y"]}, r"Received: \['x', 'y', 'z'\]"),
        ({**made(2), "x": made(3)["x"]}, r"'x' requires an array of shape \(2, 2, 3\) and dtype uint8"),
        ({**made(2), "x": made(2)["x"].reshape(2, 3, 2)}, r"Received: shape \(2, 3, 2\)"),
        ({**made(2), "y": np.float64([0, 1])}, "requires .* dtype float32. Received: .* dtype float64"),
        ({**made(2), "y": np.float32([[0], [1]])}, r"Received: shape \(2, 1\)"),
    ],
)
def test_wrong_arrays_change_no_byte(tmp_path, arrays, said):
    with writer_of(tmp_path) as writer:
        before = contents(tmp_path)
        with pytest.raises(OutOfCoreError, match=said):
            writer.write(np.array([1, 0]), arrays)
        assert contents(tmp_path) == before
        assert writer.num_missing == NUM_ROWS


@pytest.mark.parametrize("rows", [[-1, 0], [0, NUM_ROWS], [-NUM_ROWS, 1]])
def test_rows_that_do_not_exist_change_no_byte(tmp_path, rows):
    with writer_of(tmp_path) as writer:
        before = contents(tmp_path)
        with pytest.raises(
            OutOfCoreError, match=f"The store has rows 0 to 11. Received: rows {min(rows)} to {max(rows)}"
        ):
            writer.write(np.array(rows), made(2))
        assert contents(tmp_path) == before


def test_a_closed_writer_says_so(tmp_path):
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


def test_a_store_with_missing_rows_is_not_finished(tmp_path):
    with writer_of(tmp_path) as writer:
        write(writer, range(10))
        with pytest.raises(OutOfCoreError, match=r"2 rows of '.*' are missing"):
            writer.finish()
        assert writer.writable


# --- refused --------------------------------------------------------------------------------------------------------


def test_where_there_is_no_store(tmp_path):
    for directory in (tmp_path, tmp_path / "not" / "yet"):
        with pytest.raises(DataError, match=r"holds no packed store: there is no store\.json"):
            PackedStore(directory)


def test_an_unfinished_store_is_refused_by_readers_and_goes_on_for_its_writer(tmp_path):
    with writer_of(tmp_path) as writer:
        write(writer, [3])
        with pytest.raises(DataError, match=r"is unfinished. Finish it .* sequence\.pack.*cache="):
            PackedStore(tmp_path)
    with pytest.raises(DataError, match="is unfinished"):
        PackedStore(tmp_path)
    with writer_of(tmp_path) as writer:
        assert np.flatnonzero(writer.states).tolist() == [3]
        np.testing.assert_array_equal(read(writer, "x", [3]), made()["x"][[3]])


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
def test_other_rows_are_refused_and_the_store_untouched(tmp_path, complete, other, said):
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


def test_a_newer_format_is_refused_by_all(tmp_path):
    finished(tmp_path)
    record = json.loads((tmp_path / "store.json").read_text())
    (tmp_path / "store.json").write_text(json.dumps({**record, "format": 2}))
    for opens in (PackedStore, writer_of):
        with pytest.raises(DataError, match="pip install -U keras_oocore"):
            opens(tmp_path)


def test_a_directory_with_other_files_is_refused_and_untouched(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"mine")
    (tmp_path / "notes.txt").write_bytes(b"mine too")
    for overwrite in (False, True):
        with pytest.raises(DestinationError, match=r"holds other files \(notes.txt, x.npy\) and no packed store"):
            writer_of(tmp_path, overwrite=overwrite)
    assert contents(tmp_path) == {"x.npy": b"mine", "notes.txt": b"mine too"}


def test_a_file_is_no_directory(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    for directory in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(DestinationError):
            writer_of(directory)
    assert contents(tmp_path) == {"file": b"mine"}


def test_too_small_a_disk_is_said_before_the_first_byte(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 20 * 10**6))
    large = {"x": ((10**6,), "uint8")}
    with pytest.raises(DestinationError, match=r"Not enough disk for the packed store: 12\.0 MB needed, 20\.0 MB free"):
        writer_of(tmp_path / "new", large)
    assert not (tmp_path / "new").exists()
    writer_of(tmp_path / "new", FIELDS).close()


def test_the_rows_that_a_disk_has_already_need_no_room(tmp_path, monkeypatch):
    fields, usage = {"x": ((10**6,), "uint8")}, namedtuple("usage", "total used free")
    with writer_of(tmp_path, fields) as writer:
        writer.write(np.arange(8), {"x": np.ones((8, 10**6), np.uint8)})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 21 * 10**6))  # 16 of them to spare
    with writer_of(tmp_path, fields) as writer:
        assert writer.num_missing == 4
    with writer_of(tmp_path, fields, fingerprint={"size": "other"}, overwrite=True) as writer:
        assert writer.num_missing == 12


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_directory_that_may_not_be_written(tmp_path, monkeypatch, code):
    """Root may write anywhere, so the system's refusal is played."""
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
    np.testing.assert_array_equal(read(PackedStore(tmp_path / "store"), "x", [3, 2]), made()["x"][[3, 2]])
    assert contents(tmp_path / "store") == before


# --- damaged --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x", "y"])
def test_one_flipped_bit_is_found_and_its_rows_named(tmp_path, monkeypatch, name):
    monkeypatch.setattr("keras_oocore.store.format.BLOCK_BYTES", 30)  # 5 rows
    store = finished(tmp_path)
    store.verify()
    row_bytes = store.record.row_bytes(name)
    for row in range(NUM_ROWS):
        flip(tmp_path / f"{name}.npy", (row - NUM_ROWS) * row_bytes)
        first = row // 5 * 5
        with pytest.raises(
            DataError, match=f"changed since it was written: rows {first} to {min(first + 4, 11)} of {name}.npy"
        ):
            PackedStore(tmp_path).verify()
        flip(tmp_path / f"{name}.npy", (row - NUM_ROWS) * row_bytes)
    store.verify()


def test_many_damaged_blocks_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_oocore.store.format.BLOCK_BYTES", 6)
    store = finished(tmp_path)
    for row in range(8):
        flip(tmp_path / "x.npy", (row - NUM_ROWS) * 6)
    with pytest.raises(DataError, match=r"rows 0 to 0 of x\.npy, .*rows 4 to 4 of x\.npy and 3 more\. Pass overwrite"):
        store.verify()


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("name", ["x.npy", "y.npy", "rows.npy"])
@pytest.mark.parametrize("damage", ["gone", "empty", "header cut", "last byte cut", "rubbish", "another array"])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path, complete, name, damage):
    writer = writer_of(tmp_path)
    write(writer, range(NUM_ROWS if complete else 5))
    writer.finish() if complete else writer.close()
    path, content = tmp_path / name, (tmp_path / name).read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "another array":
        np.save(path, np.zeros((NUM_ROWS, 2), np.int16))
    else:
        path.write_bytes(
            {"empty": b"", "header cut": content[:50], "last byte cut": content[:-1]}.get(damage, b"rub" * 99)
        )
    if name == "rows.npy" and damage == "gone" and not complete:
        with writer_of(tmp_path) as writer:  # as after a kill while it was made: no row counts
            assert writer.num_missing == NUM_ROWS
        return
    for opens in (PackedStore, writer_of) if complete else (writer_of,):
        with pytest.raises(DataError, match=rf"{name}' is .*Pass overwrite_cache=True to make it again"):
            opens(tmp_path)
    with writer_of(tmp_path, overwrite=True) as writer:
        assert writer.num_missing == NUM_ROWS


@pytest.mark.parametrize("state", [0, 2, 3, 255])
def test_a_state_that_changed_is_found_when_the_store_is_opened(tmp_path, state):
    finished(tmp_path)
    states = np.load(tmp_path / "rows.npy")
    states[4] = state
    np.save(tmp_path / "rows.npy", states)
    with pytest.raises(DataError, match=r"rows\.npy' is .*damaged"):
        PackedStore(tmp_path)


@pytest.mark.parametrize("damage", ["gone", "cut", "another array", "other sums"])
def test_damaged_checksums(tmp_path, damage):
    store, path = finished(tmp_path), tmp_path / "checksums.npy"
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "another array":
        np.save(path, np.arange(3))
    else:
        flip(path, -1)
    with pytest.raises(DataError, match="Pass overwrite_cache=True"):
        store.verify()
    assert read(PackedStore(tmp_path), "y", [3]).tolist() == [3]  # training needs none


def test_a_damaged_record_is_made_again_only_when_asked(tmp_path):
    finished(tmp_path)
    (tmp_path / "store.json").write_text("{")
    for opens in (PackedStore, writer_of):
        with pytest.raises(DataError, match=r"store\.json' is damaged"):
            opens(tmp_path)
    with writer_of(tmp_path, overwrite=True) as writer:
        write(writer, range(NUM_ROWS))
        writer.finish().verify()


# --- overwritten ----------------------------------------------------------------------------------------------------


def test_overwriting_begins_anew_with_other_fields(tmp_path):
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


def test_old_states_are_gone_from_the_disk_before_the_new_record_is_there(tmp_path, monkeypatch):
    """Else a power cut could leave old rows under the record of the new ones."""
    finished(tmp_path)
    steps, really_unlink, really_save = [], Path.unlink, packed_writer.StoreRecord.save
    monkeypatch.setattr(Path, "unlink", lambda path, **o: (steps.append(path.name), really_unlink(path, **o))[1])
    monkeypatch.setattr(creation, "sync_folder", lambda _: steps.append("synced"))
    monkeypatch.setattr(packed_writer.StoreRecord, "save", lambda *a: (steps.append("saved"), really_save(*a))[1])
    writer_of(tmp_path, fingerprint={"size": "other"}, overwrite=True).close()
    assert steps.index("rows.npy") < steps.index("synced") < steps.index("saved")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps files that are open")
def test_a_reader_keeps_the_rows_that_it_opened_while_they_are_overwritten(tmp_path):
    old = finished(tmp_path)
    new = {name: values + 100 for name, values in made().items()}
    with writer_of(tmp_path, fingerprint={"size": "other"}, overwrite=True) as writer:
        np.testing.assert_array_equal(read(old, "x", [5, 1]), made()["x"][[5, 1]])
        write(writer, range(NUM_ROWS), new)
        np.testing.assert_array_equal(read(old, "x", [5, 1]), made()["x"][[5, 1]])
        writer.finish()
    np.testing.assert_array_equal(read(old, "x", [5, 1]), made()["x"][[5, 1]])
    np.testing.assert_array_equal(read(PackedStore(tmp_path), "x", [5, 1]), new["x"][[5, 1]])


def test_a_store_overwritten_while_it_is_opened_serves_no_row_of_either(tmp_path, monkeypatch):
    finished(tmp_path)
    really_load = packed_store.StoreRecord.load

    def overwritten_meanwhile(directory):
        record = really_load(directory)
        monkeypatch.undo()
        overwriting.append(writer_of(tmp_path, overwrite=True))
        return record

    overwriting = []
    monkeypatch.setattr(packed_store.StoreRecord, "load", overwritten_meanwhile)
    with pytest.raises(DataError):
        PackedStore(tmp_path)
    overwriting[0].close()


@pytest.mark.parametrize("moment", ["load_states", "map_fields"])
def test_a_store_overwritten_between_its_files_serves_no_row_of_either(tmp_path, monkeypatch, moment):
    finished(tmp_path)
    really, overwriting = getattr(packed_store, moment), []

    def overwritten_just_after(directory, record):
        loaded = really(directory, record)
        monkeypatch.undo()
        overwriting.append(writer_of(tmp_path, overwrite=True))
        return loaded

    monkeypatch.setattr(packed_store, moment, overwritten_just_after)
    with contextlib.suppress(DataError):
        store = PackedStore(tmp_path)
        np.testing.assert_array_equal(read(store, "x", [5, 1]), made()["x"][[5, 1]])
    overwriting[0].close()


def test_blocks_of_another_size_are_verified_as_they_were_written(tmp_path, monkeypatch):
    monkeypatch.setattr(packed_format, "BLOCK_BYTES", 64)
    finished(tmp_path)
    monkeypatch.undo()
    store = PackedStore(tmp_path)

    assert len(np.load(tmp_path / "checksums.npy")) > 1
    store.verify()


# --- rows that cannot be read ---------------------------------------------------------------------------------------


def test_reasons_outlive_the_writer(tmp_path):
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


def test_forgotten_rows_reopen_a_finished_store(tmp_path):
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
    np.testing.assert_array_equal(read(after, "x", [4, 5]), made()["x"][[4, 5]])
    after.verify()
    assert before.unreadable == {3: "gone", 4: "gone"}


def test_a_row_forgotten_is_missing_on_disk_before_it_is_made_again(tmp_path):
    writer = writer_of(tmp_path)
    writer.mark_unreadable(np.array([3]), "gone", {})
    writer.sync()
    writer.forget(np.array([3]))
    assert np.load(tmp_path / "rows.npy").tolist() == [0] * NUM_ROWS
    writer.close()


# --- who may write --------------------------------------------------------------------------------------------------


def test_one_writer_in_this_process_and_in_others(tmp_path):
    with writer_of(tmp_path):
        with pytest.raises(BusyError, match="Another process is writing"):
            writer_of(tmp_path)
        with pytest.raises(BusyError):
            writer_of(tmp_path, overwrite=True)
        assert seen_from_elsewhere(tmp_path) == "busy"
    assert seen_from_elsewhere(tmp_path) == "free"


def test_a_writer_is_shared_by_those_who_want_the_same_rows(tmp_path):
    arguments = (tmp_path, FIELDS, NUM_ROWS, {"size": [2, 3]})
    writer = shared_writer(*arguments)
    assert shared_writer(*arguments) is writer
    (tmp_path / "a").mkdir()
    assert shared_writer(tmp_path / "a" / "..", *arguments[1:]) is writer
    with pytest.raises(DataError, match="stores other rows"):
        shared_writer(tmp_path, FIELDS, NUM_ROWS, {"size": [4, 3]})
    writer.close()
    again = shared_writer(*arguments)
    assert again is not writer
    anew = shared_writer(*arguments, overwrite=True)
    assert (again.writable, anew.writable) == (False, True)
    anew.close()


def test_a_writer_that_nobody_holds_lets_its_rows_count_and_another_go_on(tmp_path):
    writer = writer_of(tmp_path)
    write(writer, [4])
    del writer
    gc.collect()
    with writer_of(tmp_path) as writer:
        assert np.flatnonzero(writer.states).tolist() == [4]


def test_a_writer_that_cannot_begin_holds_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(packed_writer, "load_states", lambda *_: (_ for _ in ()).throw(DataError("damaged")))
    with pytest.raises(DataError):
        writer_of(tmp_path)
    monkeypatch.undo()
    assert seen_from_elsewhere(tmp_path) == "free"
    writer_of(tmp_path).close()


def test_what_a_kill_left_behind_is_removed_and_nothing_else(tmp_path):
    finished(tmp_path)
    for name in (".keras_oocore-0123456789abcdef", ".keras_oocore-mine", ".hidden", "filenames.npy"):
        (tmp_path / name).touch()
    writer_of(tmp_path).close()
    left = {path.name for path in tmp_path.iterdir()}
    assert ".keras_oocore-0123456789abcdef" not in left
    assert left >= {".keras_oocore-mine", ".hidden", "filenames.npy"}


@needs_fork
def test_a_forked_child_neither_writes_nor_unlocks(tmp_path):
    code = """if True:
        import os, subprocess, sys
        import numpy as np
        from keras_oocore.core.errors import BusyError, OutOfCoreError
        from keras_oocore.store.writer import PackedStoreWriter, shared_writer
        arguments = sys.argv[1], {"y": ((), "int64")}, 3, {}

        def look():
            elsewhere = "import sys; from keras_oocore.core import locks\\nwith locks.write_lock(sys.argv[1]): pass"
            return subprocess.run([sys.executable, "-c", elsewhere, sys.argv[1]], stderr=subprocess.DEVNULL).returncode

        writer = PackedStoreWriter(*arguments)
        writer.write(np.array([0, 1]), {"y": np.array([10, 11])})
        before = open(sys.argv[1] + "/rows.npy", "rb").read()
        if not os.fork():
            for call in (
                lambda: writer.write(np.array([2]), {"y": np.array([666])}),
                lambda: writer.mark_unreadable(np.array([2]), "gone", {}),
                lambda: writer.forget(np.array([0])),
                writer.finish,
            ):
                try:
                    call()
                    os._exit(1)
                except OutOfCoreError as error:
                    assert "closed" in str(error)
            try:
                shared_writer(*arguments)
                os._exit(2)
            except BusyError:
                pass
            writer.sync()
            writer.close()
            del writer
            sys.exit(3)  # what runs at exit runs in the child too
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 3
        assert open(sys.argv[1] + "/rows.npy", "rb").read() == before
        assert look() != 0, "the child let go of its parent's lock"
        writer.write(np.array([2]), {"y": np.array([12])})
        writer.finish().verify()
        assert look() == 0
        print(np.load(sys.argv[1] + "/y.npy").tolist())
    """
    assert python(code, tmp_path) == "[10, 11, 12]"


@needs_fork
def test_a_child_that_outlives_a_killed_parent_does_not_hold_its_lock(tmp_path):
    code = """if True:
        import os, sys
        from keras_oocore.store.writer import PackedStoreWriter
        writer = PackedStoreWriter(sys.argv[1], {"y": ((), "int64")}, 3, {})
        if not os.fork():
            print("forked", flush=True)
            sys.stdin.read()  # until the test ends
            os._exit(0)
        os.wait()
    """
    child = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "forked\n"
        child.kill()
        child.wait()
        assert seen_from_elsewhere(tmp_path) == "free"


@needs_fork
def test_a_fork_while_a_row_is_written_does_not_hang_the_child(tmp_path):
    writer = writer_of(tmp_path)
    with writer._changed, writer._syncing:
        pid = os.fork()
        if not pid:
            code = 1
            signal.alarm(30)  # ends a child that hangs
            try:
                writer.sync()
                writer.close()
                write(writer, [0])
            except OutOfCoreError:
                code = 0
            finally:
                os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    writer.close()


# --- a disk that fails ----------------------------------------------------------------------------------------------


def failing(*_):
    raise DestinationError("Cannot write: Input/output error.")


@pytest.mark.parametrize("step", ["sync_data", "write_at"])
def test_rows_whose_sync_failed_never_count_though_a_second_one_would_succeed(tmp_path, monkeypatch, step):
    """What a disk could not take once is lost: the system counts it as written from then on."""
    writer = writer_of(tmp_path)
    write(writer, [0])
    writer.sync()
    write(writer, range(1, NUM_ROWS))
    monkeypatch.setattr(packed_writer, step, failing)
    with pytest.raises(DestinationError):
        writer.sync()
    monkeypatch.undo()
    for call in (writer.sync, writer.finish, lambda: write(writer, [1]), writer.close):
        with pytest.raises(DestinationError):
            call()
    with pytest.raises(DataError, match="unfinished"):
        PackedStore(tmp_path)
    with writer_of(tmp_path) as writer:
        assert np.flatnonzero(writer.states).tolist() == [0]
        write(writer, range(NUM_ROWS))
        writer.finish().verify()


def test_a_sync_behind_that_failed_is_told_to_the_next_write(tmp_path, monkeypatch):
    monkeypatch.setattr(packed_writer, "SYNC_SECONDS", -1.0)  # at every write
    monkeypatch.setattr(packed_writer, "sync_data", failing)
    writer = writer_of(tmp_path)
    write(writer, [0])
    for thread in threading.enumerate():
        if thread.name == "keras_oocore-store":
            thread.join()
    with pytest.raises(DestinationError, match="Input/output error"):
        write(writer, [1])
    del writer  # a writer that cannot keep its rows goes silently
    gc.collect()
    assert seen_from_elsewhere(tmp_path) == "free"


def test_an_interrupted_sync_is_made_up_for(tmp_path, monkeypatch):
    writer = writer_of(tmp_path)
    writer.mark_unreadable(np.array([0]), "gone", {})
    write(writer, range(1, NUM_ROWS))
    monkeypatch.setattr(packed_writer, "sync_data", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        writer.sync()
    monkeypatch.undo()
    store = writer.finish()
    assert store.states.tolist() == [2] + [1] * 11
    assert store.unreadable == {0: "gone"}


def test_a_row_that_could_not_be_written_does_not_count_and_is_written_later(tmp_path, monkeypatch):
    with writer_of(tmp_path) as writer:
        monkeypatch.setattr(packed_writer, "write_at", failing)
        with pytest.raises(DestinationError):
            write(writer, [4, 5])
        assert writer.num_missing == NUM_ROWS
        monkeypatch.undo()
        write(writer, range(NUM_ROWS))
        np.testing.assert_array_equal(read(writer, "x", [4]), made()["x"][[4]])


def test_data_is_on_disk_before_reasons_and_those_before_states(tmp_path, monkeypatch):
    writer = writer_of(tmp_path)
    writer.mark_unreadable(np.array([3]), "gone", {})
    write(writer, [0])
    steps = []

    def noting(name, function):
        def noted(file, *arguments):
            steps.append((name, Path(getattr(file, "name", file)).name))
            return function(file, *arguments)

        return noted

    monkeypatch.setattr(packed_writer, "sync_data", noting("sync", packed_writer.sync_data))
    monkeypatch.setattr(packed_writer, "write_at", noting("write", packed_writer.write_at))
    really_save = packed_writer.StoreRecord.save
    monkeypatch.setattr(
        packed_writer.StoreRecord, "save", lambda *a: (steps.append(("save", "store.json")), really_save(*a))[1]
    )
    writer.sync()
    assert steps == [("sync", "x.npy"), ("sync", "y.npy"), ("save", "store.json"), ("write", "rows.npy")]
    writer.close()


# --- several threads at once ----------------------------------------------------------------------------------------


def test_two_threads_with_the_same_row_write_it_once(tmp_path, monkeypatch):
    """The second comes while the first is between its two fields: a row is never made of both."""
    writer = writer_of(tmp_path)
    other = {name: values + 100 for name, values in made().items()}
    really_write = packed_writer.write_at

    def interrupted(file, data, offset):
        really_write(file, data, offset)
        if Path(file.name).name == "x.npy" and not late:
            late.append(threading.Thread(target=write, args=(writer, [3], other)))
            late[0].start()
            late[0].join()

    late = []
    monkeypatch.setattr(packed_writer, "write_at", interrupted)
    write(writer, [3])
    assert len(late) == 1
    np.testing.assert_array_equal(read(writer, "x", [3]), made()["x"][[3]])
    assert read(writer, "y", [3]).tolist() == [3]
    writer.close()


def test_closing_and_finishing_wait_for_rows_in_the_making(tmp_path, monkeypatch):
    writer, at_it, go_on = writer_of(tmp_path), threading.Event(), threading.Event()
    write(writer, range(11))
    really_write = packed_writer.write_at

    def held(*arguments):
        if threading.current_thread() is writing:
            at_it.set()
            go_on.wait(60)
        really_write(*arguments)

    monkeypatch.setattr(packed_writer, "write_at", held)
    writing = threading.Thread(target=write, args=(writer, [11]))
    writing.start()
    assert at_it.wait(60)
    closing = threading.Thread(target=writer.close)
    closing.start()
    while writer.writable:
        pass
    with pytest.raises(OutOfCoreError, match="closed"):
        write(writer, [11])
    assert closing.is_alive()
    go_on.set()
    for thread in (writing, closing):
        thread.join()
    writer_of(tmp_path).finish().verify()


def test_two_who_finish_get_the_same_store(tmp_path):
    writer, stores = writer_of(tmp_path), []
    write(writer, range(NUM_ROWS))
    threads = [threading.Thread(target=lambda: stores.append(writer.finish())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.states.tolist() for store in stores] == [[1] * NUM_ROWS] * 4
    assert names(tmp_path) == ["checksums.npy", "rows.npy", "store.json", "x.npy", "y.npy"]


def test_nobody_closes_a_writer_that_is_finishing(tmp_path, monkeypatch):
    """Else the next writer's files could get the record of this one."""
    writer, at_it, go_on = writer_of(tmp_path), threading.Event(), threading.Event()
    write(writer, range(NUM_ROWS))
    really_save = packed_writer.save_array

    def held(*arguments):
        at_it.set()
        go_on.wait(60)
        return really_save(*arguments)

    monkeypatch.setattr(packed_writer, "save_array", held)
    finishing = threading.Thread(target=writer.finish)
    finishing.start()
    assert at_it.wait(60)
    overwriting = threading.Thread(
        target=lambda: shared_writer(tmp_path, FIELDS, NUM_ROWS, {"size": "other"}, overwrite=True).close()
    )
    overwriting.start()
    assert seen_from_elsewhere(tmp_path) == "busy"
    assert json.loads((tmp_path / "store.json").read_text())["fingerprint"] == {"size": [2, 3]}
    go_on.set()
    finishing.join()
    overwriting.join()
    record = json.loads((tmp_path / "store.json").read_text())
    assert (record["fingerprint"], record["state"]) == ({"size": "other"}, "filling")
    assert np.load(tmp_path / "rows.npy").tolist() == [0] * NUM_ROWS


# --- a store that an earlier version wrote --------------------------------------------------------------------------


def make_fixture(directory):
    """What `tests/fixtures/store_v1` holds: `python tests/test_packed_store.py` writes it."""
    rows = np.arange(5)
    x, y = np.uint8(rows[:, None, None, None] * 20 + np.arange(12).reshape(2, 2, 3)), np.float32(rows) / 4
    fields = {"x": (x.shape[1:], x.dtype), "y": ((), y.dtype)}
    writer = PackedStoreWriter(directory, fields, 5, {"image_size": [2, 2], "color_mode": "rgb"})
    writer.write(rows[[4, 0, 1, 3]], {"x": x[[4, 0, 1, 3]], "y": y[[4, 0, 1, 3]]})
    writer.mark_unreadable(rows[[2]], "cannot identify image file", {"y": y[[2]]})
    writer.finish()
    filenames = np.array(["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png", "dog/3.png"])
    manifest = Manifest(filenames, np.int32([0, 0, 1, 1, 1]), ["cat", "dog"], directory=None)
    cache.keep_manifest(manifest, Path(directory))
    (directory / locks.LOCK_NAME).unlink()


def test_the_first_format_can_be_read_for_ever():
    store = PackedStore(FIXTURE)
    store.verify()
    assert store.states.tolist() == [1, 1, 2, 1, 1]
    assert store.unreadable == {2: "cannot identify image file"}
    assert read(store, "x", [4, 0])[:, 1, 1].tolist() == [[89, 90, 91], [9, 10, 11]]
    assert read(store, "y", range(5)).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_the_first_format_is_trained_from_for_ever():
    from keras_oocore.sequences import open_packed

    sequence = open_packed(FIXTURE, batch_size=5, shuffle=False, on_error="skip")
    x, y = sequence[0]
    assert x[:, 0, 0, 0].tolist() == [0, 20, 60, 80]
    assert y.tolist() == [0, 0, 1, 1]
    assert sequence.class_names == ["cat", "dog"]
    assert sequence.bad_samples == [("dog/1.png", "cannot identify image file")]
    sequence.verify()


def test_the_format_is_still_the_first(tmp_path):
    make_fixture(tmp_path)
    assert names(tmp_path) == names(FIXTURE)
    for path in tmp_path.glob("*.json"):
        assert json.loads(path.read_text()) == json.loads((FIXTURE / path.name).read_text())
    for path in tmp_path.glob("*.npy"):
        kept, made_now = np.load(FIXTURE / path.name), np.load(path)
        assert kept.dtype == made_now.dtype
        np.testing.assert_array_equal(kept, made_now)


def test_the_fixture_knows_no_machine():
    assert b'directory_absolute": null' in (FIXTURE / "manifest.json").read_bytes()
    assert not [path for path in FIXTURE.iterdir() if b"/home" in path.read_bytes() or b"/work" in path.read_bytes()]


if __name__ == "__main__":
    shutil.rmtree(FIXTURE, ignore_errors=True)
    make_fixture(FIXTURE)
