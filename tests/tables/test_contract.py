"""Every table format passes the contract of table formats."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contracts.tables import NUM_ROWS, TableFormatContract

from keras_oocore.csv.dialect import Dialect
from keras_oocore.tables.csv import table as csv_table
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.opening import Opening
from keras_oocore.tables.parquet.table import ParquetTable


class TestCSV(TableFormatContract):
    @pytest.fixture(autouse=True)
    def small_chunks(self, monkeypatch):
        monkeypatch.setattr(csv_table, "CHUNK_BYTES", 64)

    def write(self, folder, first=0):
        rows = [f"{'' if row == 7 else first + row},n{first + row}\n" for row in range(NUM_ROWS)]
        (folder / "rows.csv").write_text("number,name\n" + "".join(rows))

    def open(self, folder, num_rows=None):
        return CSVTable(folder / "rows.csv", Dialect(), num_rows=num_rows)


class TestSeveralCSVFiles(TestCSV):
    """Files with the columns in another order, with a delimiter at the end of each row, and without rows."""

    pytestmark = pytest.mark.filterwarnings("ignore:.*each row ends with a delimiter")

    def write(self, folder, first=0):
        super().write(folder, first)
        header, *rows = (folder / "rows.csv").read_text().splitlines()
        (folder / "rows.csv").unlink()
        swapped = [",".join(reversed(row.split(","))) for row in rows]
        parts = (
            [header, *rows[:9]],
            ["name,number", *swapped[9:15]],
            ["name,number,", *(f"{row}," for row in swapped[15:20])],
            ["name,number"],
            [header, *(f"{row}," for row in rows[20:])],
        )
        for number, lines in enumerate(parts):
            (folder / f"rows-{number}.csv").write_text("\n".join(lines) + "\n")

    def open(self, folder, num_rows=None):
        return CSVTable(str(folder / "rows-*.csv"), Dialect(), num_rows=num_rows)

    def test_where_names_each_row(self, table):
        names = [self.name(table, row).rpartition("/")[2] for row in (0, 9, 15, 20)]

        assert names == [f"rows-{number}.csv: row 0 (line 2)" for number in (0, 1, 2, 4)]


class TestParquet(TableFormatContract):
    def rows(self, first=0):
        numbers = [None if row == 7 else first + row for row in range(NUM_ROWS)]
        return pa.table({"number": numbers, "name": [f"n{first + row}" for row in range(NUM_ROWS)]})

    def write(self, folder, first=0):
        pq.write_table(self.rows(first), folder / "rows.parquet", row_group_size=8)

    def open(self, folder, num_rows=None):
        return ParquetTable(folder / "rows.parquet", Opening(num_rows=num_rows))


class TestSeveralParquetFiles(TestParquet):
    """Files with other types and orders of columns, in folders, one of them without rows."""

    def write(self, folder, first=0):
        rows = self.rows(first)
        parts = {"a/0": rows[:9], "a/1": rows[9:9], "b/2": rows[9:20].select(["name", "number"]), "b/3": rows[20:]}
        for name, part in parts.items():
            (folder / name).parent.mkdir(exist_ok=True)
            pq.write_table(part, folder / f"{name}.parquet", row_group_size=6)

    def open(self, folder, num_rows=None):
        return ParquetTable(folder, Opening(num_rows=num_rows))

    def test_where_names_each_row(self, table):
        names = [self.name(table, row).rpartition("/")[2] for row in (0, 9, 19, 20)]

        assert names == [
            "0.parquet: row 0 (row group 0)",
            "2.parquet: row 0 (row group 0)",
            "2.parquet: row 10 (row group 1)",
            "3.parquet: row 0 (row group 0)",
        ]
