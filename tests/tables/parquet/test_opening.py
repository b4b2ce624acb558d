"""How often a Parquet file is opened, and what of it is read."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keras_oocore.tables.parquet import file as of_file
from keras_oocore.tables.parquet.table import ParquetTable


@pytest.fixture
def opened(monkeypatch):
    """The arguments of all openings of files."""
    calls, opened = [], of_file._Opened
    monkeypatch.setattr(of_file, "_Opened", lambda *args, **options: calls.append(options) or opened(*args, **options))
    return calls


def test_a_file_is_opened_once(tmp_path, opened):
    pq.write_table(pa.table({"a": np.arange(6.0), "b": np.arange(6), "y": np.arange(6.0)}), tmp_path / "rows.parquet")
    table = ParquetTable(tmp_path / "rows.parquet")
    table.look_at(["a", "b"])
    cells = table.read(0, [table.columns["y"], table.columns["b"]])
    assert cells.columns["b"].to_pylist() == [0, 1, 2, 3, 4, 5]
    assert len(opened) == 1


def test_the_first_cells_of_a_large_row_group_are_read_alone(tmp_path, opened, monkeypatch):
    monkeypatch.setattr("keras_oocore.tables.parquet.table.MOST_SAMPLED_CELLS", 5)
    pq.write_table(pa.table({"a": np.arange(6.0)}), tmp_path / "rows.parquet")
    ParquetTable(tmp_path / "rows.parquet").look_at(["a"])
    assert [call.get("buffer_size", 0) for call in opened] == [0, of_file.BUFFER_BYTES]


def test_columns_beside_those_with_parts(tmp_path):
    data = {"a.b": [1, 2], "s": [{"a": 3, "c": 4}] * 2, "a": [5, 6], "l": [[7]] * 2, "z": [8, 9]}
    pq.write_table(pa.table(data), tmp_path / "rows.parquet")
    table = ParquetTable(tmp_path / "rows.parquet")
    assert list(table.columns) == ["a.b", "a", "z"]
    for name in table.columns:
        assert table.read(0, [table.columns[name]]).columns[name].to_pylist() == data[name]
        assert table.known_cells(0, table.columns[name]) is None or name in ("a", "z")


def test_positions_of_columns(tmp_path):
    pq.write_table(pa.table([[1], [2], [3]], ["a", "b", "a"]), tmp_path / "rows.parquet")
    opened = ParquetTable(tmp_path / "rows.parquet").files[0]
    assert opened.positions == {"a": 0, "b": 1}
