"""Compressed files as temporary plain files."""

import bz2
import gzip
import os
import shutil
import tempfile
from collections import namedtuple

import pyarrow as pa
import pytest

from keras_oocore.core.errors import DataError, DestinationError
from keras_oocore.csv import compression
from keras_oocore.csv.columns import open_columns
from keras_oocore.csv.compression import plain_file, text_bytes

TEXT = b"filename,class\n" + b"".join(b"%d.png,dog\n" % i for i in range(1000))


def by_pyarrow(codec):
    def compress(data):
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, codec) as file:
            file.write(data)
        return sink.getvalue().to_pybytes()

    return compress


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("block_bytes", [7, 2**20])
@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("t.csv.gz", gzip.compress),
        ("t.csv", lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:])),
        ("t.csv.bz2", bz2.compress),
        ("t.csv.lz4", by_pyarrow("lz4")),
        ("t.csv.zst", by_pyarrow("zstd")),
    ],
)
def test_text_is_in_a_temporary_file(write, temporary, monkeypatch, name, compress, block_bytes):
    monkeypatch.setattr(compression, "BLOCK_BYTES", block_bytes)
    with plain_file(write(compress(TEXT), name)) as plain:
        assert plain.startswith(str(temporary))
        with open(plain, "rb") as file:
            assert file.read() == TEXT
    assert os.listdir(temporary) == []


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_plain_file_is_used_itself(write, temporary, name):
    path = write(TEXT, name)
    with plain_file(path) as plain:
        assert plain == str(path)
        assert os.listdir(temporary) == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv.gz", gzip.compress(TEXT, mtime=0)[:-9], r"t\.csv\.gz: the gzip file ends too early"),
        ("t.csv.bz2", bz2.compress(TEXT)[:-9], r"Cannot read '.*t\.csv\.bz2': "),
        ("t.csv.bz2", TEXT, r"Cannot read '.*t\.csv\.bz2': "),
        ("t.csv.gz", gzip.compress(b"a,filename\n1\n", mtime=0), r"t\.csv\.gz: row 0 \(line 2\): expected 2 cells"),
        ("t.csv.gz", gzip.compress(b"", mtime=0), r"/t\.csv\.gz: the file is empty"),
    ],
)
def test_message_names_the_compressed_file(write, temporary, name, content, words):
    with pytest.raises(DataError, match=words) as caught, open_columns(write(content, name)) as table:
        table.read(["filename"])
    assert str(temporary) not in str(caught.value)
    assert os.listdir(temporary) == []


def test_missing_compressed_file(tmp_path):
    for name in ("gone.csv.gz", "gone.csv.bz2"):
        with pytest.raises(DataError, match=rf"Cannot read '.*{name}': No such file"), open_columns(tmp_path / name):
            pass


def test_full_disk(write, temporary, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("builtins.open", full)
    with (
        pytest.raises(DestinationError, match="No space left on device"),
        plain_file(write(bz2.compress(TEXT), "t.csv.bz2")),
    ):
        pass


# --- the size of the text -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [TEXT, TEXT * 900, b"", os.urandom(10_000), bytes(300_000)], ids=len)
def test_the_size_of_the_text_is_that_of_the_trailer(write, text):
    assert text_bytes(write(gzip.compress(text, 6), "t.csv.gz")) == len(text)


def test_the_size_of_several_streams_is_at_least_that_of_the_file(write):
    packed = gzip.compress(TEXT) * 9 + gzip.compress(b"")
    assert text_bytes(write(packed, "t.csv.gz")) == len(packed)


def test_the_size_of_a_damaged_file_is_not_a_reason_to_refuse_it(write):
    packed = gzip.compress(TEXT)
    assert text_bytes(write(packed[:-9], "t.csv.gz")) == 0
    assert text_bytes(write(b"x,y\n1,2\n", "t.csv")) == 0
    assert text_bytes("gone.csv.gz") == 0


def test_the_size_of_a_large_text_is_estimated_from_its_beginning(write, monkeypatch):
    text = os.urandom(10**6).hex().encode()
    monkeypatch.setattr(compression, "LARGE_BYTES", 1000)
    monkeypatch.setattr(compression, "SAMPLED_BYTES", 500_000)
    packed = gzip.compress(text, 1)[:-4] + bytes(4)  # the size modulo 4 GiB
    assert 0.7 * len(text) < text_bytes(write(packed, "t.csv.gz")) < len(text)


def test_a_disk_that_is_too_small_is_refused_before_the_text_is_written(write, temporary, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 16 * 10**6 + len(TEXT) - 1))
    path = write(gzip.compress(TEXT), "t.csv.gz")
    said = r"Not enough disk for the text of .*t\.csv\.gz: \d+\.\d kB needed"
    with pytest.raises(DestinationError, match=said), plain_file(path):
        pass
    assert os.listdir(temporary) == []
