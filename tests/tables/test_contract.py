"""Every table format passes the contract of table formats."""

import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contracts.tables import NUM_ROWS, TableFormatContract

from keras_oocore.csv.dialect import Dialect
from keras_oocore.tables.arrow import chunks
from keras_oocore.tables.csv import table as csv_table
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.ipc.format import open_ipc
from keras_oocore.tables.memory.format import open_memory
from keras_oocore.tables.opening import Opening
from keras_oocore.tables.parquet.table import ParquetTable
from keras_oocore.tables.stream.table import StreamTable


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


class TypedRows:
    """The rows of the contract in types of Arrow, and small chunks."""

    @pytest.fixture(autouse=True)
    def small_chunks(self, monkeypatch):
        monkeypatch.setattr(chunks, "FEWEST_ROWS", 8)
        monkeypatch.setattr(chunks, "MOST_ROWS", 8)

    def rows(self, first=0):
        numbers = [None if row == 7 else first + row for row in range(NUM_ROWS)]
        return pa.table({"number": numbers, "name": [f"n{first + row}" for row in range(NUM_ROWS)]})


class TestFeather(TypedRows, TableFormatContract):
    """A compressed file, whose record batches are chunks."""

    suffix, new, compression = "feather", staticmethod(pa.ipc.new_file), "zstd"

    def write(self, folder, first=0):
        self.write_file(folder / f"rows.{self.suffix}", self.rows(first))

    def write_file(self, path, rows):
        options = pa.ipc.IpcWriteOptions(compression=self.compression)
        with self.new(str(path), rows.schema, options=options) as writer:
            writer.write_table(rows, max_chunksize=6)

    def open(self, folder, num_rows=None):
        return open_ipc(folder / f"rows.{self.suffix}", Opening(num_rows=num_rows))


class TestLargeRecordBatch(TestFeather):
    """A file of one record batch without compression, which is read in parts."""

    compression = None

    def write_file(self, path, rows):
        with self.new(str(path), rows.schema) as writer:
            writer.write_table(rows)

    def test_where_names_each_row(self, table):
        names = [self.name(table, row).rpartition("/")[2] for row in (0, 7, 29)]

        assert names == [f"rows.{self.suffix}: row {row} (record batch 0)" for row in (0, 7, 29)]


class TestLargeCompressedRecordBatch(TestLargeRecordBatch):
    compression = "lz4"

    @pytest.fixture(autouse=True)
    def smaller_chunks(self, small_chunks, monkeypatch):
        monkeypatch.setattr(chunks, "MOST_ROWS", 2)

    def write_file(self, path, rows):
        with self.new(str(path), rows.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            writer.write_table(rows)


class TestArrowStreamFile(TestLargeRecordBatch):
    suffix, new = "arrows", staticmethod(pa.ipc.new_stream)


class TestSeveralArrowFiles(TestFeather):
    """Files with other types and orders of columns, one of them without rows, one with record batches without rows."""

    compression = None

    def write(self, folder, first=0):
        rows = self.rows(first)
        swapped = rows[9:15].select(["name", "number"])
        dictionary = swapped.set_column(0, "name", swapped["name"].dictionary_encode())
        self.write_file(folder / "0.arrow", rows[:9])
        self.write_file(folder / "1.arrow", dictionary)
        self.write_file(folder / "2.arrow", rows[15:15])
        with pa.ipc.new_file(str(folder / "3.arrow"), rows.schema) as writer:
            for part in (rows[:0], rows[15:18], rows[:0], rows[18:]):
                for batch in part.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], rows.schema)]:
                    writer.write_batch(batch)

    def open(self, folder, num_rows=None):
        return open_ipc(folder, Opening(num_rows=num_rows))

    def test_where_names_each_row(self, table):
        names = [self.name(table, row).rpartition("/")[2] for row in (0, 9, 15, 18)]

        assert names == [
            "0.arrow: row 0 (record batch 0)",
            "1.arrow: row 0 (record batch 0)",
            "3.arrow: row 0 (record batch 1)",
            "3.arrow: row 3 (record batch 3)",
        ]


class MemoryContract(TypedRows, TableFormatContract):
    """Data in memory. The folder holds them as a pickle, because the contract opens them again."""

    def data(self, first):
        """The rows."""
        raise NotImplementedError

    def write(self, folder, first=0):
        (folder / "rows.pickle").write_bytes(pickle.dumps(self.data(first)))

    def open(self, folder, num_rows=None):
        return open_memory(pickle.loads((folder / "rows.pickle").read_bytes()), Opening(num_rows=num_rows))


class TestArrowTable(MemoryContract):
    def data(self, first):
        rows = self.rows(first)
        return pa.concat_tables([rows[:3], rows[3:20], rows[20:]])


class TestDictionaryOfArrays(MemoryContract):
    def data(self, first):
        numbers = np.arange(first, first + NUM_ROWS, dtype=np.float64)
        numbers[7] = np.nan
        return {"number": numbers, "name": np.array([f"n{first + row}" for row in range(NUM_ROWS)])}


class TestPandas(MemoryContract):
    def data(self, first):
        return self.rows(first).to_pandas()


class TestPandasOfArrow(MemoryContract):
    def data(self, first):
        pandas = pytest.importorskip("pandas")
        return self.rows(first).to_pandas(types_mapper=pandas.ArrowDtype)


class TestPolars(MemoryContract):
    def data(self, first):
        polars = pytest.importorskip("polars")
        return polars.from_arrow(self.rows(first))


class TestStream(TypedRows, TableFormatContract):
    """A stream in record batches of other sizes than the chunks."""

    def write(self, folder, first=0):
        pq.write_table(self.rows(first), folder / "rows.parquet")

    def open(self, folder, num_rows=None):
        stream = pq.read_table(folder / "rows.parquet").to_reader(max_chunksize=5)
        cache = folder / f"cache-{num_rows}"
        return StreamTable(stream, Opening(cache=cache, num_rows=num_rows))
