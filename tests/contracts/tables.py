"""What every table format promises, as tests that the test class of each format inherits."""

import concurrent.futures
import dataclasses
import json
import pickle

import numpy as np
import pytest

from keras_oocore.core.errors import OptionError

NUM_ROWS = 30


class TableFormatContract:
    """The contract of `keras_oocore.tables.format.TableFormat`.

    A subclass implements `write`, and `open` for a table of several chunks. The table has the columns `number` and
    `name`. Row `i` contains `first + i` and `"n<first + i>"`, except that the number of row 7 is missing.
    """

    def write(self, folder, first=0):
        """Write the rows into a folder."""
        raise NotImplementedError

    def open(self, folder, num_rows=None):
        """Open the folder as a table, or its first rows."""
        raise NotImplementedError

    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "rows"
        folder.mkdir()
        self.write(folder)
        return folder

    @pytest.fixture
    def table(self, folder):
        return self.open(folder)

    def cells(self, table, name, chunks=None, kind=None):
        """The cells of a column in all chunks, as a list. A missing cell is `None`."""
        column = table.columns[name] if kind is None else dataclasses.replace(table.columns[name], kind=kind)
        found = [table.read(chunk, [column]) for chunk in (range(table.num_chunks) if chunks is None else chunks)]
        for part in found:
            assert list(part.columns) == [name]
        return [cell for part in found for cell in part.columns[name].to_pylist()]

    # What there is

    def test_columns_have_their_names_and_kinds_in_the_order_of_the_file(self, table):
        assert [(name, column.name, column.kind) for name, column in table.columns.items()] == [
            ("number", "number", "float32"),
            ("name", "name", "string"),
        ]

    def test_rows_count_the_rows_before_each_chunk(self, table):
        assert table.rows.dtype == np.int64
        assert table.num_chunks == len(table.rows) - 1 >= 3
        assert (table.rows[0], table.rows[-1], table.num_rows) == (0, NUM_ROWS, NUM_ROWS)
        assert (np.diff(table.rows) > 0).all()

    def test_paths_are_strings_and_notes_belong_to_columns(self, table):
        assert table.paths
        assert all(isinstance(path, str) for path in table.paths)
        assert set(table.notes) <= set(table.columns)

    def test_unknown_column_is_an_error_with_the_most_similar_name(self, table):
        with pytest.raises(OptionError, match=r"`target` names a column that does not exist: 'numbr'.*'number'"):
            table.column("numbr", "target")

    # Reading

    def test_chunks_contain_all_rows_in_order(self, table):
        numbers = [None if row == 7 else row for row in range(NUM_ROWS)]

        assert self.cells(table, "number") == numbers
        assert self.cells(table, "name") == [f"n{row}" for row in range(NUM_ROWS)]

    def test_chunks_are_read_in_any_order(self, table):
        first = self.cells(table, "name", [0])

        assert self.cells(table, "name", [table.num_chunks - 1])[-1] == f"n{NUM_ROWS - 1}"
        assert self.cells(table, "name", [0]) == first

    def test_rows_of_cells_are_numbers_within_the_chunk(self, table):
        sizes = np.diff(table.rows)
        for chunk in range(table.num_chunks):
            cells = table.read(chunk, list(table.columns.values()))
            assert cells.rows.tolist() == list(range(sizes[chunk]))

    def test_numbers_can_be_read_as_strings(self, table):
        strings = self.cells(table, "number", kind="string")

        assert strings[:7] == ["0", "1", "2", "3", "4", "5", "6"]
        assert strings[7] is None

    def test_text_is_exact_and_never_missing(self, table):
        numbers = ["" if row == 7 else str(row) for row in range(NUM_ROWS)]

        assert self.cells(table, "number", kind="text") == numbers
        assert self.cells(table, "name", kind="text") == [f"n{row}" for row in range(NUM_ROWS)]

    def test_several_threads_read_at_once(self, table):
        chunks = [*range(table.num_chunks)] * 10
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda chunk: self.cells(table, "name", [chunk]), chunks, timeout=300))

        assert [name for names in found[: table.num_chunks] for name in names] == [f"n{row}" for row in range(NUM_ROWS)]
        assert found == found[: table.num_chunks] * 10

    def test_where_names_each_row(self, table):
        sizes = np.diff(table.rows)
        names = [table.where(chunk, row) for chunk in range(table.num_chunks) for row in range(sizes[chunk])]

        assert len(set(names)) == NUM_ROWS
        assert all(f"row {row}" in name for row, name in enumerate(names))

    # Which rows and columns

    def test_the_first_rows_are_those_of_the_table(self, table, folder):
        for num_rows in (1, 7, NUM_ROWS - 1, NUM_ROWS, NUM_ROWS + 1):
            part = self.open(folder, num_rows=num_rows)
            kept = min(num_rows, NUM_ROWS)

            assert part.num_rows == kept
            assert self.cells(part, "name") == [f"n{row}" for row in range(kept)]
            assert part.where(part.num_chunks - 1, int(part.rows[-1] - part.rows[-2]) - 1) == self.name(table, kept - 1)

    def test_a_table_of_the_first_rows_has_other_fingerprints_and_says_so(self, table, folder):
        part = self.open(folder, num_rows=3)

        assert part.fingerprint() != table.fingerprint()
        assert part.portable_fingerprint() != table.portable_fingerprint()
        assert part.source.endswith(" (num_rows=3)")
        assert "num_rows" not in table.source

    def test_the_index_of_the_first_rows_is_never_that_of_all(self, folder, tmp_path):
        for directory in (None, tmp_path):
            self.open(folder, num_rows=3).save_indexes(directory)
        assert self.open(folder).num_rows == NUM_ROWS

        self.open(folder).save_indexes()
        assert self.cells(self.open(folder, num_rows=3), "name") == ["n0", "n1", "n2"]

    def test_another_number_of_rows_is_refused(self, folder):
        for num_rows in (0, -1, 1.5, "3", True):
            with pytest.raises(OptionError, match="`num_rows` should be a positive integer"):
                self.open(folder, num_rows=num_rows)

    def name(self, table, row):
        """How messages name a row."""
        chunk = int(np.searchsorted(table.rows, row, side="right")) - 1
        return table.where(chunk, row - int(table.rows[chunk]))

    # Identity and copies

    def test_fingerprints_are_plain_json_and_stable(self, table, folder):
        again = self.open(folder)

        for of in (type(table).fingerprint, type(table).portable_fingerprint):
            assert json.loads(json.dumps(of(table))) == of(table) == of(again)

    def test_reading_options_are_plain_json_and_the_same_for_other_files(self, table, tmp_path):
        (tmp_path / "others").mkdir()
        self.write(tmp_path / "others", first=100)
        options = table.reading_options()

        assert json.loads(json.dumps(options)) == options == self.open(tmp_path / "others").reading_options()

    def test_fingerprint_differs_for_other_rows(self, table, tmp_path):
        (tmp_path / "others").mkdir()
        self.write(tmp_path / "others", first=100)

        assert self.open(tmp_path / "others").fingerprint() != table.fingerprint()

    def test_a_copy_of_the_files_has_the_same_portable_fingerprint(self, table, tmp_path):
        (tmp_path / "copy").mkdir()
        self.write(tmp_path / "copy")

        assert self.open(tmp_path / "copy").portable_fingerprint() == table.portable_fingerprint()

    def test_a_pickled_table_has_the_same_rows(self, table):
        again = pickle.loads(pickle.dumps(table))

        assert again.fingerprint() == table.fingerprint()
        assert self.cells(again, "number") == self.cells(table, "number")

    def test_indexes_can_be_saved(self, table, folder, tmp_path):
        table.save_indexes(tmp_path)
        table.save_indexes()

        assert self.cells(self.open(folder), "name") == self.cells(table, "name")
