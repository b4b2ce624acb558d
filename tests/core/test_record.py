"""Records: written whole, read back, and an error that names the file for everything that can be wrong with one."""

import json
import os
import pickle
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.core.errors import DataError, DestinationError
from keras_oocore.core.record import (
    DamagedRecordError,
    MissingRecordError,
    NewerRecordError,
    RecordError,
    RecordFormat,
)

PLAIN = RecordFormat(version=1, remedy="Remove it.")
CHECKED = RecordFormat(version=1, remedy="Remove it.", checksum=True)
VALUES = {"num_rows": 3, "names": ["größe", None], "fields": {"x": {"shape": [2, 3]}}}


def parse_num_rows(saved):
    return int(saved["num_rows"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "record.json"


# --- written and read -----------------------------------------------------------------------------------------------


@given(
    values=st.dictionaries(
        st.text().filter(lambda name: name != "format"),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.floats(allow_nan=False)),
    ),
    indent=st.none() | st.just(1),
    checksum=st.booleans(),
)
def test_values_are_read_back(tmp_path_factory, values, indent, checksum):
    path = tmp_path_factory.getbasetemp() / "record.json"
    record_format = RecordFormat(version=1, remedy="Remove it.", indent=indent, checksum=checksum)
    record_format.write(path, values)
    assert record_format.read(path, dict) == {"format": 1, **values}
    assert json.loads(path.read_bytes()).items() >= values.items()  # any program can read it


def test_bytes_are_those_of_earlier_versions(path):
    PLAIN.write(path, {"a": 1})
    assert path.read_bytes() == b'{"format": 1, "a": 1}'
    RecordFormat(1, "Remove it.", indent=1).write(path, {"a": 1})
    assert path.read_bytes() == b'{\n "format": 1,\n "a": 1\n}'
    CHECKED.write(path, {"a": 1})
    assert path.read_bytes() == b'{"format": 1, "a": 1, "crc32": %d}' % zlib.crc32(b'{"format": 1, "a": 1}')


def test_an_exception_leaves_the_old_record(path):
    PLAIN.write(path, {"a": 1})
    with pytest.raises(TypeError):
        PLAIN.write(path, {"a": object()})
    assert PLAIN.read(path, dict) == {"format": 1, "a": 1}
    assert os.listdir(path.parent) == ["record.json"]


def test_a_record_that_cannot_be_written(path):
    path.mkdir()
    with pytest.raises(DestinationError, match=r"Cannot write '.*record\.json'"):
        PLAIN.write(path, VALUES)


def test_earlier_formats_are_read(path):
    path.write_text('{"format": 1, "num_rows": 3}')
    assert RecordFormat(version=2, remedy="").read(path, lambda saved: saved["format"]) == 1


def test_a_record_without_a_format_number_is_format_1_if_allowed(path):
    path.write_text('{"num_rows": 3}')
    assert RecordFormat(version=1, remedy="", unversioned=True).read(path, parse_num_rows) == 3
    with pytest.raises(DamagedRecordError, match="'format' is missing"):
        PLAIN.read(path, parse_num_rows)


# --- errors ---------------------------------------------------------------------------------------------------------


def test_a_missing_file(path):
    with pytest.raises(MissingRecordError, match=r"Cannot read '.*record\.json': No such file") as caught:
        PLAIN.read(path, dict)
    assert caught.value.reason == "No such file or directory"
    path.touch()
    with pytest.raises(MissingRecordError):
        PLAIN.read(path / "record.json", dict)


@pytest.mark.skipif(sys.platform == "win32", reason="opening a folder is refused in other words")
def test_a_file_that_cannot_be_read(path):
    path.mkdir()
    with pytest.raises(RecordError, match=r"Cannot read '.*record\.json': Is a directory\.") as caught:
        PLAIN.read(path, dict)
    assert type(caught.value) is RecordError


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"format": 1}',
        b'{"format": 0, "num_rows": 3}',
        b'{"format": "1", "num_rows": 3}',
        b'{"format": null, "num_rows": 3}',
        b'{"format": 1, "num_rows": "many"}',
        b'{"format": 1, "num_rows": []}',
        b'{"format": 1, "num_rows": Infinity}',
    ],
    ids=lambda text: text[:40],
)
def test_a_damaged_file_is_named_with_the_remedy(path, text):
    path.write_bytes(text)
    with pytest.raises(DamagedRecordError, match=r"record\.json' is damaged \(.+\)\. Remove it\.$"):
        PLAIN.read(path, parse_num_rows)


def test_every_truncated_or_changed_byte_is_found_with_a_checksum(path):
    whole = CHECKED.encode(VALUES)
    for i in range(len(whole)):
        path.write_bytes(whole[:i])
        with pytest.raises(DamagedRecordError, match="truncated"):
            CHECKED.read(path, dict)
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        with pytest.raises(DamagedRecordError, match=r"truncated|checksum does not match"):
            CHECKED.read(path, dict)
    path.write_bytes(whole)
    assert CHECKED.read(path, parse_num_rows) == 3


@pytest.mark.parametrize("checksum", [False, True])
def test_a_newer_format_names_the_upgrade(path, checksum):
    newer = RecordFormat(version=2, remedy="", checksum=checksum)
    older = RecordFormat(version=1, remedy="", checksum=checksum)
    newer.write(path, {"unknown": "keys"})
    with pytest.raises(
        NewerRecordError,
        match=r"record\.json' has format 2, but this version of keras_oocore \(.+\) reads format 1\. "
        r"Upgrade: pip install -U keras_oocore$",
    ):
        older.read(path, parse_num_rows)
    newer.write(path, {"keras_oocore": "9.1"})
    with pytest.raises(NewerRecordError, match=r"has format 2, written by keras_oocore 9\.1, but"):
        older.read(path, parse_num_rows)


def test_errors_are_data_errors_and_survive_pickling(path):
    with pytest.raises(DataError) as caught:
        PLAIN.read(path, dict)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.reason) == (str(caught.value), caught.value.reason)
