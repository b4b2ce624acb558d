"""Predictions of a table whose rows cannot all be read: each row of the file has one, or says why it has none."""

import csv

import numpy as np
import pytest

import keras_oocore as ko

NUM_ROWS = 23
BAD = {0: "many", 5: "no number", 6: "few", 7: "few", 22: "few"}  # also the first and the last row
ROWS = {"many": "{i},{i},1,2,3", "no number": "{i},x,a", "few": "{i}"}


class Doubling:
    """A model that returns twice the first feature."""

    def predict_on_batch(self, x):
        return 2 * x


@pytest.fixture
def prices(write):
    """A file of 23 rows. The feature of row i is i, and five rows cannot be read."""
    lines = [ROWS[BAD[i]].format(i=i) if i in BAD else f"{i},{i},{'ab'[i % 2]}" for i in range(NUM_ROWS)]
    write("id,size,kind\n" + "\n".join(lines) + "\n", "prices.csv")

    def open(**options):
        defaults = dict(target=None, features=["size"], dtypes={"size": "float32"}, on_bad_row="skip", batch_size=4)
        return ko.CSVChunkSequence("prices.csv", **{**defaults, **options})

    return open


def assert_rows(table):
    assert table["row"].tolist() == list(range(NUM_ROWS))
    predicted = np.array([np.nan if i in BAD else 2.0 * i for i in range(NUM_ROWS)])
    np.testing.assert_array_equal(table["prediction"], predicted)
    assert [bool(error) for error in table["error"]] == [i in BAD for i in range(NUM_ROWS)]


@pytest.mark.parametrize("batch_size", [1, 4, 50])
@pytest.mark.parametrize("options", [dict(shuffle=True, seed=1), dict(shuffle=False), dict(cache="cache")])
def test_each_row_of_the_file_has_a_row(prices, batch_size, options):
    with pytest.warns(
        UserWarning, match=r"5 rows are left out, and have no prediction \('.*prices.csv: row 0 \(line 2"
    ):
        table = ko.predict(Doubling(), prices(batch_size=batch_size, **options))

    assert_rows(table)
    assert table["error"][5] == "the row cannot be read, and on_bad_row='skip' leaves it out"
    assert "5 of them cannot be read" in repr(table)


def test_a_file_of_predictions_has_the_same_rows(prices, in_tmp_path):
    with pytest.warns(UserWarning, match="5 rows are left out"):
        path = ko.predict(Doubling(), prices(ids=["id"]), to="out.csv", columns=["id", "row", "prediction", "error"])

    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["row"]) for row in rows] == list(range(NUM_ROWS))
    assert [row["prediction"] for row in rows] == ["" if i in BAD else f"{2.0 * i}" for i in range(NUM_ROWS)]
    assert [row["id"] for row in rows if row["id"]] == [str(i) for i in range(NUM_ROWS) if rows[i]["id"]]
    assert rows[5]["id"] == "5"  # the cell that cannot be read is another one


def test_a_parquet_file_of_predictions_has_the_same_rows(prices):
    pq = pytest.importorskip("pyarrow.parquet")
    with pytest.warns(UserWarning, match="5 rows are left out"):
        found = pq.read_table(ko.predict(Doubling(), prices(), to="out.parquet"))

    assert_rows({name: found.column(name).to_numpy() for name in found.column_names})


def test_incomplete_rows_are_named(write):
    write("size,kind\n1,a\n,b\n3,a\n")
    rows = ko.CSVChunkSequence("houses.csv", "kind", features=["size"], missing="drop")

    with pytest.warns(UserWarning, match="1 row is left out, and has no prediction"):
        table = ko.predict(Doubling(), rows)
    assert table["error"].tolist() == ["", "a cell is missing, and missing='drop' leaves the row out", ""]
    assert table["label"].tolist() == ["a", None, "a"]


def test_whole_rows_have_no_errors_and_parts_have_their_own_rows(prices, write):
    train, val = prices().split(validation_split=0.25)
    for part in (train, val, prices().partition(2)[0]):
        table = ko.predict(Doubling(), part)
        assert table["row"].tolist() == sorted(part.row_numbers.tolist())
        assert "error" not in table
    write("size\n1\n2\n")
    table = ko.predict(Doubling(), ko.CSVChunkSequence("houses.csv", None, on_bad_row="skip"))
    assert table["error"].tolist() == ["", ""]


def test_rows_that_the_user_left_out_have_no_row(prices):
    removed = [0, 1, 6, 9, 21, 22]
    with pytest.warns(UserWarning, match="2 rows are left out, and have no prediction"):
        table = ko.predict(Doubling(), prices(ids="id").without(removed), columns=["row", "id", "error", "prediction"])

    kept = [i for i in range(NUM_ROWS) if i not in removed]
    assert table["row"].tolist() == kept
    assert [i for i, error in zip(kept, table["error"]) if error] == [5, 7]
    assert table["id"].tolist() == ["" if i == 7 else str(i) for i in kept]  # row 7 has too few cells
    np.testing.assert_array_equal(table["prediction"], [np.nan if i in BAD else 2.0 * i for i in kept])


QUOTES = {0: '0,0,"a" b', 5: '5,5,"x"y', 22: '22,22,"never closed'}


@pytest.fixture
def quoted(write):
    """A file of 23 rows. Three of them are lost to a quote."""
    write("id,size,kind\n" + "\n".join(QUOTES.get(i, f"{i},{i},n") for i in range(NUM_ROWS)) + "\n", "quoted.csv")

    def open(**options):
        return ko.CSVChunkSequence(
            "quoted.csv", None, features=["size"], ids=["id"], on_bad_row="skip", batch_size=4, **options
        )

    return open


@pytest.mark.parametrize("to", [None, "out.csv"])
def test_rows_that_are_lost_to_a_quote_are_named_once_with_file_and_line(quoted, to, recwarn):
    rows = quoted()
    recwarn.clear()
    table = ko.predict(Doubling(), rows, to=to, columns=["id", "row", "prediction"])

    if to:
        with open(table, newline="") as file:
            table = {name: [row[name] for row in csv.DictReader(file)] for name in ("id",)}
    assert list(table["id"]) == [str(i) for i in range(NUM_ROWS) if i not in QUOTES]
    (warned,) = recwarn
    assert str(warned.message) == (
        "3 rows are not in the predictions, because of a quote ('quoted.csv: line 2': misplaced quote in "
        "'0,0,\"a\" b'; 'quoted.csv: line 7': misplaced quote in '5,5,\"x\"y'; 'quoted.csv: line 24': the quoted field "
        "that opens in '\"never closed' is never closed). They have no row numbers. Fix the file to predict them."
    )


def test_the_first_of_many_rows_with_quotes_are_named_and_parts_name_none(quoted, write, recwarn):
    quoted().split(validation_split=0.25)
    recwarn.clear()
    for part in (*quoted().split(validation_split=0.25), quoted().partition(2)[0]):
        ko.predict(Doubling(), part)
    assert not [warned for warned in recwarn if "quote" in str(warned.message)]

    bad = '1,"a"b,n'
    write("id,size,kind\n" + f"1,1,n\n{bad}\n" * 12, "quoted.csv")
    with pytest.warns(UserWarning, match="12 rows are not in the predictions.*quoted.csv: line 21': .* and 2 more"):
        assert ko.predict(Doubling(), quoted().without([0])).num_rows == 11
    write(f"id,size,kind\n1,1,n\n{bad}\n", "quoted.csv")
    with pytest.warns(UserWarning, match=r"^1 row is not in the predictions.*It has no row number\. Fix the file to"):
        assert ko.predict(Doubling(), quoted(cache="cache")).num_rows == 1
