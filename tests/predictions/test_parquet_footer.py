"""Files whose row groups were written one at a time are read as any other Parquet file."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from keras_oocore.predictions import parquet
from keras_oocore.predictions.groups import Group, Rows
from keras_oocore.predictions.parquet import ParquetFormat


@pytest.mark.parametrize("num_rows", [0, 1, 3, 100])  # of 1, 2 and 34 row groups: a list of 15 or more is longer
def test_every_row_group_is_read_back(tmp_path, monkeypatch, num_rows):
    monkeypatch.setattr(parquet, "GROUP_VALUES", (12, 12))
    values = np.random.default_rng(0).random((num_rows, 2), "float32")
    names = np.array([f"öwl {number % 5}" for number in range(num_rows)], object)
    readable = np.arange(num_rows) % 7 != 6
    groups = [Group(("row",), np.arange(num_rows)), Group(("class",), names), Group(("a", "b"), values, True)]

    ParquetFormat().save(tmp_path / "all.parquet", Rows(groups, readable))

    file = pq.ParquetFile(tmp_path / "all.parquet")
    table = file.read()
    expected = [value if known else None for value, known in zip(values[:, 1].tolist(), readable)]
    assert file.metadata.num_row_groups == max(1, -(-num_rows // 3))
    assert table["row"].to_pylist() == [*range(num_rows)]
    assert table["class"].to_pylist() == names.tolist()
    assert table["b"].to_pylist() == expected
    for number in range(num_rows // 3):  # alone, which reads by the offsets in the footer
        assert file.read_row_group(number).equals(table.slice(3 * number, 3))


def test_a_footer_of_many_columns_and_large_offsets_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_VALUES", (200_000, 200_000))
    values = np.random.default_rng(0).random((2_500, 200), "float32")
    columns = Group(tuple(f"class {number}" for number in range(200)), values, True)

    ParquetFormat().save(tmp_path / "wide.parquet", Rows([columns], np.ones(2_500, bool)))

    assert (tmp_path / "wide.parquet").stat().st_size > 2**20
    table = pq.read_table(tmp_path / "wide.parquet")
    assert (np.stack([column.to_numpy() for column in table.columns], axis=1) == values).all()
