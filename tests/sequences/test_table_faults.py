"""Typed tables and streams under faults: an error that names the file, or the same bytes in the next run."""

import itertools
import os
import random
import resource
import shutil
import signal
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contracts.reading import as_bytes
from frozen_disk import killed_at, read_only_disk
from interrupts import InterruptAtLine, interrupts_in_finalizers_are_ignored
from pyarrow import feather, ipc

import keras_oocore as ko
from keras_oocore.core.errors import BusyError, DataError, DestinationError, OptionError
from keras_oocore.core.locks import write_lock

NUM_ROWS, GROUP = 2000, 100
FILES = ("parquet", "folder", "pattern", "feather", "stream file")


def numbers(num_rows=NUM_ROWS, first=0):
    rows = np.arange(first, first + num_rows)
    cities = [["Rome", "Oslo", "Köln"][row % 3] for row in rows]
    return pa.table({"x": rows * 1.5, "city": pa.array(cities, pa.string()), "y": rows * 1.0})


def write(table, path):
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=GROUP, use_dictionary=False, write_page_checksum=True)
    elif path.suffix == ".feather":
        feather.write_feather(table, path, chunksize=GROUP)
    else:
        with ipc.new_stream(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=GROUP)


def files(kind, folder, table=None):
    """Write a table, and return it as the user's `data`, and its last file."""
    table = numbers() if table is None else table
    folder = folder / "größe und é"
    names = {
        "parquet": ["a b.parquet"],
        "folder": ["year=2023/p.parquet", "year=2024/p.parquet"],
        "pattern": ["p-1.parquet", "p-2.parquet"],
        "feather": ["f.feather"],
        "stream file": ["f.arrows"],
    }[kind]
    paths = [folder / name for name in names]
    half = len(table) // len(paths)
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(table.slice(number * half, half if number + 1 < len(paths) else None), path)
    data = {"folder": folder, "pattern": str(folder / "p-*.parquet")}.get(kind, paths[0])
    return data, paths[-1]


def opened(data, **options):
    """A Sequence that keeps few rows in memory, so that each epoch reads the files."""
    options = {"features": ["x", "city"], "seed": 0, "workers": 1, "batch_size": 16, "memory_limit": "24KB", **options}
    return ko.TableSequence(data, "y", **options)


def wait_for_threads(rows):
    """Wait until the loading threads have made all batches that they make ahead."""
    loader, deadline = rows._pipeline.loader, time.monotonic() + 60
    while True:
        with loader._lock:
            if not loader._crew.busy and not loader._tasks:
                return
        assert time.monotonic() < deadline
        time.sleep(0.001)


# Files that change between epochs, or within one


def flip(path):
    """Damage the first half of a file, which neither size nor time tell."""
    status, content = os.stat(path), bytearray(path.read_bytes())
    half = len(content) // 2
    content[8:half] = bytes(byte ^ 0x55 for byte in content[8:half])
    with open(path, "r+b") as file:
        file.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def replace(path):
    write(numbers().drop(["x"]), path)


FAULTS = {
    flip: r"(row group|record batch) \d+ cannot be read",
    truncate: r"the file changed since .* \([\d,]+ bytes before, [\d,]+ now\)\. Open it again",
    replace: r"the file changed since .* Open it again",
    os.unlink: r"Cannot read .*No such file",
}


@pytest.mark.parametrize("within", [True, False], ids=["within an epoch", "between epochs"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("kind", ["folder", "feather"])
def test_a_file_that_changes_is_an_error_that_names_it(tmp_path, kind, fault, within):
    data, path = files(kind, tmp_path)
    with opened(data) as rows:
        batches = iter(rows)
        next(batches)
        if not within:
            list(batches)
        wait_for_threads(rows)  # otherwise they could read a file that is half written
        fault(path)
        with pytest.raises(DataError, match=FAULTS[fault]) as caught:
            list(itertools.chain(batches, rows))
    assert path.name in str(caught.value)


def test_a_page_whose_checksum_differs_is_an_error(tmp_path):
    path = tmp_path / "a b.parquet"
    table = pa.table({"x": np.arange(400.0), "y": np.arange(400.0)})
    options = dict(row_group_size=GROUP, use_dictionary=False, compression="none", write_page_checksum=True)
    pq.write_table(table, path, **options)
    content = path.read_bytes()
    path.write_bytes(content.replace(np.float64([333, 334]).tobytes(), np.float64([333, 335]).tobytes(), 1))
    with pytest.raises(DataError, match=r"a b.parquet: row group 3 cannot be read as Parquet: .*CRC checksum"):
        list(opened(path, features=["x"]))


@pytest.mark.parametrize("kind", FILES)
def test_no_rows_and_one_row(tmp_path, kind):
    with pytest.raises(DataError, match="There are no rows in '"):
        opened(files(kind, tmp_path, numbers(0))[0])
    rows = opened(files(kind, tmp_path / "one", numbers(1))[0])
    assert (rows.num_rows, rows[0][1].tolist()) == (1, [0.0])
    assert repr(rows).startswith("<TableSequence: 1 row from '")
    with pytest.raises(DataError, match=r"validation_split=0.2 of 1 row leaves none for validation"):
        rows.split(validation_split=0.2)


def test_data_in_memory_are_named_with_their_number_of_rows(tmp_path):
    one = {"x": [1.0], "y": [2.0]}
    assert repr(ko.TableSequence(one, "y")).startswith("<TableSequence: 1 row from the dictionary of 1 row\n")
    assert "from the stream of 1 row\n" in repr(ko.TableSequence(pa.table(one).to_reader(), "y", cache=tmp_path / "c"))
    with pytest.raises(DataError, match=r"There are no rows in the dictionary of 0 rows\."):
        ko.TableSequence({"x": [], "y": []}, "y")


# Streams and caches


def stream(first=0):
    return numbers(first=first).to_reader(max_chunksize=300)


@pytest.fixture
def expected(tmp_path):
    """The batches of an epoch, from a cache."""
    with opened(stream(), cache=tmp_path / "reference") as rows:
        return as_bytes(rows)


@pytest.mark.parametrize("limit", [0, 10, 5000, 20_000])
@pytest.mark.parametrize("kind", ["parquet", "stream"])
def test_a_full_disk_is_an_error_and_the_next_run_fills_the_cache(tmp_path, expected, kind, limit):
    data = files("parquet", tmp_path)[0]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(DestinationError, match=r"Cannot write '.*File too large"):
            list(opened(stream() if kind == "stream" else data, cache=tmp_path / "cache"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    with opened(stream() if kind == "stream" else data, cache=tmp_path / "cache") as rows:
        assert as_bytes(rows) == expected


def test_a_read_only_disk_is_an_error_unless_the_cache_is_filled(tmp_path, expected, monkeypatch):
    with read_only_disk(monkeypatch):
        with pytest.raises(DestinationError, match="Read-only file system"):
            opened(stream(), cache=tmp_path / "new")
        with opened(stream(), cache=tmp_path / "reference") as rows:
            assert as_bytes(rows) == expected


@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.soak)])
def test_a_kill_at_any_step_leaves_a_cache_that_the_next_run_fills(tmp_path, expected, monkeypatch, stride):
    """Also for other rows, unless all rows of the first stream were stored."""
    step, came = random.randrange(stride), True
    while came:
        for first in (0, 7):
            cache = tmp_path / f"cache {step} {first}"
            with killed_at(step, monkeypatch) as steps, opened(stream(), cache=cache) as rows:
                list(rows)
            came = len(steps) == step
            is_stored = (cache / "stream" / "rows.json").exists()
            if first and is_stored:
                with pytest.raises(DataError, match="other rows than the one that"):
                    opened(stream(first), cache=cache)
            elif first:
                with opened(stream(first), cache=cache) as rows:
                    assert min(y.min() for _, y in rows) == first
            else:
                with opened(stream(), cache=cache) as rows:
                    assert as_bytes(rows) == expected
            shutil.rmtree(cache)
        step += stride
    assert step > 5


def test_ctrl_c_while_a_stream_is_opened_and_stored(tmp_path, expected):
    line, came = 1, True
    with interrupts_in_finalizers_are_ignored():
        while came:
            cache = tmp_path / f"cache {line}"
            with InterruptAtLine(line) as interrupt, opened(stream(), cache=cache) as rows:
                rows[0]
            came, line = interrupt.came, int(line * 1.9) + 1
            with opened(stream(), cache=cache) as rows:
                assert as_bytes(rows) == expected
    assert line > 1000


def test_a_cache_that_another_process_fills_is_busy(tmp_path):
    with write_lock(tmp_path / "cache" / "stream"), pytest.raises(BusyError, match="stream"):
        opened(stream(), cache=tmp_path / "cache")


def test_a_cache_that_is_deleted_is_an_error_that_says_so(tmp_path):
    with opened(stream(), cache=tmp_path / "cache") as rows:
        shutil.rmtree(tmp_path / "cache")
        with pytest.raises(DataError, match=r"Cannot read '.*rows.arrow': No such file"):
            list(rows)


def test_a_column_without_numbers_is_that_of_the_stream(tmp_path):
    nothing = numbers(3).set_column(0, "x", pa.nulls(3, pa.float64())).to_reader()
    with pytest.raises(DataError, match=r"^the stream: columns have no number to compute a mean of: 'x'"):
        opened(nothing, cache=tmp_path / "cache", missing="mean")[0]


def test_names_of_a_stream_that_occur_twice_are_an_error(tmp_path):
    twice = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["x", "x"])
    with pytest.raises(OptionError, match=r"Received: a stream with 2 columns named 'x'\. Rename them"):
        opened(twice.to_reader(), cache=tmp_path / "cache")


def test_an_iterator_of_paths_is_answered_with_a_list(tmp_path):
    with pytest.raises(OptionError, match=r"If it yields paths, pass a list of them: sorted\(data\)"):
        opened(tmp_path.glob("*.parquet"))
    with pytest.raises(OptionError, match=r'Pass cache="DIR", a directory that stores the rows. Received'):
        opened(stream())


# Large groups of rows


def test_row_groups_that_would_be_decoded_again_and_again_are_warned_about(tmp_path, monkeypatch, recwarn):
    from keras_oocore.tables.parquet import layout

    monkeypatch.setattr(layout, "MOST_CELLS", 30)
    monkeypatch.setattr(layout, "FEWEST_ROWS", 2)
    data, _ = files("parquet", tmp_path, numbers(200))
    again = r"a b.parquet: row group 0 is read in 10 parts, .* up to \d+ times. Pass cache=DIR.*row_group_size=10\)"
    with pytest.warns(UserWarning, match=again):
        opened(data, memory_limit="1KB", batch_size=2)
    recwarn.clear()
    opened(data, memory_limit="1KB", batch_size=2, shuffle=False)
    opened(data, memory_limit="1MB")
    opened(data, cache=tmp_path / "cache")
    assert not [str(one.message) for one in recwarn if "is read in" in str(one.message)]


def test_compressed_record_batches_that_would_be_decoded_again_are_warned_about(tmp_path):
    table = pa.table({"x": np.zeros(2_000_000, np.int8), "y": np.zeros(2_000_000, np.int8)})
    feather.write_feather(table, tmp_path / "large.feather", chunksize=len(table), compression="zstd")
    with pytest.warns(UserWarning, match=r"large.feather: record batch 0 is read in 8 parts.*chunksize=250_000\)"):
        opened(tmp_path / "large.feather", features=["x"], memory_limit="10MB")
