"""A checksum of content: the same for equal cells, and another one for any difference."""

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from keras_oocore.tables.arrow.content import ContentChecksum

ARRAYS = {
    "int8": pa.array([1, None, 3], pa.int8()),
    "float64": pa.array([1.5, None, float("nan")]),
    "float16": pa.array(np.array([1.5, 2, 3], np.float16)),
    "bool": pa.array([True, None, False]),
    "string": pa.array(["a", None, "bc"]),
    "large string": pa.array(["a", None, "bc"], pa.large_string()),
    "view": pa.array(["a", None, "a string of more than 12 bytes"], pa.string_view()),
    "binary": pa.array([b"a", None, b"bc"]),
    "dictionary": pa.array(["a", None, "bc"]).dictionary_encode(),
    "decimal": pa.array([Decimal("1.5"), None, Decimal("2.25")]),
    "date": pa.array([datetime.date(2020, 1, 1), None, datetime.date(2020, 1, 2)]),
    "timestamp": pa.array([datetime.datetime(2020, 1, 1), None, datetime.datetime(2020, 1, 2)]),
    "time": pa.array([datetime.time(1), None, datetime.time(2)]),
    "null": pa.nulls(3),
}


def checksum(array):
    found = ContentChecksum({"a": array.type})
    found.add({"a": array})
    return str(found)


@pytest.mark.parametrize("name", ARRAYS)
def test_slices_and_chunks_of_equal_cells_have_one_checksum(name):
    array = ARRAYS[name]
    padded = pa.concat_arrays([array, array, array])[3:6]
    chunks = pa.chunked_array([array[:1], array[1:]])

    assert checksum(array) == checksum(padded) == checksum(chunks)


@pytest.mark.parametrize("name", [name for name in ARRAYS if name != "null"])
def test_any_difference_has_another_checksum(name):
    array, cells = ARRAYS[name], ARRAYS[name].to_pylist()
    lists = [cells[::-1], [cells[0], cells[0], cells[2]], [cells[0], cells[1], None], [cells[0], cells[2]]]
    others = [pa.array(one, array.type) for one in lists]

    assert len({checksum(array), *map(checksum, others)}) == 5


def test_where_strings_end_counts():
    assert checksum(pa.array(["ab", "c"])) != checksum(pa.array(["a", "bc"])) != checksum(pa.array(["abc", ""]))
    assert checksum(pa.array(["", "a"])) != checksum(pa.array([None, "a"]))


def test_how_strings_are_stored_does_not_count():
    assert len({checksum(ARRAYS[name]) for name in ("string", "large string", "dictionary")}) == 1


def test_what_the_memory_of_missing_cells_holds_does_not_count():
    mask = np.array([False, True])
    assert checksum(pa.array(np.array([1, 2]), mask=mask)) == checksum(pa.array(np.array([1, 3]), mask=mask))


def test_names_and_unreadable_columns():
    nested = ContentChecksum({"a": pa.list_(pa.int64()), "b": pa.int64(), "c": None})
    assert nested.names == ["b"]
    assert str(ContentChecksum({"a": pa.int64()})) != str(ContentChecksum({"b": pa.int64()}))
