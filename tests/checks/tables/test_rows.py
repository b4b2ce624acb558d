"""Rows that `ko.check` finds in a table: copies, conflicts, leaks, and rows that cannot be read."""

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.checks.tables import chunk, row_hashes
from keras_oocore.tables.csv import table as csv_table


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Rows are in several chunks, and their hashes in a file that is compared in parts."""
    monkeypatch.setattr(csv_table, "CHUNK_BYTES", 2000)
    monkeypatch.setattr(row_hashes, "MOST_IN_MEMORY", 50)
    monkeypatch.setattr(row_hashes, "ROWS_PER_PART", 64)
    monkeypatch.setattr(row_hashes, "BLOCK_ROWS", 100)


def appended(columns, rows):
    """Return the columns with copies of some rows at their ends."""
    return {name: [*cells, *(cells[row] for row in rows)] for name, cells in columns.items()}


def taken(columns, rows):
    return {name: [cells[row] for row in rows] for name, cells in columns.items()}


def test_a_clean_table(write, houses):
    report = ko.check(write(**houses()), target="price")

    assert not report.found
    assert "nothing was found" in str(report)
    assert (report.num_rows, len(report.duplicates), report.num_bad) == (400, 0, 0)


def test_copies_are_found_in_any_chunk(write, houses):
    report = ko.check(write(**appended(houses(), [7, 300, 7])), target="price")

    assert [*report.duplicates] == [(7, 400, 402), (300, 401)]
    assert report.duplicates.repeated.tolist() == [400, 401, 402]
    assert report.found


def test_the_report_is_the_same_for_any_number_of_workers(write, houses):
    columns = appended(houses(), [*range(0, 400, 7)])
    columns["city"][5] = ""
    reports = [ko.check(write(**columns), target="price", workers=workers).to_dict() for workers in (1, 2, 7)]

    for report in reports:
        del report["seconds"]
    assert reports[0] == reports[1] == reports[2]


def test_equal_values_in_other_words_are_copies(write):
    rng = np.random.default_rng(0)
    numbers = [f"{value:.3f}" for value in rng.normal(size=100)] + ["1.50", "1.5", "15e-1", "-0", "0", "0.25"]
    report = ko.check(write(a=numbers, b=[*rng.normal(size=100), 7, 7, 7, 1, 1, 1]))

    assert [*report.duplicates] == [(100, 101, 102), (103, 104)]


def test_missing_cells_are_equal_to_each_other_only(write, houses):
    columns = houses()
    for name in ("size", "city", "year"):
        columns[name] = [*columns[name], "", "", columns[name][0]]
    columns["price"] = [*columns["price"], 5, 5, 5]
    report = ko.check(write(**columns), target="price")

    assert [*report.duplicates] == [(400, 401)]


def test_rows_are_compared_without_ids(write, houses):
    columns = {"id": [*range(401)], **appended(houses(), [7])}
    path = write(**columns)
    report = ko.check(path, target="price")

    assert [*report.duplicates] == [(7, 400)]
    assert report.compared == ["size", "year", "city", "price"]
    assert "'id'" in report.not_checked[0]
    assert not ko.check(path, target="price", columns=["id", "size", "price"]).duplicates


def test_copies_by_some_columns(write, houses):
    columns = appended(houses(), [7])
    columns["price"][-1] = 1
    path = write(**columns)

    assert not ko.check(path, target="price").duplicates
    assert [*ko.check(path, target="price", columns=["size", "year", "city"]).duplicates] == [(7, 400)]
    assert not ko.check(path, target="price", columns=["size", "price"]).duplicates
    assert [*ko.check(path, columns=["size", "year"]).duplicates] == [(7, 400)]


def test_equal_rows_of_different_classes_are_conflicts(write, houses):
    columns = houses()
    columns["sold"] = ["yes" if price > 200_000 else "no" for price in columns.pop("price")]
    columns = appended(columns, [7, 8])
    columns["sold"][-1] = "no" if columns["sold"][8] == "yes" else "yes"
    report = ko.check(write(**columns), target="sold")

    assert [*report.duplicates] == [(7, 400)]
    assert [*report.conflicts] == [(8, 401)]
    assert report.examples[8] in ("row 8: sold=1, row 401: sold=0", "row 8: sold=0, row 401: sold=1")
    assert "different classes" in str(report)


def test_a_group_may_have_copies_and_a_conflict(write, houses):
    columns = houses()
    columns["sold"] = [i % 3 for i in range(400)]
    del columns["price"]
    columns = appended(columns, [7, 7])
    columns["sold"][-1] = 2
    report = ko.check(write(**columns), target="sold")

    assert ([*report.duplicates], [*report.conflicts]) == ([(7, 400)], [(7, 400, 401)])


def test_equal_rows_of_different_numbers_are_no_conflict(write, houses):
    columns = appended(houses(), [7])
    columns["price"][-1] = 1
    report = ko.check(write(**columns), target="price")

    assert (len(report.duplicates), len(report.conflicts), report.found) == (0, 0, False)


def test_rows_in_both_tables(write, houses):
    train, test = houses(), houses(200, seed=1)
    test = {name: [*cells[:100], *taken(train, [3, 399, 3])[name], *cells[100:]] for name, cells in test.items()}
    report = ko.check(write("train.csv", **train), against=write("test.csv", **test), target="price")

    assert [*report.leaks] == [(3, 100), (399, 101)]
    assert report.leaks.rows.tolist() == [3, 399]
    assert not report.duplicates
    assert report.num_rows_against == 203


def test_leaks_are_found_without_the_target_and_in_another_order_of_columns(write, houses):
    train, test = houses(), houses(200, seed=1)
    test = {name: [*test[name], train[name][11]] for name in ("city", "year", "size")}
    report = ko.check(write("train.csv", **train), write("test.csv", **test), target="price")

    assert [*report.leaks] == [(11, 200)]
    assert report.compared_against == ["size", "year", "city"]


def test_leaks_are_found_in_the_columns_that_both_have(write, houses):
    train, test = houses(), houses(200, seed=1)
    train["floors"] = [1 + i % 2 for i in range(400)]
    test = {name: [*test[name], train[name][11]] for name in test}
    report = ko.check(write("train.csv", **train), write("test.csv", **test), target="price")

    assert [*report.leaks] == [(11, 200)]
    assert [*report.differing] == ["floors"]
    assert any("'floors'" in note for note in report.not_checked)


def test_rows_that_are_shown_are_compared_cell_by_cell(write, houses, monkeypatch):
    """Rows of other cells may have an equal hash."""
    columns = appended(houses(30), [7, 7, 20, 3])
    columns["sold"] = [row % 2 for row in [*range(30), 7, 7, 20, 4]]
    others = {name: [*cells, *taken(columns, [4, 5])[name]] for name, cells in houses(5, seed=1).items()}
    path, other = write(**columns), write("other.csv", **others)
    expected = ko.check(path, other, target="sold")
    combined = chunk.combined
    few = np.uint64(25)

    monkeypatch.setattr(chunk, "combined", lambda of: combined(of) if len(of) == 1 else combined(of) % few)
    report = ko.check(path, other, target="sold")
    assert [*report.duplicates] == [*expected.duplicates] == [(7, 30, 31), (20, 32)]
    assert [*report.conflicts] == [*expected.conflicts] == [(3, 33)]
    assert {*expected.leaks} == {(4, 5), (5, 6)} >= {*report.leaks}
    assert report.examples == {row: words for row, words in expected.examples.items() if row in report.examples}


def test_a_table_of_few_values_has_equal_rows_by_chance(write):
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(0, 4, 500).tolist() for name in "abc"}
    path = write(**columns, y=rng.integers(0, 2, 500).tolist())
    report = ko.check(path, against=path, target="y")

    assert {"duplicates", "leaks"} == {*report.by_chance}
    assert len(report.duplicates)
    assert "by chance" in str(report)
    assert "without(report.duplicates)" not in str(report)


def test_a_table_that_was_appended_to_itself(write, houses):
    report = ko.check(write(**appended(houses(), range(400))), target="price")

    assert len(report.duplicates) == 400
    assert report.duplicates.repeated.tolist() == [*range(400, 800)]
    assert not report.by_chance
    assert not report.target_leaks  # each city, size and year is there twice


def test_rows_that_cannot_be_read_are_listed_with_their_reason(tmp_path, houses, write):
    path = write(**houses())
    lines = path.read_text().splitlines()
    lines[1 + 50] = "wide,1,2,3"
    lines[1 + 60] = "1,2,Rome,3,4"
    lines[1 + 390] = "1"
    path.write_text("\n".join(lines) + "\n")
    report = ko.check(path, target="price")

    assert report.num_bad == 3
    assert [*report.bad] == [50, 60, 390] or {50, 390} < {*report.bad}
    assert "row 50 (line 52), column 'size' (#0): cannot read 'wide'" in report.bad[50]
    assert "row 390 (line 392): expected 4 cells, found 1" in report.bad[390]
    assert report.num_rows == 397
    assert report.found


def test_copies_are_counted_around_rows_that_cannot_be_read(houses, write):
    path = write(**appended(houses(), [7]))
    lines = path.read_text().splitlines()
    lines[1 + 3] = lines[1 + 4] = "wide,1,2,3"
    path.write_text("\n".join(lines) + "\n")

    report = ko.check(path, against=path, target="price")
    assert [*report.duplicates] == [(7, 400)]
    assert len(report.leaks) == report.num_rows == 399


def test_a_split_has_no_row_in_both_parts(write, houses):
    rows = ko.CSVChunkSequence(write(**houses()), "price", features=["size", "year", "city"])
    train, val = rows.split(validation_split=0.25, seed=0)
    report = ko.check(train, against=val)

    assert (report.num_rows, report.num_rows_against, report.found) == (300, 100, False)
    assert report.data.endswith("(training)")


def test_a_copy_on_both_sides_of_a_split_has_the_numbers_of_the_file(write, houses):
    rows = ko.CSVChunkSequence(write(**appended(houses(), range(400))), "price", features=["size", "year", "city"])
    train, val = rows.split(validation_split=0.25, seed=0)
    report = ko.check(train, against=val)

    pairs = [*report.leaks]
    assert pairs
    assert all(abs(row - other) == 400 for row, other in pairs)
    assert {row for row, _ in pairs} <= {*train.row_numbers.tolist()}
    assert {other for _, other in pairs} <= {*val.row_numbers.tolist()}


def test_a_sequence_is_compared_in_the_columns_that_it_uses(write, houses):
    columns = {"note": [*map(str, range(401))], **appended(houses(), [7])}
    rows = ko.CSVChunkSequence(write(**columns), "price", features=["size", "year"], ids=["note"])
    report = ko.check(rows)

    assert [*report.columns] == ["size", "year", "price"]
    assert [*report.duplicates] == [(7, 400)]


def test_several_files_are_one_table(write, houses):
    paths = [write("a.csv", **houses()), write("b.csv", **taken(houses(), [5, 9]))]
    report = ko.check(paths, target="price")

    assert [*report.duplicates] == [(5, 400), (9, 401)]
    assert ko.check(str(paths[0].parent / "*.csv"), target="price").duplicates == report.duplicates


def test_compressed_files_are_checked(tmp_path, write, houses):
    import gzip

    path = write(**appended(houses(), [7]))
    with gzip.open(tmp_path / "rows.csv.gz", "wb") as file:
        file.write(path.read_bytes())

    assert [*ko.check(tmp_path / "rows.csv.gz", target="price").duplicates] == [(7, 400)]
