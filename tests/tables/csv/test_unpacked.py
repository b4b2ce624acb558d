"""Compressed CSV files: unpacked once into the cache, atomically."""

import bz2
import gzip
import io
import itertools
import lzma
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections import namedtuple

import numpy as np
import pyarrow as pa
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import BusyError, DataError, DestinationError
from keras_oocore.core.locks import write_lock
from keras_oocore.tables.csv import unpacked as csv_unpacked

HEADER = b"x,city,y\n"
ROWS = [b"%d,%s,%d\n" % (i, (b"Rome", b"Oslo")[i % 2], 2 * i) for i in range(3000)]
TEXT = HEADER + b"".join(ROWS)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory of the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, text=TEXT, num_streams=1):
    cuts = np.linspace(0, len(text), num_streams + 1).astype(int).tolist()
    parts = [gzip.compress(text[start:stop]) for start, stop in itertools.pairwise(cuts)]
    with open(name, "wb") as file:
        file.write(b"".join(parts))


def opened(data="houses.csv.gz", **options):
    return ko.CSVChunkSequence(
        data, **{"target": "y", "categorical": ["city"], "cache": "cache", "shuffle": False, **options}
    )


def rows_of(sequence):
    batches = list(sequence)
    sequence.close()
    return np.concatenate([np.column_stack(batch) for batch in batches])


def error_of(function, kind=DataError):
    with pytest.raises(kind) as caught:
        function()
    return str(caught.value)


@pytest.fixture
def plain(folder):
    """The rows of the same text without compression."""
    (folder / "plain.csv").write_bytes(TEXT)
    return rows_of(opened("plain.csv", cache=None))


@pytest.mark.parametrize(("name", "num_streams"), [("houses.csv.gz", 1), ("houses.csv", 3), ("my houses é.csv.gz", 50)])
def test_rows_equal_those_of_the_plain_file(plain, name, num_streams):
    write(name, num_streams=num_streams)
    assert np.array_equal(rows_of(opened(name)), plain)
    with open(f"cache/gunzipped/0-{name.removesuffix('.gz')}", "rb") as file:
        assert file.read() == TEXT


def zipped(text):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("houses.csv", text)
    return archive.getvalue()


def zstandard(text):
    return pa.compress(text, codec="zstd", asbytes=True)


@pytest.mark.parametrize(
    ("suffix", "compress"), [("bz2", bz2.compress), ("xz", lzma.compress), ("zst", zstandard), ("zip", zipped)]
)
def test_other_formats_are_unpacked_once_too(plain, suffix, compress, monkeypatch):
    name = f"houses.csv.{suffix}"
    with open(name, "wb") as file:
        file.write(compress(TEXT))
    assert error_of(lambda: opened(name, cache=None)).endswith(' (or pass cache="DIR", where it is unpacked once)')
    assert np.array_equal(rows_of(opened(name)), plain)
    assert sorted(os.listdir("cache/gunzipped"))[1:] == ["0-houses.csv", f"0-houses.csv.{suffix}.json"]
    monkeypatch.setattr(csv_unpacked, "read_blocks", None)
    assert np.array_equal(rows_of(opened(name)), plain)


def test_workbook_and_archive_of_several_files_are_not_unpacked(folder):
    with zipfile.ZipFile("two.zip", "w") as file:
        file.writestr("a.csv", TEXT)
        file.writestr("b.csv", TEXT)
    assert error_of(lambda: opened("two.zip")).startswith("two.zip: the zip archive has 2 files: 'a.csv', 'b.csv'.")
    with zipfile.ZipFile("book.xlsx", "w") as file:
        file.writestr("[Content_Types].xml", "")
        file.writestr("xl/workbook.xml", "")
    assert error_of(lambda: opened("book.xlsx")).startswith(
        "book.xlsx: the file is an Excel workbook (.xlsx), not CSV."
    )


def test_file_is_unpacked_once(plain, monkeypatch):
    write("houses.csv.gz")
    opened().close()  # no batch is read: the store does not exist yet
    monkeypatch.setattr(gzip, "open", None)
    assert np.array_equal(rows_of(opened()), plain)
    assert np.array_equal(rows_of(opened()), plain)
    train, val = opened(cache="cache").split(0.25)
    assert (train.num_rows, val.num_rows) == (2250, 750)


def test_a_disk_that_is_too_small_is_refused_before_it_fills(folder, monkeypatch):
    write("houses.csv.gz")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 16 * 10**6 + len(TEXT) - 1))
    message = error_of(opened, DestinationError)
    assert message.startswith("Not enough disk for the text of houses.csv.gz: ")
    assert not os.path.exists("cache/gunzipped/0-houses.csv")


def test_gzip_requires_a_cache(folder):
    write("houses.csv.gz")
    assert error_of(lambda: opened(cache=None)) == (
        "houses.csv.gz: the file is compressed with gzip, not CSV. Convert it first: gunzip -k houses.csv.gz "
        '(or pass cache="DIR", where it is unpacked once)'
    )


def test_unreadable_cell_is_named_in_the_unpacked_file(folder):
    write("houses.csv.gz", TEXT + b"many,Rome,7\n")
    message = error_of(lambda: rows_of(opened(features=["x"])))
    assert message.startswith(
        f"{folder}/cache/gunzipped/0-houses.csv: row 3000 (line 3002), column 'x' (#0): cannot read 'many' as float32."
    )


@pytest.mark.parametrize(("lost", "num_streams"), [(1, 1), (4, 2), (8, 1), (9, 2), (1000, 1), (1000, 2)])
def test_truncated_file_is_refused(folder, lost, num_streams):
    write("houses.csv.gz", num_streams=num_streams)
    with open("houses.csv.gz", "r+b") as file:
        file.truncate(os.path.getsize("houses.csv.gz") - lost)
    message = error_of(opened)
    assert message.startswith("houses.csv.gz: the gzip file ends too early, after ")
    assert message.endswith(" bytes of text. Is it truncated, or is it still being written?")
    assert [name for name in os.listdir("cache/gunzipped") if not name.endswith("-lock")] == []


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:500] + bytes([data[500] ^ 255]) + data[501:], "Error -3 while decompressing data"),
        (lambda data: data[:-8] + b"1234" + data[-4:], "CRC check failed"),
        (lambda data: data + b"rubbish", "Not a gzipped file"),
        (lambda data: data[:2] + b"\x07" + data[3:], "Unknown compression method"),
    ],
)
def test_damaged_file_is_refused(folder, damage, reason):
    write("houses.csv.gz")
    with open("houses.csv.gz", "rb") as file:
        data = file.read()
    with open("houses.csv.gz", "wb") as file:
        file.write(damage(data))
    message = error_of(opened)
    assert message.startswith("houses.csv.gz: the gzip file is damaged after ")
    assert reason in message


def test_zeros_after_the_end_are_ignored(plain):
    write("houses.csv.gz")
    with open("houses.csv.gz", "ab") as file:
        file.write(bytes(512))
    assert np.array_equal(rows_of(opened()), plain)


@pytest.mark.parametrize("text", [b"", b"\xef\xbb\xbf"])
def test_empty_text(folder, text):
    write("houses.csv.gz", text)
    assert error_of(opened) == f"{folder}/cache/gunzipped/0-houses.csv: the file is empty. Expected a header."


def test_files_of_the_same_name(plain):
    for i, folder in enumerate(("a", "b", "c")):
        os.mkdir(folder)
        write(f"{folder}/houses.csv.gz", HEADER + b"".join(ROWS[1000 * i : 1000 * (i + 1)]))
    rows = opened("*/houses.csv.gz")
    assert np.array_equal(rows_of(rows), plain)
    assert "from 'a/houses.csv.gz', 'b/houses.csv.gz', 'c/houses.csv.gz'\n" in repr(rows)


def test_changed_file_is_unpacked_again(plain):
    write("houses.csv.gz")
    rows_of(opened())
    write("houses.csv.gz", TEXT.replace(b"Rome", b"Oslo"))
    os.utime("houses.csv.gz", ns=(1, 1))
    assert "overwrite_cache=True" in error_of(lambda: rows_of(opened()))
    assert not np.array_equal(rows_of(opened(overwrite_cache=True)), plain)


def test_removed_text_is_unpacked_again(plain):
    write("houses.csv.gz")
    rows_of(opened())
    os.unlink("cache/gunzipped/0-houses.csv")
    assert np.array_equal(rows_of(opened()), plain)


@pytest.mark.parametrize("change", [lambda path: os.truncate(path, 2000), lambda path: os.utime(path, ns=(1, 1))])
def test_changed_text_is_unpacked_again(plain, change):
    write("houses.csv.gz")
    rows_of(opened())
    change("cache/gunzipped/0-houses.csv")
    assert np.array_equal(rows_of(opened()), plain)


def test_cache_directory_with_other_files_is_refused(folder):
    write("houses.csv.gz")
    assert "holds other files (houses.csv.gz) and no packed store" in error_of(
        lambda: opened(cache="."), DestinationError
    )
    assert os.listdir() == ["houses.csv.gz"]


def test_another_process_is_unpacking(folder):
    write("houses.csv.gz")
    with write_lock("cache/gunzipped"):
        assert error_of(opened, BusyError).startswith(
            f"An earlier Sequence or call of this process is writing '{folder}/cache/gunzipped'. Wait for it to finish"
        )
    assert len(rows_of(opened())) == 3000


def test_file_that_changes_during_unpacking(folder, monkeypatch):
    def texts(path, codec):
        with open(path, "ab") as file:
            file.write(gzip.compress(b"1,Rome,2\n"))
        return [(TEXT, 1)]

    monkeypatch.setattr(csv_unpacked, "read_blocks", texts)
    write("houses.csv.gz")
    assert error_of(opened) == ("houses.csv.gz: the file changed while it was unpacked. Try again once it is complete.")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_unpacking_restarts_after_a_kill(plain):
    write("houses.csv.gz")
    script = """
import sys
from pathlib import Path
from keras_oocore.csv.codecs import GZIP
from keras_oocore.tables.csv import unpacked as csv_unpacked
read_blocks = csv_unpacked.read_blocks

def slow(path, codec):
    for text, num_read in read_blocks(path, codec):
        yield text[:1000], num_read
        print("half", flush=True)
        sys.stdin.read()

csv_unpacked.read_blocks = slow
csv_unpacked.unpacked("houses.csv.gz", GZIP, Path("cache"), 0)
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert child.stdout.readline() == b"half\n"
    assert len(os.listdir("cache/gunzipped")) == 2  # the lock, and the temporary file
    child.kill()
    child.communicate(timeout=300)
    assert np.array_equal(rows_of(opened()), plain)
    assert sorted(os.listdir("cache/gunzipped")) == [
        ".keras_oocore-lock",
        "0-houses.csv",
        "0-houses.csv.gz.json",
    ]


@pytest.mark.skipif(os.name != "posix", reason="limits on the size of files are of POSIX")
def test_full_disk_leaves_no_files(folder):
    write("houses.csv.gz")
    script = """
import resource, signal
from pathlib import Path
from keras_oocore.core.errors import DestinationError
from keras_oocore.csv.codecs import GZIP
from keras_oocore.tables.csv import unpacked as csv_unpacked
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
try:
    csv_unpacked.unpacked("houses.csv.gz", GZIP, Path("cache"), 0)
except DestinationError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)  # for `make coverage`
"""
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert child.stdout.startswith("Cannot write 'cache/gunzipped/0-houses.csv': File too large."), child.stderr
    assert [name for name in os.listdir("cache/gunzipped") if not name.endswith("-lock")] == []
