"""`store.json`: saved, loaded, compared, and the errors of damaged ones."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_records import change_record

from keras_oocore.core.errors import DataError, DestinationError
from keras_oocore.store.format import (
    BLOCK_BYTES,
    RECORD,
    StoreRecord,
    checked_fields,
    require_own_folder,
)

FIELDS = {"x": ((2, 3), "uint8"), "y": ((), "float32")}


def record(num_rows=5, fields=FIELDS, fingerprint=None, **options):
    return StoreRecord(num_rows, checked_fields(fields), fingerprint or {"size": [2, 3]}, **options)


def change(directory, **changes):
    """Change values of `store.json`."""
    change_record(directory / RECORD, **changes)


@pytest.fixture
def folder(tmp_path):
    record().save(tmp_path)
    return tmp_path


# --- fields ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../x", "a.b", "1x", "rows", "checksums", "filenames", "labels"])
def test_invalid_field_names(name):
    with pytest.raises(DataError, match="A field cannot have the name"):
        checked_fields({name: ((), "uint8")})


@pytest.mark.parametrize("dtype", [object, [("a", "u1")], "V4"])
def test_invalid_field_dtypes(dtype):
    with pytest.raises(DataError, match=r"numbers or of strings of a fixed length\. Received: 'x'"):
        checked_fields({"x": ((), dtype)})


def test_fields_are_required():
    with pytest.raises(DataError, match="at least one field"):
        checked_fields({})


def test_row_bytes_and_size_bytes():
    sizes = record(num_rows=5, fields={"x": ((2, 3), "float32"), "y": ((), "U5")})
    assert (sizes.row_bytes("x"), sizes.row_bytes("y"), sizes.size_bytes) == (24, 20, 5 * 44)
    assert sizes.rows_per_block == BLOCK_BYTES // 24  # of the widest field
    assert record(fields={"x": ((2 * BLOCK_BYTES,), "uint8")}).rows_per_block == 1


# --- saved and loaded -----------------------------------------------------------------------------------------------


@given(
    num_rows=st.integers(0, 10**12),
    fields=st.dictionaries(
        st.sampled_from(["x", "y", "source", "größe"]),
        st.tuples(st.lists(st.integers(0, 300), max_size=3), st.sampled_from(["u1", ">f4", "i8", "U5", "?", "M8[s]"])),
        min_size=1,
    ),
    fingerprint=st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.integers())),
    unreadable=st.dictionaries(st.integers(0, 10**12), st.text()),
    complete=st.booleans(),
    crc=st.none() | st.integers(0, 2**32 - 1),
)
def test_save_and_load(tmp_path_factory, num_rows, fields, fingerprint, unreadable, complete, crc):
    directory = tmp_path_factory.getbasetemp()
    saved = record(num_rows, fields, fingerprint, complete=complete, unreadable=unreadable, states_crc32=crc)
    saved.save(directory)
    loaded = StoreRecord.load(directory)
    assert loaded == saved
    loaded.require_same(saved, directory)


def test_load_without_a_record(tmp_path):
    assert StoreRecord.load(tmp_path) is None
    assert StoreRecord.load(tmp_path / "not" / "yet") is None
    (tmp_path / "file").touch()
    assert StoreRecord.load(tmp_path / "file") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"format": 1}',
        "\udcff",
    ],
)
def test_load_a_file_that_is_not_a_record(folder, text):
    (folder / RECORD).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=r"store\.json' is damaged .*Pass overwrite_cache=True to make it again"):
        StoreRecord.load(folder)


def test_load_a_truncated_record(folder):
    whole = (folder / RECORD).read_bytes()
    for length in range(0, len(whole), 7):
        (folder / RECORD).write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"store\.json' is damaged"):
            StoreRecord.load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_rows": "many"},
        {"num_rows": None},
        {"fields": {}},
        {"fields": []},
        {"fields": {"x": {"shape": [2]}}},
        {"fields": {"x": {"shape": 2, "dtype": "|u1"}}},
        {"fields": {"x": {"shape": ["a"], "dtype": "|u1"}}},
        {"fields": {"x": {"shape": [2], "dtype": "rubbish"}}},
        {"fields": {"x": {"shape": [2], "dtype": "|O"}}},
        {"fields": {"../x": {"shape": [2], "dtype": "|u1"}}},
        {"fingerprint": 5},
        {"unreadable": []},
        {"unreadable": {"first": "gone"}},
    ],
    ids=str,
)
def test_load_invalid_values(folder, changes):
    change(folder, **changes)
    with pytest.raises(DataError, match=r"store\.json' is damaged"):
        StoreRecord.load(folder)


def test_load_a_newer_format(folder):
    change(folder, format=2, fields="of another kind")
    with pytest.raises(DataError, match=r"has format 2, but .* reads format 1\. Upgrade: pip install -U keras_oocore"):
        StoreRecord.load(folder)


def test_load_an_unreadable_record(tmp_path):
    (tmp_path / RECORD).mkdir()
    with pytest.raises(DataError, match=r"Cannot read '.*store\.json': Is a directory"):
        StoreRecord.load(tmp_path)


# --- compared -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (record(num_rows=6), "number of rows was 5, is 6"),
        (record(fingerprint={"size": [4, 3]}), r"size was \[2, 3\], is \[4, 3\]"),
        (record(fingerprint={"size": [2, 3], "mode": "rgb"}), "mode was None, is 'rgb'"),
        (record(fields={**FIELDS, "x": ((3, 2), "uint8")}), r"shape of x was \[2, 3\], is \[3, 2\]"),
        (record(fields={**FIELDS, "x": ((2, 3), "int8")}), "dtype of x was 'uint8', is 'int8'"),
        (record(fields={"x": FIELDS["x"]}), r"shape of y was \[\], is None; dtype of y was 'float32', is None"),
        (record(fields={**FIELDS, "z": ((), "uint8")}), r"shape of z was None, is \[\]"),
        (record(fields={**FIELDS, "y": ((), ">f4")}), "dtype of y was 'float32', is '>f4'"),
    ],
)
def test_require_same_names_the_difference(tmp_path, other, said):
    with pytest.raises(DataError, match=f"stores other rows: {said}.*Pass overwrite_cache=True"):
        record().require_same(other, tmp_path)


def test_require_same_names_all_differences(tmp_path):
    with pytest.raises(DataError, match=r"size was .*; number of rows was .*"):
        record().require_same(record(num_rows=6, fingerprint={"size": 9}), tmp_path)


def test_require_same_ignores_order_and_tuples(tmp_path):
    stored = record(fingerprint={"size": [2, 3], "mode": "rgb"}, complete=True, unreadable={0: "gone"})
    wanted = record(fields=dict(reversed(FIELDS.items())), fingerprint={"mode": "rgb", "size": (2, 3)})
    stored.require_same(wanted, tmp_path)


# --- the folder -----------------------------------------------------------------------------------------------------


def test_require_own_folder_accepts_new_and_empty_folders(tmp_path):
    require_own_folder(tmp_path / "not" / "yet")
    require_own_folder(tmp_path)
    (tmp_path / ".keras_oocore-lock").touch()
    require_own_folder(tmp_path)


def test_require_own_folder_refuses_other_files(tmp_path):
    for name in "dcba":
        (tmp_path / name).touch()
    with pytest.raises(DestinationError, match=r"holds other files \(a, b, c, \.\.\.\) and no packed store. Choose"):
        require_own_folder(tmp_path)
    with pytest.raises(DestinationError, match=r"Cannot use '.*a': Not a directory"):
        require_own_folder(tmp_path / "a")
    assert sorted(os.listdir(tmp_path)) == list("abcd")


def test_numpy_shapes_and_dtypes_are_saved_as_json(tmp_path):
    record(fields={"x": (np.int64([2, 3]), np.dtype("uint8"))}).save(tmp_path)
    assert json.loads((tmp_path / RECORD).read_text())["fields"] == {"x": {"shape": [2, 3], "dtype": "|u1"}}
