"""Records: written whole, read back, and an error that names the file for everything that can be wrong with one."""

import json
import os
import pickle
import sys
import zlib

import numpy as np
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
REQUIRED = RecordFormat(version=1, remedy="Remove it.", requires_checksum=True)
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
    required=st.booleans(),
)
def test_values_are_read_back(tmp_path_factory, values, indent, required):
    path = tmp_path_factory.getbasetemp() / "record.json"
    record_format = RecordFormat(version=1, remedy="Remove it.", indent=indent, requires_checksum=required)
    record_format.write(path, values)
    assert record_format.read(path, dict) == {"format": 1, **values}
    assert json.loads(path.read_bytes()).items() >= values.items()  # any program can read it


def with_crc32(text, end=b"}"):
    return text.removesuffix(end) + b'%s"crc32": %d%s' % (b", " if end == b"}" else b",\n ", zlib.crc32(text), end)


def test_a_record_ends_with_the_checksum_of_the_text_before_it(path):
    PLAIN.write(path, {"a": 1})
    assert path.read_bytes() == with_crc32(b'{"format": 1, "a": 1}')
    RecordFormat(1, "Remove it.", indent=1).write(path, {"a": 1})
    assert path.read_bytes() == with_crc32(b'{\n "format": 1,\n "a": 1\n}', b"\n}")
    assert list(json.loads(path.read_bytes())) == ["format", "a", "crc32"]


def test_a_record_without_a_checksum_is_read_unless_it_is_required(path):
    path.write_text(json.dumps({"format": 1, **VALUES}))
    assert PLAIN.read(path, dict) == {"format": 1, **VALUES}
    with pytest.raises(DamagedRecordError, match=r"is damaged \(it is truncated\)"):
        REQUIRED.read(path, dict)


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


@pytest.mark.parametrize("text", ["9" * 5000, "(3", "no dtype"])
def test_a_damaged_dtype_in_a_record_is_named(path, text):
    PLAIN.write(path, {"dtype": text})
    with pytest.raises(DamagedRecordError, match=r"record\.json' is damaged"):
        PLAIN.read(path, lambda saved: np.dtype(saved["dtype"]))


@pytest.mark.parametrize("indent", [None, 1])
def test_every_changed_bit_of_a_record_is_found_or_changes_nothing(path, indent):
    record_format = RecordFormat(version=1, remedy="Remove it.", indent=indent)
    whole, num_found = record_format.encode(VALUES), 0
    for i in range(8 * len(whole)):
        path.write_bytes(whole[: i // 8] + bytes([whole[i // 8] ^ 1 << i % 8]) + whole[i // 8 + 1 :])
        try:
            found = record_format.read(path, dict)
        except DamagedRecordError:
            num_found += 1
        else:  # the key of the checksum changed, or the white space around it
            assert {key: found[key] for key in ("format", *VALUES)} == {"format": 1, **VALUES}
    assert num_found > 8 * len(whole) - 8 * len(b',\n "crc32": \n')


def test_every_truncated_or_changed_byte_is_found_if_a_checksum_is_required(path):
    whole = REQUIRED.encode(VALUES)
    for i in range(len(whole)):
        path.write_bytes(whole[:i])
        with pytest.raises(DamagedRecordError, match="truncated"):
            REQUIRED.read(path, dict)
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        with pytest.raises(DamagedRecordError, match=r"truncated|checksum does not match"):
            REQUIRED.read(path, dict)
    path.write_bytes(whole)
    assert REQUIRED.read(path, parse_num_rows) == 3


@pytest.mark.parametrize("required", [False, True])
def test_a_newer_format_names_the_upgrade(path, required):
    newer = RecordFormat(version=2, remedy="", requires_checksum=required)
    older = RecordFormat(version=1, remedy="", requires_checksum=required)
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
