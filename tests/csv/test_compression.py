"""Compressed files as temporary plain files."""

import bz2
import gzip
import io
import lzma
import os
import re
import shutil
import tempfile
import zipfile
from collections import namedtuple

import pyarrow as pa
import pytest

from keras_oocore.core.errors import DataError, DestinationError
from keras_oocore.csv import codecs, compression
from keras_oocore.csv.codecs import GZIP, codec_of
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


def zipped(data, *names, folder="data/"):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name in (folder, "__MACOSX/._t.csv"):
            file.writestr(name, "")
        for name in names or ("data/t.csv",):
            file.writestr(name, data)
    return archive.getvalue()


COMPRESS = {  # by the names of the codecs
    "gzip": gzip.compress,
    "zip": zipped,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": by_pyarrow("zstd"),
    "lz4": by_pyarrow("lz4"),
}
every_codec = pytest.mark.parametrize("codec", COMPRESS)
STREAMS = [name for name in COMPRESS if name != "zip"]


def flipped(data, position):
    return data[:position] + bytes([data[position] ^ 255]) + data[position + 1 :]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("block_bytes", [7, 2**20])
@every_codec
def test_text_is_in_a_temporary_file_whatever_the_name(write, temporary, monkeypatch, codec, block_bytes):
    monkeypatch.setattr(codecs, "BLOCK_BYTES", block_bytes)
    path = write(COMPRESS[codec](TEXT), "t.csv")
    assert codec_of(path).name == codec
    with plain_file(path) as plain:
        assert plain.startswith(str(temporary))
        with open(plain, "rb") as file:
            assert file.read() == TEXT
    assert os.listdir(temporary) == []


@pytest.mark.parametrize("codec", STREAMS)
def test_texts_of_several_streams_are_joined(write, codec):
    compress = COMPRESS[codec]
    with (
        plain_file(write(compress(TEXT[:50]) + compress(b"") + compress(TEXT[50:]))) as plain,
        open(plain, "rb") as file,
    ):
        assert file.read() == TEXT


@pytest.mark.parametrize("codec", ["gzip", "bzip2", "xz"])
def test_zeros_after_the_end_are_ignored(write, codec):
    padded = COMPRESS[codec](TEXT) + bytes(2**17)
    with plain_file(write(padded)) as plain, open(plain, "rb") as file:
        assert file.read() == TEXT


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.bz2", "t.zip"])
def test_plain_file_is_used_itself(write, temporary, name):
    path = write(TEXT, name)
    with plain_file(path) as plain:
        assert plain == str(path)
        assert os.listdir(temporary) == []


@every_codec
@pytest.mark.parametrize("num_lost", [1, 9, 700])
def test_truncated_file_is_an_error(write, temporary, codec, num_lost):
    random = os.urandom(2000)  # which cannot be compressed
    path = write(COMPRESS[codec](random)[:-num_lost], "t.csv")
    words = "is damaged" if codec == "zip" else "ends too early"
    with pytest.raises(DataError, match=rf"t\.csv: the {codec} file {words}"), plain_file(path):
        pass
    assert os.listdir(temporary) == []


@pytest.mark.parametrize("codec", ["gzip", "zip", "bzip2", "xz"])  # the others have no checksum unless they are told so
def test_damaged_file_is_an_error(write, codec):
    data = COMPRESS[codec](os.urandom(2000))
    with (
        pytest.raises(
            DataError, match=rf"t\.csv: the {codec} file (is damaged |ends too early, )after 0 bytes of text"
        ),
        plain_file(write(flipped(data, 1000))),
    ):
        pass


@pytest.mark.parametrize("codec", STREAMS)
def test_damaged_second_stream_is_an_error(write, codec):
    packed = COMPRESS[codec](TEXT)
    for rubbish in (b"rubbish", flipped(packed, 2)):
        with pytest.raises(DataError, match=rf"the {codec} file is damaged after"), plain_file(write(packed + rubbish)):
            pass


def test_zip_archive_requires_one_file(write):
    several = write(zipped(TEXT, "data/train.csv", "test.csv"), "t.zip")
    with pytest.raises(DataError) as caught, plain_file(several):
        pass
    assert str(caught.value) == (
        f"{several}: the zip archive has 2 files: 'data/train.csv', 'test.csv'. Expected one. Unpack it, and pass its "
        "files."
    )
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    with (
        pytest.raises(DataError, match=r"the zip archive has no file\. Expected one"),
        plain_file(write(empty.getvalue())),
    ):
        pass
    locked = bytearray(zipped(TEXT))
    for magic, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        for found in re.finditer(re.escape(magic), bytes(locked)):
            locked[found.start() + offset] |= 1
    with pytest.raises(DataError, match="the zip archive is encrypted"), plain_file(write(bytes(locked))):
        pass


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv.gz", gzip.compress(b"a,filename\n1\n", mtime=0), r"t\.csv\.gz: row 0 \(line 2\): expected 2 cells"),
        ("t.csv.xz", lzma.compress(b""), r"/t\.csv\.xz: the file is empty"),
        ("t.csv.zip", zipped(b"PAR1\x15"), r"/t\.csv\.zip: the file is a Parquet file"),
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
    really_open = open

    def full(path, mode="r", *args, **options):
        if "w" in mode:
            raise OSError(28, "No space left on device")
        return really_open(path, mode, *args, **options)

    monkeypatch.setattr("builtins.open", full)
    with (
        pytest.raises(DestinationError, match="No space left on device"),
        plain_file(write(bz2.compress(TEXT), "t.csv.bz2")),
    ):
        pass


# --- the size of the text -------------------------------------------------------------------------------------------


@every_codec
@pytest.mark.parametrize("text", [TEXT, b"", os.urandom(10_000), bytes(300_000)], ids=len)
def test_the_size_of_a_small_text_is_exact(write, codec, text):
    path = write(COMPRESS[codec](text))
    assert text_bytes(path, codec_of(path)) == len(text)


@pytest.mark.parametrize("codec", ["zip", "bzip2", "xz", "zstd", "lz4"])
def test_the_size_of_a_larger_text_is_estimated_from_its_beginning(write, monkeypatch, codec):
    for name, num_bytes in (("BLOCK_BYTES", 2**14), ("READ_BYTES", 2**12)):
        monkeypatch.setattr(codecs, name, num_bytes)
    monkeypatch.setattr(compression, "SAMPLED_BYTES", 150_000)
    text = os.urandom(150_000).hex().encode()
    path = write(bz2.compress(text, 1) if codec == "bzip2" else COMPRESS[codec](text))
    assert 0.45 * len(text) < text_bytes(path, codec_of(path)) <= len(text)


@pytest.mark.parametrize(
    ("packed", "expected"),
    [
        (gzip.compress(TEXT * 900), len(TEXT * 900)),  # the size in its last four bytes
        (gzip.compress(TEXT) * 900 + gzip.compress(b""), None),  # of several streams, the compressed size
    ],
)
def test_the_size_of_a_larger_text_of_gzip_is_that_of_its_trailer(write, monkeypatch, packed, expected):
    monkeypatch.setattr(compression, "SAMPLED_BYTES", 500_000)
    assert text_bytes(write(packed), GZIP) == (expected or len(packed))


def test_the_size_of_a_damaged_file_is_not_a_reason_to_refuse_it(write):
    packed = gzip.compress(TEXT)
    assert text_bytes(write(packed[:-9]), GZIP) == 0
    assert text_bytes(write(b"x,y\n1,2\n"), GZIP) == 0
    assert text_bytes("gone.csv.gz", GZIP) == 0


def test_the_size_of_a_text_of_several_gb_is_estimated_from_its_beginning(write, monkeypatch):
    text = os.urandom(10**6).hex().encode()
    monkeypatch.setattr(compression, "LARGE_BYTES", 1000)
    monkeypatch.setattr(compression, "SAMPLED_BYTES", 500_000)
    packed = gzip.compress(text, 1)[:-4] + bytes(4)  # the size modulo 4 GiB
    assert 0.7 * len(text) < text_bytes(write(packed), GZIP) < len(text)


def test_a_disk_that_is_too_small_is_refused_before_the_text_is_written(write, temporary, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 16 * 10**6 + len(TEXT) - 1))
    path = write(gzip.compress(TEXT), "t.csv.gz")
    said = r"Not enough disk for the text of .*t\.csv\.gz: \d+\.\d kB needed"
    with pytest.raises(DestinationError, match=said), plain_file(path):
        pass
    assert os.listdir(temporary) == []
