"""Rows of CSV files in a packed store: interrupted conversions, changed files, several processes, saved statistics."""

import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from keras_oocore.core import files
from keras_oocore.core.errors import DataError, DestinationError
from keras_oocore.csv.dialect import CellOptions, Dialect
from keras_oocore.store import field_files, open_writers
from keras_oocore.store.reader import PackedStore
from keras_oocore.tables import passes
from keras_oocore.tables.csv import table as csv_table
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.options import ColumnOptions
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.splits.base import Fractions, RowSubset
from keras_oocore.tables.splits.drawn import DrawnSplit
from keras_oocore.tables.statistics_cache import fit_features, load_statistics
from keras_oocore.tables.stored import convert

NUM_ROWS = 300

SCRIPT = """
    import signal, sys, time
    from pathlib import Path
    from keras_oocore.tables.csv import table as csv_table
    from keras_oocore.store import synced
    from keras_oocore.tables.features import FeatureSpec
    from keras_oocore.tables.options import ColumnOptions
    from keras_oocore.tables.rows import TableRows
    from keras_oocore.tables.stored import convert
    from keras_oocore.csv.dialect import Dialect

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in its background
    csv_table.CHUNK_BYTES, synced.SYNC_SECONDS = 100, 0.0
    table = csv_table.CSVTable(sys.argv[1], Dialect())
    options = ColumnOptions("b", categorical=["city"], missing="mean")
    rows = TableRows(table, FeatureSpec(table, options), None, 1, 2**20)
    encode, done = rows.encode_chunk, []

    def slowly(chunk):
        done.append(chunk)
        if len(done) == 12:
            print("half", flush=True)
            time.sleep(600)
        return encode(chunk)

    rows.encode_chunk = slowly
    convert(rows, Path(sys.argv[2]), False)
"""


KEPT = "statistics.json"


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Function that returns rows of `houses.csv` in small chunks, with a mean and codes."""
    monkeypatch.setattr(csv_table, "CHUNK_BYTES", 100)
    path = tmp_path / "houses.csv"
    cities = ["Rome", "Oslo", "", "Rome"]
    path.write_text("a,city,b\n" + "".join(f"{i if i % 9 else ''},{cities[i % 4]},{2 * i}\n" for i in range(NUM_ROWS)))

    def make(subset=None, missing="mean", cells=None, **of_table):
        table = CSVTable(str(path), Dialect(), cells, **of_table)
        options = ColumnOptions("b", categorical=["city"], missing=missing)
        return TableRows(table, FeatureSpec(table, options), subset, 2, 2**20)

    return make


def statistics_of(rows, directory):
    return load_statistics(rows, rows, directory)


def everything(rows):
    out = np.empty((len(rows), *rows.spec.shape), rows.spec.dtype)
    rows.read(np.arange(len(rows)), out)
    return out


def expected(rows):
    fit_features(rows, None)
    return everything(rows)


def test_stored_rows_equal_the_rows(make, tmp_path):
    stored = convert(make(), tmp_path / "store", False)
    samples = np.random.default_rng(0).permutation(NUM_ROWS)
    out = np.empty((NUM_ROWS, *stored.spec.shape), stored.spec.dtype)
    stored.read(samples, out)

    assert np.array_equal(out, expected(make())[samples])
    assert stored.name(3).endswith("houses.csv: row 3 (line 5)")
    PackedStore(tmp_path / "store").verify()
    assert np.array_equal(np.load(tmp_path / "store/x.npy", mmap_mode="r"), everything(stored))
    assert np.array_equal(everything(pickle.loads(pickle.dumps(stored))), everything(stored))


def test_complete_store_is_opened_without_reading_the_files(make, tmp_path, monkeypatch):
    rows = convert(make(), tmp_path / "store", False)
    monkeypatch.setattr(TableRows, "cells", None)
    monkeypatch.setattr(passes, "in_order", None)
    monkeypatch.setattr(csv_table, "index_records", None)  # the scan
    again = convert(make(kept_in=[tmp_path / "store"]), tmp_path / "store", False)
    assert np.array_equal(everything(again), everything(rows))
    assert again.features.vocabularies == {"city": ["Rome", "Oslo"]}
    assert again.features.means == rows.features.means


def test_complete_store_may_be_read_only(make, tmp_path):
    convert(make(), tmp_path / "store", False)
    for path in (*(tmp_path / "store").iterdir(), tmp_path / "store"):
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        assert np.array_equal(everything(convert(make(), tmp_path / "store", False)), expected(make()))
    finally:
        (tmp_path / "store").chmod(0o755)


def test_store_of_another_file_or_other_options_is_refused(make, tmp_path):
    store = tmp_path / "store"
    convert(make(), store, False)
    with pytest.raises(DataError, match=r"stores other rows: missing was 'mean', is 'nan'\. .*overwrite"):
        convert(make(missing="nan"), store, False)
    with pytest.raises(DataError, match=r"stores other rows: null_values: without .*, with '0'"):
        convert(make(cells=CellOptions(null_values=["", "0"])), store, False)
    with pytest.raises(
        DataError, match=r"the rows were all rows, are the training part of split\(validation_split=0.5, seed=0\)"
    ):
        convert(make(subset=RowSubset(DrawnSplit(Fractions(0.5, 0), 0), part=0)), store, False)
    path = tmp_path / "houses.csv"
    path.write_text(path.read_text().replace("Rome", "Bonn"))
    with pytest.raises(DataError, match=r"stores other rows: files was .*houses.csv"):
        convert(make(), store, False)
    again = convert(make(), store, True)
    assert again.features.vocabularies == {"city": ["Bonn", "Oslo"]}
    assert np.array_equal(everything(again), expected(make()))


def test_statistics_of_another_file_are_ignored(make, tmp_path):
    """A store that was started over, and interrupted before its statistics were saved."""
    store = tmp_path / "store"
    convert(make(), store, False)
    kept = (store / KEPT).read_bytes()
    path = tmp_path / "houses.csv"
    path.write_text(path.read_text().replace("Oslo", "Bonn"))
    convert(make(), store, True)
    (store / KEPT).write_bytes(kept)
    assert convert(make(), store, False).features.vocabularies == {"city": ["Rome", "Bonn"]}


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"of": {}}'])
def test_damaged_statistics_are_computed_again(make, tmp_path, damage):
    stored = convert(make(), tmp_path / "store", False)
    (tmp_path / "store" / KEPT).write_bytes(damage)
    again = convert(make(), tmp_path / "store", False)
    assert np.array_equal(everything(again), everything(stored))
    kept = json.loads((tmp_path / "store" / KEPT).read_bytes())
    assert kept["columns"]["city"]["counts"] == {"Rome": 150, "Oslo": 75}


def test_statistics_are_saved_exactly(make, tmp_path, monkeypatch):
    store = tmp_path / "store"
    found = statistics_of(make(), store)  # before the store: nothing is written
    assert not store.exists()
    convert(make(), store, False)
    monkeypatch.setattr(passes, "in_order", None)
    kept = statistics_of(make(), store)
    for name in ("a", "b", "city"):
        assert str(vars(kept[name])) == str(vars(found[name]))


def test_statistics_of_subsets_are_saved_separately(make, tmp_path):
    store = tmp_path / "store"
    training, validation = (make(subset=RowSubset(DrawnSplit(Fractions(0.25, 0), 0), part)) for part in (0, 1))
    convert(training, store, False)
    found = [load_statistics(of, training, store)["a"].count for of in (training, validation)]
    again = [load_statistics(make(subset=of.subset), training, store)["a"].count for of in (training, validation)]
    assert again == found
    names = sorted(path.name for path in store.glob("stat*"))
    assert names == ["statistics-training.json", "statistics-validation.json"]


def test_statistics_of_other_options_do_not_replace_those_of_the_store(make, tmp_path):
    store = tmp_path / "store"
    convert(make(), store, False)
    kept = (store / KEPT).read_bytes()
    statistics_of(make(missing="drop"), store)
    assert (store / KEPT).read_bytes() == kept
    path = tmp_path / "houses.csv"
    path.write_text(path.read_text().replace("Rome", "Bonn"))
    convert(make(), store, True)
    assert b"Bonn" in (store / KEPT).read_bytes()


def test_order_of_columns_is_part_of_the_fingerprint(make, tmp_path):
    convert(make(missing="nan"), tmp_path / "store", False)
    with pytest.raises(DataError, match="stores other rows: columns: the same, at other positions"):
        convert(make(missing="nan", column_names=["b", "city", "a"]), tmp_path / "store", False)


def test_unreadable_cell_stops_the_conversion(make, tmp_path):
    path = tmp_path / "houses.csv"
    path.write_text(path.read_text().replace("\n250,", "\nx,"))
    with pytest.raises(DataError, match=r"row 250 \(line 252\), column 'a' \(#0\): cannot read 'x' as float32"):
        convert(make(dtypes={"a": "float32"}, missing={"a": 0}), tmp_path / "store", False)


def run(script, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "numpy"},
    )
    assert process.stdout.readline() == "half\n", process.stderr.read()
    return process


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_second_process_reads_the_files_and_the_conversion_resumes_after_a_kill(make, tmp_path, monkeypatch):
    store = tmp_path / "store"
    process = run(SCRIPT, tmp_path / "houses.csv", store)
    with pytest.warns(UserWarning, match="is being filled") as caught:
        assert convert(make(), store, False) is None
    assert (
        str(caught[0].message)
        == f"{str(store)!r} is being filled by another process or thread. This one reads the data."
    )
    deadline = time.monotonic() + 300
    while not np.load(store / "rows.npy").any():  # until the first states are on disk
        assert time.monotonic() < deadline, "no state is written"
    process.kill()
    process.communicate(timeout=300)
    assert json.loads((store / "store.json").read_text())["state"] == "filling"
    rows, parsed = make(), []
    encode = rows.encode_chunk
    rows.encode_chunk = lambda chunk: parsed.append(chunk) or encode(chunk)
    stored = convert(rows, store, False)

    assert np.array_equal(everything(stored), expected(make()))
    assert 5 < len(parsed) < rows.table.num_chunks  # of what was there already, nothing is parsed again
    PackedStore(store).verify()


def test_conversion_resumes_after_ctrl_c(make, tmp_path):
    store = tmp_path / "store"
    process = run(SCRIPT.replace("time.sleep(600)", "time.sleep(1)"), tmp_path / "houses.csv", store)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert "KeyboardInterrupt" in errors
    assert process.returncode != 0
    states = np.load(store / "rows.npy")
    assert 0 < states.sum() < NUM_ROWS
    assert np.array_equal(everything(convert(make(), store, False)), expected(make()))


def test_full_disk_is_detected_before_the_first_byte(make, tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: type("", (), {"free": 10})())
    with pytest.raises(DestinationError, match="Not enough disk for the packed store"):
        convert(make(), tmp_path / "store", False)
    assert not (tmp_path / "store").exists()


def test_conversion_resumes_after_the_disk_was_full(make, tmp_path, monkeypatch):
    write_at, written = field_files.write_at, []

    def full(file, values, offset):
        written.append(offset)
        if len(written) > 5:
            raise DestinationError(f"Cannot write {file.name!r}: No space left on device. Free some space")
        write_at(file, values, offset)

    with monkeypatch.context() as patch:
        patch.setattr(field_files, "write_at", full)
        with pytest.raises(DestinationError, match=r"No space left on device. Free some space"):
            convert(make(), tmp_path / "store", False)
    assert np.array_equal(everything(convert(make(), tmp_path / "store", False)), expected(make()))


def test_directory_that_cannot_be_written(make, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError):
        convert(make(), tmp_path / "file" / "store", False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").touch()
    with pytest.raises(DestinationError, match=r"holds other files \(notes.txt\) and no packed store"):
        convert(make(), tmp_path / "other", False)


def test_store_is_unlocked_after_an_error(make, tmp_path):
    rows = make()
    rows.encode_chunk = lambda chunk: 1 / 0
    with pytest.raises(ZeroDivisionError):
        convert(rows, tmp_path / "store", False)
    assert open_writers.directories() == []
    assert convert(make(), tmp_path / "store", False) is not None


def test_subsets_are_stored_separately(make, tmp_path):
    whole = make()
    training, validation = whole.divide(DrawnSplit(Fractions(0.25, 0), seed=1))
    stored = [convert(rows, tmp_path / name, False) for rows, name in ((validation, "v"), (training, "t"))]
    assert [len(rows) for rows in stored] == [75, 225]
    assert sorted(value for rows in stored for value in everything(rows)[:, -1]) == list(range(0, 2 * NUM_ROWS, 2))
    assert stored[0].features is stored[1].features


def test_file_that_changes_during_the_conversion(make, tmp_path):
    path, rows, parsed = tmp_path / "houses.csv", make(missing={"a": 0}), []
    encode = rows.encode_chunk

    def change(chunk):
        parsed.append(chunk)
        if len(parsed) == 9:
            (tmp_path / "new.csv").write_text(path.read_text() + "5,Rome,6\n")
            os.replace(tmp_path / "new.csv", path)  # the file is never shorter
        return encode(chunk)

    rows.encode_chunk = change
    with pytest.raises(DataError, match=r"the file changed since its rows were counted .* Open it again"):
        convert(rows, tmp_path / "store", False)
    with pytest.raises(
        DataError, match=r"stores other rows: files was \['houses.csv, .* bytes, of .* is \['houses.csv"
    ):
        convert(make(missing={"a": 0}), tmp_path / "store", False)
    stored = convert(make(missing={"a": 0}), tmp_path / "store", True)
    assert np.array_equal(everything(stored), expected(make(missing={"a": 0})))


@pytest.mark.parametrize("has_format", [False, True])
def test_statistics_are_read_with_and_without_a_format_number(make, tmp_path, monkeypatch, has_format):
    store = tmp_path / "store"
    convert(make(), store, False)
    kept = json.loads((store / KEPT).read_bytes())
    assert kept.pop("format") == 1
    del kept["crc32"]
    (store / KEPT).write_text(json.dumps({"format": 1, **kept} if has_format else kept))
    monkeypatch.setattr(passes, "in_order", None)
    assert statistics_of(make(), store)["city"].counts == {"Rome": 150, "Oslo": 75}
