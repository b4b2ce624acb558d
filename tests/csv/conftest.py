"""Fixtures for tests of CSV files."""

import dataclasses

import pytest
from csv_outcomes import check, folder

from keras_oocore.csv.cells import Column
from keras_oocore.csv.dialect import CellOptions, Dialect
from keras_oocore.csv.reader import CSVReader
from keras_oocore.csv.scan import index_records

__all__ = ["check", "folder", "read", "scratch", "write"]

CELL_OPTIONS = [field.name for field in dataclasses.fields(CellOptions)]


@pytest.fixture
def write(tmp_path):
    """Function that writes a file and returns its path."""

    def written(content, name="t.csv"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return written


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """Path of a file that Hypothesis examples overwrite, because it rejects a new folder per example."""
    return tmp_path_factory.mktemp("csv") / "t.csv"


@pytest.fixture
def read(tmp_path):
    """Function that reads a string, or bytes, as columns of the given kinds: name → list of all cells."""

    def read(content, chunk_bytes=2**20, dialect=None, **columns):
        path = tmp_path / "houses.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        options = {name: columns.pop(name) for name in CELL_OPTIONS if name in columns}
        index = index_records(path, dialect or Dialect(), chunk_bytes, on_bad_row=options.get("on_bad_row", "error"))
        named = [
            Column(name, index.header.index(name), *([kind] if isinstance(kind, str) else kind))
            for name, kind in columns.items()
        ]
        reader = CSVReader(len(index.header), CellOptions(**options))
        cells = [reader.read(index, chunk, named) for chunk in range(index.num_chunks)]
        return {name: [cell for part in cells for cell in part.columns[name].to_pylist()] for name in columns}

    return read
