"""A finished store: opened, verified, damaged, overwritten, and written by format 1."""

import contextlib
import errno
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from json_records import change_record
from packed_rows import NUM_ROWS, example_rows, finished, flip, names, python, read, write, writer_of

from keras_oocore.core import locks
from keras_oocore.core.errors import DataError, ResourceError
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sources import cache
from keras_oocore.store import format as packed_format
from keras_oocore.store import reader as packed_store
from keras_oocore.store.reader import PackedStore
from keras_oocore.store.writer import PackedStoreWriter

FIXTURE = Path(__file__).parents[1] / "fixtures" / "store_v1"


# --- written and read back --------------------------------------------------------------------------------------------


def test_numpy_opens_the_files(tmp_path):
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


def test_pickling_a_store_sends_its_directory(tmp_path):
    code = """if True:
        import pickle, sys
        import numpy as np
        store, out = pickle.load(sys.stdin.buffer), np.empty(2, "float32")
        store.read("y", np.array([3, 1]), out)
        print(out.tolist())
    """
    sent = pickle.dumps(finished(tmp_path))
    assert len(sent) < 1000
    assert (
        subprocess.run([sys.executable, "-c", code], input=sent, stdout=subprocess.PIPE, timeout=300).stdout
        == b"[3.0, 1.0]\n"
    )


# --- refused ----------------------------------------------------------------------------------------------------------


def test_no_store(tmp_path):
    with pytest.raises(DataError, match=r"is not a packed store: it has no store\.json"):
        PackedStore(tmp_path)
    with pytest.raises(DataError, match=r"yet' does not exist\."):
        PackedStore(tmp_path / "not" / "yet")


def test_a_newer_format_is_refused(tmp_path):
    finished(tmp_path)
    change_record(tmp_path / "store.json", format=2)
    for opens in (PackedStore, writer_of):
        with pytest.raises(DataError, match="pip install -U keras_oocore"):
            opens(tmp_path)


# --- damaged ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x", "y"])
def test_verify_finds_a_flipped_bit(tmp_path, monkeypatch, name):
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


def test_verify_counts_many_damaged_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_oocore.store.format.BLOCK_BYTES", 6)
    store = finished(tmp_path)
    for row in range(8):
        flip(tmp_path / "x.npy", (row - NUM_ROWS) * 6)
    with pytest.raises(DataError, match=r"rows 0 to 0 of x\.npy, .*rows 4 to 4 of x\.npy and 3 more\. Pass overwrite"):
        store.verify()


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        (
            errno.EIO,
            DataError,
            "Cannot read the packed store '.*': .* Its files may be intact: check the disk",
        ),
        (errno.EMFILE, ResourceError, "Cannot read the packed store '.*': Too many open files.*ulimit -n"),
        (errno.EACCES, DataError, "Permission denied"),
    ],
)
@pytest.mark.parametrize("nth", [1, 2])  # the header is read first, then the rows
def test_verify_names_a_fault_of_the_disk(tmp_path, monkeypatch, code, error, message, nth):
    store, opened = finished(tmp_path), []

    def failing_open(path, *options):
        opened.append(path)
        if opened.count(tmp_path / "x.npy") == nth:
            raise OSError(code, os.strerror(code), os.fspath(path))
        return open(path, *options)

    monkeypatch.setattr(packed_store, "open", failing_open, raising=False)
    with pytest.raises(error, match=message):
        store.verify()


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("name", ["x.npy", "y.npy", "rows.npy"])
@pytest.mark.parametrize("damage", ["gone", "empty", "header cut", "last byte cut", "rubbish", "another array"])
def test_damaged_files(tmp_path, complete, name, damage):
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
        with writer_of(tmp_path) as writer:  # as after a kill while the files are created: no row counts
            assert writer.num_missing == NUM_ROWS
        return
    for opens in (PackedStore, writer_of) if complete else (writer_of,):
        with pytest.raises(DataError, match=rf"{name}' is .*Pass overwrite_cache=True to make it again"):
            opens(tmp_path)
    with writer_of(tmp_path, overwrite=True) as writer:
        assert writer.num_missing == NUM_ROWS


@pytest.mark.parametrize("state", [0, 2, 3, 255])
def test_a_changed_state_is_found_on_opening(tmp_path, state):
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
    assert read(PackedStore(tmp_path), "y", [3]).tolist() == [3]  # reading requires no checksums


def test_a_damaged_record_is_replaced_with_overwrite(tmp_path):
    finished(tmp_path)
    (tmp_path / "store.json").write_text("{")
    for opens in (PackedStore, writer_of):
        with pytest.raises(DataError, match=r"store\.json' is damaged"):
            opens(tmp_path)
    with writer_of(tmp_path, overwrite=True) as writer:
        write(writer, range(NUM_ROWS))
        writer.finish().verify()


# --- overwritten ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps files that are open")
def test_an_open_reader_keeps_its_rows_while_they_are_overwritten(tmp_path):
    old = finished(tmp_path)
    new = {name: values + 100 for name, values in example_rows().items()}
    with writer_of(tmp_path, fingerprint={"size": "other"}, overwrite=True) as writer:
        np.testing.assert_array_equal(read(old, "x", [5, 1]), example_rows()["x"][[5, 1]])
        write(writer, range(NUM_ROWS), new)
        np.testing.assert_array_equal(read(old, "x", [5, 1]), example_rows()["x"][[5, 1]])
        writer.finish()
    np.testing.assert_array_equal(read(old, "x", [5, 1]), example_rows()["x"][[5, 1]])
    np.testing.assert_array_equal(read(PackedStore(tmp_path), "x", [5, 1]), new["x"][[5, 1]])


def test_overwritten_while_it_is_opened(tmp_path, monkeypatch):
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
def test_overwritten_between_opening_two_files(tmp_path, monkeypatch, moment):
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
        np.testing.assert_array_equal(read(store, "x", [5, 1]), example_rows()["x"][[5, 1]])
    overwriting[0].close()


def test_verify_uses_the_stored_block_size(tmp_path, monkeypatch):
    monkeypatch.setattr(packed_format, "BLOCK_BYTES", 64)
    finished(tmp_path)
    monkeypatch.undo()
    store = PackedStore(tmp_path)

    assert len(np.load(tmp_path / "checksums.npy")) > 1
    store.verify()


# --- format 1 ---------------------------------------------------------------------------------------------------------


def make_fixture(directory):
    """Write the content of `tests/fixtures/store_v1`: run `python tests/store/test_reader.py`."""
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


def test_format_1_is_read():
    store = PackedStore(FIXTURE)
    store.verify()
    assert store.states.tolist() == [1, 1, 2, 1, 1]
    assert store.unreadable == {2: "cannot identify image file"}
    assert read(store, "x", [4, 0])[:, 1, 1].tolist() == [[89, 90, 91], [9, 10, 11]]
    assert read(store, "y", range(5)).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_format_1_is_opened_as_a_sequence():
    from keras_oocore.sequences import open_packed

    sequence = open_packed(FIXTURE, batch_size=5, shuffle=False, on_error="skip")
    x, y = sequence[0]
    assert x[:, 0, 0, 0].tolist() == [0, 20, 60, 80]
    assert y.tolist() == [0, 0, 1, 1]
    assert sequence.class_names == ["cat", "dog"]
    assert sequence.bad_samples == [("dog/1.png", "cannot identify image file")]
    sequence.verify()


def test_format_1_is_written(tmp_path):
    make_fixture(tmp_path)
    assert names(tmp_path) == names(FIXTURE)
    for path in tmp_path.glob("*.json"):
        kept, made_now = (json.loads((folder / path.name).read_text()) for folder in (FIXTURE, tmp_path))
        assert kept == {key: made_now[key] for key in kept}  # later versions added the checksums of the text and header
    for path in tmp_path.glob("*.npy"):
        kept, made_now = np.load(FIXTURE / path.name), np.load(path)
        assert kept.dtype == made_now.dtype
        np.testing.assert_array_equal(kept, made_now)


def test_the_fixture_has_no_paths_of_a_machine():
    assert b'directory_absolute": null' in (FIXTURE / "manifest.json").read_bytes()
    assert not [path for path in FIXTURE.iterdir() if b"/home" in path.read_bytes() or b"/work" in path.read_bytes()]


if __name__ == "__main__":
    shutil.rmtree(FIXTURE, ignore_errors=True)
    make_fixture(FIXTURE)
