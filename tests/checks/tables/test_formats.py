"""Tables of any format are checked, and say the same."""

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import keras_oocore as ko


def facts(report):
    left_out = ("data", "against", "seconds", "differing", "bad", "not_checked")
    return {name: value for name, value in report.to_dict().items() if name not in left_out}


@pytest.fixture
def planted(houses):
    columns = {name: [*cells, cells[7]] for name, cells in houses().items()}
    columns["size"][3] = columns["city"][4] = None
    columns["dollars"] = [price * 2 for price in columns["price"]]
    return columns


def test_parquet_and_csv_are_checked_alike(planted, write, tmp_path):
    written = {name: ["" if cell is None else cell for cell in cells] for name, cells in planted.items()}
    pq.write_table(pa.table(planted), tmp_path / "rows.parquet", row_group_size=100)
    of_csv = ko.check(write(**written), target="price")
    of_parquet = ko.check(tmp_path / "rows.parquet", target="price")

    assert [*of_parquet.duplicates] == [(7, 400)]
    of_csv, of_parquet = facts(of_csv), facts(of_parquet)
    for name, column in of_csv.pop("columns").items():
        assert of_parquet["columns"][name] == pytest.approx(column)  # sums of other chunks are rounded
    del of_parquet["columns"]
    assert of_csv == of_parquet


def test_parquet_against_csv(planted, write, houses, tmp_path):
    pq.write_table(pa.table(planted), tmp_path / "rows.parquet", row_group_size=100)
    report = ko.check(tmp_path / "rows.parquet", against=write(**houses()), target="price", columns=["size", "year"])

    assert len(report.leaks) == 400  # all but the row without a size
    assert report.leaks[3] == (4, 4)


def test_a_folder_of_parquet_files_and_a_sequence_of_them(planted, tmp_path):
    for year in (2023, 2024):
        folder = tmp_path / "rows" / f"sold={year}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table(planted), folder / "0.parquet")
    report = ko.check(tmp_path / "rows", target="price")
    rows = ko.TableSequence(tmp_path / "rows", "price", features=["size", "year"], missing="nan")

    assert report.num_rows == rows.num_rows == 802
    assert "sold" in report.columns
    assert len(ko.check(rows).duplicates) == 400
    assert ko.check(rows.without(ko.check(rows).duplicates)).found is False


def test_columns_that_cannot_be_read_are_named(planted, tmp_path):
    table = pa.table(planted).append_column("tags", pa.array([[1, 2]] * 401))
    pq.write_table(table, tmp_path / "rows.parquet")
    report = ko.check(tmp_path / "rows.parquet", target="price")

    assert [*report.duplicates] == [(7, 400)]
    assert any("'tags'" in note and "several values per cell" in note for note in report.not_checked)


def test_two_tables_of_one_name_are_told_apart():
    first = {"size": [1.5, 2.5, 3.5], "sold": [datetime.date(2024, 1, day) for day in (1, 2, 3)]}
    report = ko.check(first, against={**first, "sold": ["Monday", "Tuesday", "Sunday"], "new": [1, 2, 3]})

    assert report.differing == {"sold": "dates in `data`, and strings in `against`", "new": "`data` has no such column"}
    assert "3 rows are in `against`, too" in str(report)


@pytest.mark.parametrize("kind", [pa.float32(), pa.float16()], ids=str)
@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("has_more", [False, True])
def test_floats_of_fewer_bits_are_the_same_numbers(tmp_path, kind, is_reversed, has_more):
    dtype = kind.to_pandas_dtype()
    fine = np.linspace(0.1, 90, 50)
    fine[7] = np.nan
    coarse = np.append(fine[:30], [0.123456789, np.nan]).astype(dtype)
    time = 1_700_000_000.0 + np.arange(50)  # one number in 32 bits
    first = pa.table({"x": pa.array(fine, from_pandas=True), "time": time, "y": [0.0, 1.0] * 25})
    second = pa.table({"x": pa.array(coarse, kind, from_pandas=True), "time": np.append(time[:30], [1.0, 2.0])})
    if has_more:
        first = first.append_column("new", pa.array([1.5] * 50))
    if is_reversed:
        first, second = second, first
    report = ko.check(first, against=second, columns=["x", "time"])

    assert report.leaks.rows.tolist() == report.leaks.others.tolist() == [*range(30)]
    pq.write_table(first, tmp_path / "rows.parquet")
    rows = ko.TableSequence(tmp_path / "rows.parquet", None, ["x", "time"], missing="nan")
    assert ko.check(rows.without([0]), against=second, columns=["x", "time"]).leaks.rows.tolist() == [*range(1, 30)]


def test_copies_are_compared_in_all_bits_whatever_the_other_table_has():
    near = pa.table({"x": [0.1, 0.1 + 1e-12, 0.1], "y": [1.0, 2.0, 3.0]})
    report = ko.check(near, against=pa.table({"x": pa.array([0.1], pa.float32())}), columns=["x"])

    assert [*report.duplicates] == [(0, 2)]
    assert report.leaks.rows.tolist() == [0, 1, 2]
