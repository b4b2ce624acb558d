"""Cells as rows of numbers: replacements for missing cells, codes and weights."""

import math
import warnings
from collections import Counter

import numpy as np
import pytest
from csv_outcomes import (
    TEXT,
    Fails,
    Rows,
    at,
    infinite,
    late,
    make,
    outcome_of,
    outcomes,
    unreadable,
    write,
)
from houses import error_of, parts

import keras_oocore as ko
from keras_oocore.core.errors import DataError
from keras_oocore.tables.statistics import ColumnStatistics

GAP = "the cell is missing. Missing cells in this part of the data:"
REMEDIES = "Fix: missing='mean', 'nan', 'drop' or {column: value}."


@outcomes(
    ('NA and "NA"', 'x,y\nNA,1\n"NA",2\n"",3\n,4\n', dict(categorical=["x"]),
     Rows([None, "NA", "", None], [1, 2, 3, 4])),
    ('NA and "NA" among numbers', 'x,y\nNA,1\n"NA",2\n"",3\n,4\n5,5\n', dict(missing={"x": -1}),
     Rows([-1, -1, -1, -1, 5], [1, 2, 3, 4, 5])),
    ("a missing number", "x,y\n1,2\n,3\n,4\n", {}, at(1, f"{GAP} 'x': 2. {REMEDIES}", "x")),
    ("missing numbers in several columns", "x,y,z\n1,2,3\n,2,\n1,2,\n", {},
     at(1, f"{GAP} 'x': 1, 'z': 2. {REMEDIES}", "x")),
    ("a missing target", "x,y\n1,2\n3,\n", dict(missing="mean"), at(1, f"{GAP} 'y': 1. Fix: missing='drop'.", "y")),
    ("no null values, numbers", late(",2"), dict(null_values=[]), unreadable(99, "")),
    ("no null values, strings", "x,y\n,2\nNA,4\n", dict(null_values=[], **TEXT), Rows(["", "NA"], [2, 4])),
    ("a column without a number", "x,y\n,2\n,4\n", dict(missing="nan"), Rows([None, None], [2, 4])),
    ("a column without a number, as names", "x,y\n,2\n,4\n", dict(categorical=["x"]), Rows([None, None], [2, 4])),
    ("a column without a number and its mean", "x,y\n,2\n,4\n", dict(missing="mean"),
          Fails("houses.csv: columns have no number to compute a mean of: 'x'. "
                "Fix: features=[...] without them, or missing='nan'.")),
    ("the mean of an infinity", "x,y\ninf,2\n1,2\n,2\n", dict(missing="mean"),
          Rows([np.inf, 1, 1], [2, 2, 2], infinite(0))),
    ("all rows have a gap", "x,y\n1,\n2,\n", dict(missing="drop"),
     Fails("None of the 2 rows in 'houses.csv' is left with missing='drop'.")),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)


def test_weights_are_kept_but_a_missing_weight_is_an_error(folder):
    write("x,w,y\n1,-1,2\n1,inf,2\n1,0,2\n")
    with pytest.warns(UserWarning, match="column 'w': the number is inf"):
        [(_, _, weights)] = make(sample_weight="w")
    assert weights.tolist() == [-1, np.inf, 0]
    write("x,w,y\n1,nan,2\n")
    assert outcome_of(sample_weight="w", missing="nan") == Fails(
        f"houses.csv: row 0 (line 2), column 'w' (#1): {GAP} 'w': 1. Fix: missing='drop'."
    )


def test_codes_of_missing_unknown_and_frequent_strings(make_rows):
    rows = make_rows(features=["city"])
    x, _, _ = parts(rows)
    assert x == [[2], [4], [2], [0], [3]]  # Rome twice; Bonn before Oslo
    assert rows.features.vocabularies == {"city": ["Rome", "Bonn", "Oslo"]}
    assert rows.features.unpack(np.zeros((1, 2), np.float32))[0].dtype == np.int32
    rows.close()
    rows.features.fit({"city": ColumnStatistics(rows.features.columns[0], counts=Counter(["Oslo"]))})
    assert parts(rows)[0] == [[1], [2], [1], [0], [1]]


def test_codes_beside_numbers_are_float32(make_rows):
    x, _, _ = parts(make_rows(features=["city", "weight"]))
    assert x == [[2, 0.5], [4, 1.5], [2, 1], [0, 2], [3, 2]]


def test_categorical_numbers(make_rows):
    x, _, _ = parts(make_rows("zip,price\n007,1\n7,2\n007,3\n", categorical=["zip"]))
    assert x == [[2], [3], [2]]
    assert parts(make_rows("zip,price\n007,1\n7,2\n", dtypes={"zip": "string"}, features=["zip"]))[0] == [[2], [3]]


def test_target_of_strings_is_a_class_index(make_rows):
    rows = make_rows(target="grade", features=["weight"], missing="drop")
    _, y, _ = parts(rows)
    assert y == [0, 1, 1, 1]
    assert rows.features.vocabularies == {"grade": ["a", "b"]}
    assert rows.features.unpack(np.zeros((1, 2), np.float32))[1].dtype == np.int32
    rows.close()
    statistics = {column.name: ColumnStatistics(column, count=1) for column in rows.features.columns}
    statistics["grade"].counts["a"] = 1
    rows.features.fit(statistics)
    with pytest.raises(DataError) as caught:
        parts(rows)
    assert str(caught.value).endswith(
        "houses.csv: row 1 (line 3), column 'grade' (#2): 'b' is not one of the 1 classes of the training rows. "
        "Fix: train on rows that have it, or remove its rows."
    )


def test_dates_are_days_since_1970(make_rows):
    content = "day,price\n1970-01-02,1\n2014-10-13,2\n"
    x, _, _ = parts(make_rows(content))
    assert x == [[1], [16356]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts(make_rows("day,price\n2038-01-21T12:00:00,1\n"))  # noon is exact


def test_times_of_day_that_float32_moves_are_warned_of_once(make_rows):
    content = "day,price\n2014-10-13 10:00:01,1\n"
    message = (
        "Column 'day' has times of day. Days since 1970 in float32 keep them in steps of 84 seconds. To keep them: "
        "dates={'day': ['days', 'hour', 'minute']}"
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = make_rows(content)
        for _ in range(2):
            parts(rows)
            rows.close()
        assert [str(warning.message) for warning in caught] == [message]
        x, _, _ = parts(make_rows(content, dates={"day": ["days", "hour", "minute"]}))
    assert len(caught) == 1
    assert x == [[np.float32(16356 + (10 * 3600 + 1) / 86400), 10, 0]]


def test_a_time_without_a_date_keeps_its_minutes(make_rows):
    content = "t,price\n" + "".join(f"{minute // 60:02d}:{minute % 60:02d},1\n" for minute in range(1440))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x, _, _ = parts(make_rows(content, dtypes={"t": "%H:%M"}))
    assert [round(1440 * fraction) for (fraction,) in x] == list(range(1440))
    assert max(abs(1440 * fraction - minute) for minute, (fraction,) in enumerate(x)) < 1e-3


def test_missing_cell_is_an_error(make_rows):
    assert error_of(make_rows, features=["sqft", "weight"]) == (
        "houses.csv: row 2 (line 4), column 'sqft' (#0): the cell is missing. "
        "Missing cells in this part of the data: 'sqft': 1. "
        "Fix: missing='mean', 'nan', 'drop' or {column: value}."
    )
    assert error_of(make_rows, target="grade", features=["sqft"], missing="mean") == (
        "houses.csv: row 2 (line 4), column 'grade' (#2): the cell is missing. "
        "Missing cells in this part of the data: 'sqft': 1, 'grade': 1. Fix: missing='drop'."
    )
    content = "a,price,w\n1,2,3\n1,,3\n1,2,\n"
    for policy in ("error", "nan", "mean"):
        assert "column 'price' (#1): the cell is missing" in error_of(make_rows, content, missing=policy)
    assert "column 'w' (#2)" in error_of(make_rows, content, sample_weight="w", missing={"price": 0})


def test_missing_nan_mean_and_values(make_rows):
    def third(**options):
        return parts(make_rows(features=["sqft"], **options))[0][2]

    assert math.isnan(third(missing="nan")[0])
    assert third(missing="mean") == [1500]
    assert third(missing={"sqft": 7}) == [7]
    assert third(missing={"sqft": 7}, indicator=True) == [7, 1]
    assert third(missing="mean", indicator=True) == [1500, 1]


def test_missing_drop_considers_the_columns_that_are_read(make_rows):
    assert parts(make_rows(missing="drop", features=["sqft", "city"]))[1] == [1, 2, 5]
    assert parts(make_rows(missing="drop", features=["weight"]))[1] == [1, 2, 3, 4, 5]


def test_indicator_is_appended_to_its_input(make_rows):
    inputs = {"p": ["sqft", "city", "weight"], "q": ["sqft"]}
    x, _, _ = parts(make_rows(features=inputs, missing={"sqft": 0}, indicator=True))
    assert x["p"] == [
        [1000, 2, 0.5, 0, 0],
        [2000, 4, 1.5, 0, 0],
        [0, 2, 1, 1, 0],
        [1500, 0, 2, 0, 0],
        [1500, 3, 2, 0, 0],
    ]
    assert x["q"] == [[1000, 0], [2000, 0], [0, 1], [1500, 0], [1500, 0]]


def test_mean_of_an_empty_column_is_an_error(make_rows):
    assert error_of(make_rows, "a,b,price\n1,,2\n", missing="mean") == (
        "houses.csv: columns have no number to compute a mean of: 'b'. "
        "Fix: features=[...] without them, or missing='nan'."
    )


def test_column_of_missing_cells_only(make_rows):
    assert "column 'b' (#1): the cell is missing" in error_of(make_rows, "a,b,price\n1,,2\n")
    assert math.isnan(parts(make_rows("a,b,price\n1,,2\n", missing="nan"))[0][0][1])


def test_warning_about_float32_is_issued_once(make_rows):
    with pytest.warns(UserWarning, match="Column") as caught:
        parts(make_rows("id,zip,price\n16777217,007,1\n2,008,16777219\n"))
    assert [str(warning.message) for warning in caught] == [
        "Column 'id' has integers beyond 2^24, which float32 rounds, such as 16777217. If they are names and "
        "not amounts: categorical=['id']",
        "Column 'zip' has numbers with leading zeros, which are lost, such as '007'. If they are names and "
        "not amounts: categorical=['zip']",
        "Column 'price' has integers beyond 2^24, which float32 rounds, such as 16777219. If they are names and "
        "not amounts: categorical=['price']",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts(make_rows("id,zip,price\n16777217,007,1\n", categorical=["id", "zip"]))


def test_warning_about_a_late_integer_that_float32_rounds(make_rows, monkeypatch):
    monkeypatch.setattr("keras_oocore.csv.sample.SAMPLED_BYTES", 20)
    content = "id,price\n" + "1,1\n" * 1000 + "16777217,1\n" + "1,1\n" * 1000
    rows = make_rows(content)
    with pytest.warns(
        UserWarning, match="Column 'id' has integers beyond 2^24, which float32 rounds".replace("^", r"\^")
    ):
        parts(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows.close()
        parts(rows)


def test_an_infinite_number_is_warned_of_once_per_column(make_rows):
    rows = make_rows("a,b,price\n1,1,1\ninf,1,-inf\n-inf,1,1\n")
    with pytest.warns(UserWarning, match="the number is") as caught:
        parts(rows)
    assert [str(warning.message).partition("houses.csv: ")[2].partition(",  and")[0][:49] for warning in caught] == [
        "row 1 (line 3), column 'a': the number is inf, an",
        "row 1 (line 3), column 'price': the number is -in",
    ]


def test_names_that_are_large_floats_are_warned_of_once():
    floats = {"id": np.array([1e18, 5, np.nan]), "a": [1.0, 2, 3]}
    with pytest.warns(
        UserWarning, match=r"Column 'id' has floats from 2\^53 on, such as 1000000000000000000"
    ) as caught:
        ids = ko.TableSequence(floats, None, features=["a"], ids="id", shuffle=False).ids()["id"]
    assert len(caught) == 1
    assert ids.tolist() == ["1000000000000000000", "5", ""]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = {**floats, "id": [10**18, 5, None]}
        ids = ko.TableSequence(whole, None, features=["a"], ids="id", shuffle=False).ids()["id"]
    assert ids.tolist() == [str(10**18), "5", ""]
