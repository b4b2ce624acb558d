"""CSVChunkSequence.split into two or three parts: at random, by classes, by groups, and at a date or number."""

import datetime
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from contracts.reading import assert_rejects
from csv_numbers import flat

import keras_oocore as ko
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.tables.csv import table as csv_table

NUM_ROWS = 200


@pytest.fixture
def payments(write, tmp_path, monkeypatch):
    """A function that opens 200 payments: five per customer, 20 frauds, five per day. There are ten chunks."""
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(i // 5) for i in range(NUM_ROWS)]
    lines = [f"{i},c{i // 5},{int(i % 10 == 0)},{days[i]},{2000 + i // 50}\n" for i in range(NUM_ROWS)]
    write("n,customer,fraud,day,year\n" + "".join(lines), "payments.csv")

    def payments(data="payments.csv", **options):
        monkeypatch.setattr(csv_table, "CHUNK_BYTES", 500)
        if options.pop("cached", False):
            options["cache"] = tmp_path / "cache"
        return ko.CSVChunkSequence(
            data, **{"target": "fraud", "features": ["n"], "batch_size": 16, "seed": 7, **options}
        )

    return payments


def numbers(part):
    """The rows of a part as they are served."""
    return [int(n) for x, *_ in part for n in x[:, 0]]


SPLITS = {
    "three": dict(validation_split=0.15, test_split=0.15),
    "test": dict(test_split=0.1),
    "stratify": dict(validation_split=0.2, test_split=0.1, stratify=True),
    "groups": dict(validation_split=0.2, test_split=0.1, groups="customer"),
    "both": dict(validation_split=0.25, groups=["customer", "year"], stratify="fraud"),
    "day": dict(by="day", at=["2024-01-21", "2024-01-31"]),
    "year": dict(by="year", at=2002),
}


@pytest.mark.parametrize(
    ("name", "cached"), [*((name, False) for name in SPLITS), *((name, True) for name in ("three", "both", "day"))]
)
def test_each_row_is_in_one_part_and_only_training_is_shuffled(payments, cached, name, tmp_path):
    parts = payments(cached=cached).split(**SPLITS[name])
    served = [numbers(part) for part in parts]

    assert sorted(flat(served)) == list(range(NUM_ROWS))
    for part, rows in zip(parts, served):
        assert part.num_rows == len(rows)
        assert part.row_numbers.tolist() == sorted(rows)
        assert part.filenames(0)[0].startswith(f"payments.csv: row {part.row_numbers[part.samples_of(0)[0]]} (line ")
    assert served[0] != sorted(served[0])
    assert all(rows == sorted(rows) for rows in served[1:])
    names = {"test": ["training", "test"]}.get(name, ["training", "validation", "test"][: len(parts)])
    assert [re.search("of the (.*) part", repr(part))[1] for part in parts] == names
    if cached:
        assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == sorted(names)
        again = payments(cached=True).split(**SPLITS[name])
        assert [sorted(numbers(part)) for part in again] == [sorted(rows) for rows in served]


def test_parts_have_the_requested_rows(payments):
    rows = payments()
    frauds = [np.mean([y for _, ys in part for y in ys]) for part in rows.split(**SPLITS["stratify"])]
    assert frauds == [0.1, 0.1, 0.1]
    parts = rows.split(**SPLITS["groups"])
    assert [part.num_rows for part in parts] == [140, 40, 20]
    customers = [{n // 5 for n in part.row_numbers.tolist()} for part in parts]
    assert sum(map(len, customers)) == 40
    train, val = rows.split(**SPLITS["year"])
    assert val.row_numbers.tolist() == list(range(100, 200))
    train, val, test = rows.split(**SPLITS["day"])
    assert [len(train.row_numbers), *val.row_numbers[[0, -1]], test.row_numbers[0]] == [100, 100, 149, 150]
    other = rows.split(0.2, 0.1, groups="customer", seed=1)
    assert other[1].row_numbers.tolist() != parts[1].row_numbers.tolist()


def test_split_of_the_default_fraction_and_of_earlier_versions(payments):
    rows = payments()
    default, explicit = rows.split(), rows.split(validation_split=0.2, seed=0)
    assert [part.row_numbers.tolist() for part in default] == [part.row_numbers.tolist() for part in explicit]
    assert explicit[1].state_dict()["fingerprint"]["part"] == {"validation_split": 0.2, "seed": 0, "validation": True}
    assert rows.split(stratify=False)[1].row_numbers.tolist() == default[1].row_numbers.tolist()


@pytest.mark.parametrize(
    ("dtypes", "at"),
    [
        ({}, "2024-01-21"),
        ({}, "2024-01-20 00:00:01"),
        ({}, datetime.date(2024, 1, 21)),
        ({}, datetime.datetime(2024, 1, 21, tzinfo=datetime.UTC)),
        ({}, np.datetime64("2024-01-21")),
        ({}, pd.Timestamp("2024-01-21")),
        ({"day": "%Y-%m-%d"}, "2024-01-21"),
    ],
)
def test_at_is_a_date_in_any_form(payments, dtypes, at):
    train, _ = payments(dtypes=dtypes).split(by="day", at=at)
    assert train.row_numbers.tolist() == list(range(100))


def test_at_has_the_format_of_the_column(write):
    write("x,day\n" + "".join(f"{i},{1 + i:02d}/02/2024\n" for i in range(20)))
    rows = ko.CSVChunkSequence("houses.csv", "x", features=["day"], dtypes={"day": "%d/%m/%Y"})
    assert [part.num_rows for part in rows.split(by="day", at="06/02/2024")] == [5, 15]
    write('x,day\n1,""\n2, 2024-01-02\n3,2024-01-03\n', "padded.csv")
    rows = ko.CSVChunkSequence("padded.csv", None, features=["x"], dtypes={"day": "string"}, missing="drop")
    with pytest.warns(UserWarning, match="1 row is in no part, because its 'day' is missing"):
        parts = rows.split(by="day", at="2024-01-03")
    assert [part.row_numbers.tolist() for part in parts] == [[1], [2]]
    recognized = ko.CSVChunkSequence("houses.csv", "x").split(by="day", at="2024-02-06")
    assert [part.num_rows for part in recognized] == [5, 15]
    write("x,day\n1,week 1\n2,week 2\n")
    with pytest.raises(OptionError, match=r"Column 'day' has strings, such as 'week 1'. .*dtypes=\{'day': '%d"):
        ko.CSVChunkSequence("houses.csv", "x", features=["x"], categorical=["x"]).split(by="day", at="2024-02-06")


@pytest.mark.parametrize("name", ["stratify", "groups", "day"])
def test_state_of_a_part_resumes_that_part_and_no_other(payments, name):
    train, *_ = payments().split(**SPLITS[name])
    batches = iter(train)
    given, state = next(batches)[0].tolist(), train.state_dict()
    again, *_ = payments().split(**SPLITS[name])
    again.load_state_dict(state)
    assert [x.tolist() for x, _ in again] == [x.tolist() for x, _ in batches] != given
    others = {"by": "day", "at": ["2024-01-21", "2024-02-01"]} if name == "day" else {**SPLITS[name], "seed": 1}
    other, *_ = payments().split(**others)
    assert_rejects(
        other,
        {**state, "num_samples": other.num_rows},
        DataError,
        r"the rows were the training part of split\(.*\), are the training",
    )


@pytest.mark.parametrize(
    ("name", "missing"), [*((name, "drop") for name in SPLITS), ("three", "nan"), ("groups", "nan")]
)
def test_parts_add_up_with_missing_cells_and_bad_rows(payments, write, name, missing):
    rng = np.random.default_rng(1)
    lines = []
    for i in range(120):
        cells = [str(i), f"c{rng.integers(9)}", str(int(rng.random() < 0.2)), f"2024-01-{10 + i // 6}", str(1980 + i)]
        for column in rng.permutation([1, 2])[: rng.integers(3) // 2]:
            cells[column] = ""
        if rng.random() < 0.1:
            cells[0] = ""
        lines.append(",".join([*cells, "extra"] if rng.random() < 0.1 else cells) + "\n")
    write("n,customer,fraud,day,year\n" + "".join(lines), "broken.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = payments("broken.csv", target=None, features=["n"], missing=missing, on_bad_row="skip", ids="year")
        options = {**SPLITS[name], **({"stratify": "fraud"} if "stratify" in SPLITS[name] else {})}
        if "at" in options:
            options["at"] = ["2024-01-15", "2024-01-25"] if name == "day" else 2030
        parts = whole.split(**options)
    found = [part.row_numbers.tolist() for part in parts]
    assert sorted(flat(found)) == whole.row_numbers.tolist()
    assert [sum(len(x) for x in part) for part in parts] == [part.num_rows for part in parts]
    ids = dict(zip(whole.row_numbers.tolist(), whole.ids()["year"]))
    assert [part.ids()["year"].tolist() for part in parts] == [[ids[row] for row in rows] for rows in found]


def test_rows_without_a_date_are_an_error_unless_they_are_dropped(payments, write):
    lines = [f"{i},{'' if i in (3, 5) else f'2024-01-{1 + i:02d}'}\n" for i in range(20)]
    write("n,day\n" + "".join(lines), "days.csv")
    options = dict(target=None, features=["n"])
    with pytest.raises(
        DataError, match=r"days.csv: row 3 \(line 5\), column 'day' \(#1\): the cell is missing, so the"
    ):
        payments("days.csv", **options).split(by="day", at="2024-01-11")
    with pytest.warns(UserWarning, match="2 rows are in no part, because their 'day' is missing or cannot be read"):
        train, val = payments("days.csv", missing="drop", **options).split(by="day", at="2024-01-11")
    assert (train.num_rows, val.num_rows) == (8, 10)
    write("n,day\n" + "".join(lines).replace("2024-01-07", "soon"), "days.csv")
    with pytest.raises(
        DataError, match=r"row 6 \(line 8\), column 'day' \(#1\): cannot read 'soon' as a date like '2014-10-13'"
    ):
        payments("days.csv", missing="drop", **options).split(by="day", at="2024-01-11")
    rows = payments("days.csv", missing="drop", on_bad_row="skip", **options)
    with pytest.warns(UserWarning, match="3 rows are in no part"):
        parts = rows.split(by="day", at="2024-01-11")
    assert [part.num_rows for part in parts] == [7, 10]


def test_rows_without_a_group_are_one_group(payments, write):
    write("n,customer\n" + "".join(f"{i},{'' if i % 5 == 0 else f'c{i}'}\n" for i in range(100)), "guests.csv")
    rows = payments("guests.csv", target=None)
    with pytest.warns(UserWarning, match="20 rows have a missing cell in 'customer'. Missing cells are one key"):
        parts = rows.split(0.3, groups="customer")
    assert sorted(sum(part.row_numbers % 5 == 0) for part in parts) == [0, 20]


def test_groups_that_are_features_are_warned_about(payments):
    with pytest.warns(
        UserWarning, match=r"`groups` names features: 'n'. .*Leave them out of `features`, or name them in"
    ):
        train, val = payments().split(groups="n")
    assert sorted(numbers(train) + numbers(val)) == list(range(NUM_ROWS))  # a number as a feature, and text as a key
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        payments().split(groups="customer")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            dict(validation_split=5),
            "`validation_split` should be a fraction between 0 and 1. Received: validation_split=5",
        ),
        (dict(test_split=0), "`test_split` should be a fraction between 0 and 1"),
        (dict(validation_split=0.6, test_split=0.5), "their sum should be less than 1"),
        (dict(stratify="fruad"), "`stratify` names a column that does not exist: 'fruad'. Did you mean 'fraud'?"),
        (dict(stratify=[0, 1]), "`stratify` should be the name of a column, or True for the target"),
        (
            dict(stratify="n", test_split=0.1),
            r"Too few rows of class '0' (1), '1' (1), '2' (1), '3' (1), '4' (1) and 195",
        ),
        (dict(groups="costumer"), "`groups` names a column that does not exist: 'costumer'. Did you mean 'customer'?"),
        (dict(groups=[]), "`groups` should be the name of a column, or a list of names"),
        (dict(groups=np.arange(200)), "`groups` should be the name of a column, or a list of names"),
        (dict(groups="fraud", test_split=0.1, validation_split=0.1), "2 groups are too few for 3 parts"),
        (dict(by="day"), "`by` and `at` divide the rows at a value. Pass both, and no other argument"),
        (dict(at=3), "Received: by=None, at=3"),
        (dict(by="day", at="2024-01-05", stratify="fraud"), "Received: by='day', at='2024-01-05', stratify='fraud'"),
        (dict(by=3, at=3), "`by` should be the name of a column of dates or numbers"),
        (dict(by="days", at=3), "`by` names a column that does not exist: 'days'. Did you mean 'day'?"),
        (dict(by="customer", at=3), "Column 'customer' has strings, such as 'c0'"),
        (dict(by="day", at="tomorrow"), "`at` should be a date like '2024-09-01' or '%Y-%m-%d', as in column 'day'"),
        (dict(by="day", at=2024), "Received: at=2024."),
        (dict(by="day", at=np.datetime64("NaT")), "`at` should be a date like"),
        (
            dict(by="year", at="2002"),
            "`at` should be a number, as in column 'year'. Received: at='2002'. If the column",
        ),
        (dict(by="year", at=np.nan), "`at` should be a number"),
        (dict(by="year", at=[2002, 2001]), "`at` should be two values, the smaller one first"),
        (dict(by="year", at=[2001, 2001]), "`at` should be two values, the smaller one first"),
        (dict(by="year", at=[2001, 2002, 2003]), "`at` should be one value, or two for three parts"),
        (dict(by="year", at=[]), "`at` should be one value, or two for three parts"),
    ],
)
def test_invalid_arguments(payments, options, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        payments().split(**options)


def test_empty_parts_are_errors_that_say_why(payments):
    with pytest.raises(DataError, match=r"test_split=0.001 of 200 rows leaves none for testing"):
        payments().split(0.2, 0.001)
    message = (
        "No row is for validation: column 'day' has no value from 2025-01-01 on. Its values are from 2024-01-01 to"
    )
    with pytest.raises(DataError, match=message):
        payments().split(by="day", at="2025-01-01")
    with pytest.raises(OptionError, match="Only a Sequence of all rows can be split"):
        payments().split(0.2, 0.1)[2].split()
