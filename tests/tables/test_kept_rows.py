"""A table without some of its rows, in every format that is a table, and `without` of a Sequence."""

import pickle

import numpy as np
import pytest
from contracts.tables import TableFormatContract

import keras_oocore as ko
from keras_oocore.csv.dialect import Dialect
from keras_oocore.tables.csv import table as csv_table
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.kept_rows import KeptRows


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(csv_table, "CHUNK_BYTES", 200)


@pytest.fixture
def rows(tmp_path):
    """Row `i` is `(i, c<i % 7>)`, with the target `i`."""
    path = tmp_path / "rows.csv"
    path.write_text("x,city,y\n" + "".join(f"{i},c{i % 7},{i}\n" for i in range(100)))
    return ko.CSVChunkSequence(path, "y", features=["x", "city"], batch_size=10, shuffle=False)


class TestWithoutAnyRow(TableFormatContract):
    """A table that lacks none of its rows is the table."""

    def write(self, folder, first=0):
        rows = [f"{'' if row == 7 else first + row},n{first + row}\n" for row in range(30)]
        (folder / "rows.csv").write_text("number,name\n" + "".join(rows))

    def open(self, folder, num_rows=None):
        table = CSVTable(folder / "rows.csv", Dialect(), num_rows=num_rows)
        return KeptRows(table, np.zeros(0, np.int64))

    @pytest.fixture(autouse=True)
    def smaller_chunks(self, monkeypatch):
        monkeypatch.setattr(csv_table, "CHUNK_BYTES", 64)


def served(sequence):
    return np.concatenate([y for _, y in sequence]).astype(int).tolist()


def test_rows_are_left_out_and_others_keep_their_numbers(rows):
    kept = rows.without([3, 50, 99, 3])

    expected = [i for i in range(100) if i not in (3, 50, 99)]
    assert served(kept) == expected
    assert kept.row_numbers.tolist() == expected
    assert (len(rows), rows.num_rows, kept.num_rows) == (10, 100, 97)


def test_what_a_report_found_can_be_passed(tmp_path):
    path = tmp_path / "rows.csv"
    rng = np.random.default_rng(0)
    cells = [f"{x},{i % 2}" for i, x in enumerate(rng.normal(size=60).tolist())]
    cells += [cells[5], cells[7], cells[9].replace(",1", ",0")]
    path.write_text("x,y\n" + "\n".join(cells) + "\n")
    rows = ko.CSVChunkSequence(path, "y", categorical=["y"])
    report = ko.check(rows, against=rows)

    assert rows.without(report.duplicates).num_rows == 61
    with pytest.raises(ko.OptionError, match="No program knows which of several classes is right"):
        rows.without(report.conflicts)
    assert rows.without(report.conflicts.rows).num_rows == 61
    with pytest.raises(ko.DataError, match="left"):
        rows.without(report.leaks)


def test_a_report_about_another_table_is_refused(tmp_path):
    train = {"x": [1.0, 1.0, 2.0, 3.0], "y": [0, 0, 1, 1]}
    test = {"x": [7.0, 3.0, 8.0], "y": [0, 1, 1]}
    report = ko.check(train, against=test, target="y")
    rows, others = (ko.TableSequence(data, "y", features=["x"]) for data in (train, test))

    for found in (report.duplicates, report.leaks):
        with pytest.raises(ko.OptionError, match=r"about a table of 4 rows, and this one has 3. Call `without` of the"):
            others.without(found)
    assert rows.without(report.duplicates).row_numbers.tolist() == [0, 2, 3]
    assert rows.without([0]).without(report.leaks).row_numbers.tolist() == [1, 2]
    assert others.without(report.leaks.others).row_numbers.tolist() == [0, 2]  # as the message says
    assert rows.without(ko.check(rows.without([3]), target="y").duplicates).row_numbers.tolist() == [0, 2, 3]


@pytest.mark.parametrize("on_bad_row", ["error", "skip"])
def test_a_report_about_files_is_that_of_a_sequence_of_them(tmp_path, on_bad_row):
    path, bad = tmp_path / "rows.csv", "x" if on_bad_row == "skip" else "5"
    path.write_text(f"a,b,y\n1,2,0\n{bad},2,0\n1,2,0\n7,8,1\n" + ("1,2\n" if on_bad_row == "skip" else ""))
    options = {"dtypes": {"a": "float32"}, "shuffle": False, "on_bad_row": on_bad_row}
    rows = ko.CSVChunkSequence(path, "y", **options)

    assert rows.without(ko.check(path, target="y").duplicates).num_rows == rows.num_rows - 1


def test_a_split_divides_the_other_rows(rows):
    removed = [*range(0, 100, 5)]
    for options in ({"validation_split": 0.25, "seed": 1}, {"by": "x", "at": 50}, {"stratify": "city", "seed": 1}):
        train, val = rows.without(removed).split(**options)
        assert sorted(served(train) + served(val)) == [i for i in range(100) if i % 5]


def test_means_and_codes_are_those_of_the_other_rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,city,y\n1,Rome,1\n3,Oslo,2\n,Rome,3\n800,Bern,4\n")
    rows = ko.CSVChunkSequence(path, "y", features=["x", "city"], missing="mean", shuffle=False)

    assert rows.vocabulary("city") == ["Rome", "Bern", "Oslo"]
    kept = rows.without([3])
    assert kept.vocabulary("city") == ["Rome", "Oslo"]
    assert kept[0][0].tolist() == [[1, 2], [3, 3], [2, 2]]
    assert rows.vocabulary("city") == ["Rome", "Bern", "Oslo"]


def test_more_rows_can_be_left_out(rows):
    assert served(rows.without([1, 2]).without([2, 3]))[:3] == [0, 4, 5]
    assert rows.without([]).num_rows == 100


def test_rows_with_missing_cells_are_left_out_too(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"{'' if i == 4 else i},{i}\n" for i in range(60)))
    rows = ko.CSVChunkSequence(path, "y", missing="drop", shuffle=False)

    assert served(rows.without([4, 6]))[:6] == [0, 1, 2, 3, 5, 7]
    assert rows.without([4, 6]).num_rows == 58


def test_a_cache_stores_the_other_rows_and_is_not_that_of_all(rows, tmp_path):
    path = tmp_path / "rows.csv"

    def opened():
        return ko.CSVChunkSequence(path, "y", features=["x", "city"], shuffle=False, cache=tmp_path / "cache")

    assert served(opened().without([5])) == [i for i in range(100) if i != 5]
    assert served(opened().without([5])) == [i for i in range(100) if i != 5]
    with pytest.raises(ko.DataError, match="stores other rows: `without` left out 1 row, now no rows are left out; "):
        served(opened())
    with pytest.raises(
        ko.DataError, match=r"left out 1 row, now it leaves out 1 other row\. Pass overwrite_cache=True"
    ):
        served(opened().without([6]))


def test_a_cache_or_a_state_of_all_rows_is_not_that_of_some(rows, tmp_path):
    message = r"no rows were left out, now `without` leaves out 2 rows\."
    with pytest.raises(
        ko.DataError, match=f"The state belongs to other data: .*{message} Create the Sequence with the"
    ):
        rows.without([5, 6]).load_state_dict(rows.state_dict())
    cached = ko.CSVChunkSequence(tmp_path / "rows.csv", "y", features=["x"], cache=tmp_path / "cache")
    assert len(served(cached)) == 100
    with pytest.raises(ko.DataError, match=f"stores other rows: .*{message} Pass overwrite_cache=True"):
        served(cached.without([5, 6]))


def test_ids_and_errors_name_the_rows_of_the_file(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id,x,y\n" + "".join(f"k{i},{i},{i}\n" for i in range(100)))
    rows = ko.CSVChunkSequence(path, "y", features=["x"], ids=["id"], shuffle=False, batch_size=10).without([0, 2])

    assert rows.ids()["id"][:3].tolist() == ["k1", "k3", "k4"]
    path.write_text("id,x,y\n" + "".join(f"k{i},{'?' if i == 80 else i},{i}\n" for i in range(100)))
    rows = ko.CSVChunkSequence(path, "y", features=["x"], shuffle=False, batch_size=10).without([0, 2])
    with pytest.raises(ko.DataError, match=r"row 80 \(line 82\)"):
        served(rows)


def test_it_pickles_and_shuffles_every_row_once(rows):
    kept = pickle.loads(pickle.dumps(rows.without([5])))
    assert sorted(served(kept)) == [i for i in range(100) if i != 5]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([100], "numbers from 0 to 99. Received: 100"),
        ([-1], "Received: -1"),
        ([1.5], "`rows` should be numbers of rows"),
        ([True], "`rows` should be numbers of rows"),
        ("7", "`rows` should be numbers of rows"),
        (7, "`rows` should be numbers of rows"),
        (np.zeros((2, 2), int), "`rows` should be numbers of rows"),
    ],
)
def test_wrong_rows(numbers, message, rows):
    with pytest.raises(ko.OptionError, match=message):
        rows.without(numbers)


def test_a_part_is_refused(rows):
    train, _ = rows.split(validation_split=0.2, seed=0)
    with pytest.raises(ko.OptionError, match="Call it before `split`"):
        train.without([1])
    with pytest.raises(ko.OptionError, match="Call it before `split`"):
        rows.partition(2)[0].without([1])


def test_no_row_is_left(rows):
    with pytest.raises(ko.DataError, match=r"None of the .* rows in .* is left with without\(rows\)\."):
        rows.without(rows.row_numbers)
