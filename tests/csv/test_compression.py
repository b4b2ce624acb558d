"""Compressed files as temporary plain files."""

import bz2
import gzip
import os
import tempfile

import pyarrow as pa
import pytest

from keras_oocore.core.errors import DataError, DestinationError
from keras_oocore.csv import compression
from keras_oocore.csv.columns import open_columns
from keras_oocore.csv.compression import plain_file

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
