"""Every table format passes the contract of table formats."""

import pytest
from contracts.tables import NUM_ROWS, TableFormatContract

from keras_oocore.tables.csv import table as csv_table
from keras_oocore.tables.csv.dialect import Dialect
from keras_oocore.tables.csv.table import CSVTable


class TestCSV(TableFormatContract):
    @pytest.fixture(autouse=True)
    def small_chunks(self, monkeypatch):
        monkeypatch.setattr(csv_table, "CHUNK_BYTES", 64)

    def write(self, folder, first=0):
        rows = [f"{'' if row == 7 else first + row},n{first + row}\n" for row in range(NUM_ROWS)]
        (folder / "rows.csv").write_text("number,name\n" + "".join(rows))

    def open(self, folder):
        return CSVTable(folder / "rows.csv", Dialect())
