"""Columns of tables with types: which there are, and which are refused."""

import pickle

import pyarrow as pa
import pytest

from keras_oocore.core.errors import OptionError
from keras_oocore.tables.arrow import columns
from keras_oocore.tables.arrow.columns import IndexColumns, found_columns
from keras_oocore.tables.arrow.part import Part

PERIOD = {"ARROW:extension:name": "pandas.period"}
SCHEMA = pa.schema(
    [("a", pa.int64()), ("l", pa.list_(pa.int64())), ("s", pa.string()), pa.field("p", pa.int64(), metadata=PERIOD)]
)


def found_in(*schemas, dtypes=None, more=None):
    return found_columns([Part.of_schema(f"file {i}", schema, more) for i, schema in enumerate(schemas)], dtypes)


def test_columns_and_refused_ones_in_the_order_of_the_file():
    found = found_in(SCHEMA, more={"year": pa.int64()})
    assert [(name, column.kind, column.position) for name, column in found.columns.items()] == [
        ("a", "float32", 0),
        ("s", "string", 2),
        ("year", "float32", 4),
    ]
    assert list(found.refused) == ["l", "p"]
    assert len(found.refused) == 2
    assert len(found.columns) == 3
    assert "several values per cell" in found.refused["l"]
    assert "'pandas.period'" in found.refused["p"]
    assert "l" not in found.columns
    assert "a" not in found.refused
    assert "none" not in found.columns
    with pytest.raises(KeyError):
        found.refused["none"]
    assert dict(pickle.loads(pickle.dumps(found.columns))) == dict(found.columns)


def test_one_column_of_many_is_looked_at_alone(monkeypatch):
    looked_at, kind_of = [], columns.kind_of
    monkeypatch.setattr(columns, "kind_of", lambda dtype: looked_at.append(dtype) or kind_of(dtype))
    found = found_in(pa.schema([(f"c{i}", pa.float64()) for i in range(100)]))
    assert found.columns["c7"].position == 7
    assert "c8" in found.columns
    assert len(looked_at) == 2
    assert len(found.columns) == 100


def test_repeated_names_and_columns_that_a_part_lacks_are_refused():
    twice = pa.schema([("a", pa.int64()), ("b", pa.int64()), ("a", pa.float64())])
    assert dict(found_in(twice).refused) == {"a": "file 0 has several columns 'a'."}
    found = found_in(pa.schema([("a", pa.int64())]), pa.schema([("a", pa.int64()), ("b", pa.int64())]))
    assert dict(found.refused) == {"b": "file 0 has no column 'b', and file 1 has one."}


def test_a_kind_that_a_type_cannot_have_is_an_error_at_once():
    with pytest.raises(OptionError, match="column 's' is of the type"):
        found_in(pa.schema([("s", pa.timestamp("s"))]), dtypes={"s": "float32"})


def test_columns_that_are_never_features():
    skipped = IndexColumns(found_in(SCHEMA).refused, ["s"])
    assert list(skipped) == ["l", "p", "s"]
    assert skipped["s"] == ""
    assert skipped["l"].startswith("Not a feature: ")
    assert "a" not in skipped
    assert len(skipped) == 3
