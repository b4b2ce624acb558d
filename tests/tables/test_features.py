"""Rows made of cells: matrices, dictionaries, targets, weights, codes, and what stands for a missing cell."""

import math
import warnings

import numpy as np
import pytest

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.tables.csv.dialect import Dialect
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.rows import TableRows

HOUSES = """sqft,city,grade,price,weight,sold
1000,Rome,a,1,0.5,yes
2000,Oslo,b,2,1.5,no
,Rome,,3,1.0,yes
1500,,b,4,2.0,no
1500,Bonn,b,5,2.0,no
"""


@pytest.fixture
def make(tmp_path):
    """The rows of a table, settled, and their features."""

    def make(content=HOUSES, dtypes=None, on_bad_row="error", **options):
        path = tmp_path / "houses.csv"
        path.write_text(content)
        table = CSVTable(str(path), Dialect(), dtypes=dtypes, on_bad_row=on_bad_row)
        chosen = dict(
            target="price", features=None, sample_weight=None, categorical=(), missing="error", indicator=False
        )
        features = FeatureSpec(table, **{**chosen, **options})
        rows = TableRows(table, features, None, num_threads=2, limit_bytes=2**20)
        fit_features(rows, None)
        return rows

    return make


def parts(rows):
    """`(x, y, sample_weight)` of all rows, as lists."""

    def as_list(part):
        return {name: as_list(value) for name, value in part.items()} if isinstance(part, dict) else part.tolist()

    out = np.empty((len(rows), *rows.shape), rows.dtype)
    rows.read(np.arange(len(rows)), out)
    x, y, weight = rows.features.parts(out)
    return as_list(x), as_list(y), None if weight is None else as_list(weight)


def error_of(make, *arguments, error=DataError, **options):
    with pytest.raises(error) as caught:
        parts(make(*arguments, **options))
    path, name, rest = str(caught.value).partition("houses.csv")
    return name + rest if name else path


def test_a_matrix_of_all_other_columns(make):
    x, y, weight = parts(make("a,b,price,c\n1,2,3,4\n5,6,7,8\n"))
    assert (x, y, weight) == ([[1, 2, 4], [5, 6, 8]], [3, 7], None)


def test_features_come_in_the_order_in_which_they_are_named(make):
    x, _, weight = parts(make(features=["weight", "sold", "price"], sample_weight="weight"))
    assert x[:2] == [[0.5, 1, 1], [1.5, 0, 2]]
    assert weight == [0.5, 1.5, 1, 2, 2]


def test_several_targets(make):
    _, y, _ = parts(make(target=["price", "sold"], features=["weight"]))
    assert y == [[1, 1], [2, 0], [3, 1], [4, 0], [5, 0]]
    assert parts(make(target=["price"], features=["weight"]))[1] == [[1], [2], [3], [4], [5]]


def test_codes_are_0_for_missing_1_for_unknown_and_then_by_frequency_and_the_alphabet(make):
    rows = make(features=["city"])
    x, _, _ = parts(rows)
    assert x == [[2], [4], [2], [0], [3]]  # Rome twice; Bonn before Oslo
    assert rows.features.vocabularies == {"city": ["Rome", "Bonn", "Oslo"]}
    assert rows.features.parts(np.zeros((1, 2), np.float32))[0].dtype == np.int32
    rows.reset_after_fork()
    rows.features.fit_features({}, {"city": ["Oslo"]})
    assert parts(rows)[0] == [[1], [2], [1], [0], [1]]


def test_codes_beside_numbers_are_numbers(make):
    x, _, _ = parts(make(features=["city", "weight"]))
    assert x == [[2, 0.5], [4, 1.5], [2, 1], [0, 2], [3, 2]]


def test_a_dictionary_of_inputs(make):
    rows = make(features={"dense": ["weight", "sqft"], "city": ["city"], "both": "grade"}, missing={"sqft": -1})
    x, _, _ = parts(rows)
    assert x["dense"] == [[0.5, 1000], [1.5, 2000], [1, -1], [2, 1500], [2, 1500]]
    assert x["city"] == [[2], [4], [2], [0], [3]]
    assert x["both"] == [[3], [2], [0], [2], [2]]
    out = rows.features.parts(np.zeros((1, *rows.shape), np.float32))[0]
    assert [part.dtype for part in out.values()] == [np.float32, np.int32, np.int32]


def test_numbers_as_names(make):
    x, _, _ = parts(make("zip,price\n007,1\n7,2\n007,3\n", categorical=["zip"]))
    assert x == [[2], [3], [2]]
    assert parts(make("zip,price\n007,1\n7,2\n", dtypes={"zip": "string"}, features=["zip"]))[0] == [[2], [3]]


def test_a_target_of_text_is_the_index_of_a_class(make):
    rows = make(target="grade", features=["weight"], missing="drop")
    _, y, _ = parts(rows)
    assert y == [0, 1, 1, 1]
    assert rows.features.vocabularies == {"grade": ["a", "b"]}
    assert rows.features.parts(np.zeros((1, 2), np.float32))[1].dtype == np.int32
    rows.reset_after_fork()
    rows.features.fit_features({}, {"grade": ["a"]})
    with pytest.raises(DataError) as caught:
        parts(rows)
    assert str(caught.value).endswith(
        "houses.csv: row 1 (line 3), column 'grade' (#2): 'b' is none of the 1 classes that the training rows have. "
        "Fix: split with another seed, so that training sees it, or leave out its rows."
    )


def test_dates_are_seconds(make):
    content = "day,price\n1970-01-02,1\n2014-10-13,2\n"
    x, _, _ = parts(make(content, dtypes={"day": "%Y-%m-%d"}))
    assert x == [[86400], [1413158400]]  # days are exact in float32 until 2038
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts(make("day,price\n20141013T000000,1\n", dtypes={"day": "%Y%m%dT%H%M%S"}))
    with pytest.warns(
        UserWarning, match="Column 'day' has times of day, which float32 rounds: seconds since 1970 come"
    ):
        parts(make("day,price\n2014-10-13 10:00:01,1\n", dtypes={"day": "%Y-%m-%d %H:%M:%S"}))


# Missing cells


def test_a_missing_cell_is_an_error(make):
    assert error_of(make, features=["sqft", "weight"]) == (
        "houses.csv: row 2 (line 4), column 'sqft' (#0): the cell is missing. "
        "Missing in this part of the file: 'sqft': 1. Fix: missing='mean', 'nan', 'drop' or {column: value}."
    )
    assert error_of(make, target="grade", features=["sqft"], missing="mean") == (
        "houses.csv: row 2 (line 4), column 'grade' (#2): the cell is missing. "
        "Missing in this part of the file: 'sqft': 1, 'grade': 1. Fix: missing='drop'."
    )
    content = "a,price,w\n1,2,3\n1,,3\n1,2,\n"
    for policy in ("error", "nan", "mean"):
        assert "column 'price' (#1): the cell is missing" in error_of(make, content, missing=policy)
    assert "column 'w' (#2)" in error_of(make, content, sample_weight="w", missing={"price": 0})


def test_nan_mean_and_values(make):
    def third(**options):
        return parts(make(features=["sqft"], **options))[0][2]

    assert math.isnan(third(missing="nan")[0])
    assert third(missing="mean") == [1500]
    assert third(missing={"sqft": 7}) == [7]
    assert third(missing={"sqft": 7}, indicator=True) == [7, 1]
    assert third(missing="mean", indicator=True) == [1500, 1]


def test_drop_leaves_out_rows_with_a_gap_in_a_column_that_is_used(make):
    assert parts(make(missing="drop", features=["sqft", "city"]))[1] == [1, 2, 5]
    assert parts(make(missing="drop", features=["weight"]))[1] == [1, 2, 3, 4, 5]


def test_indicators_end_their_input(make):
    inputs = {"p": ["sqft", "city", "weight"], "q": ["sqft"]}
    x, _, _ = parts(make(features=inputs, missing={"sqft": 0}, indicator=True))
    assert x["p"] == [
        [1000, 2, 0.5, 0, 0],
        [2000, 4, 1.5, 0, 0],
        [0, 2, 1, 1, 0],
        [1500, 0, 2, 0, 0],
        [1500, 3, 2, 0, 0],
    ]
    assert x["q"] == [[1000, 0], [2000, 0], [0, 1], [1500, 0], [1500, 0]]


def test_a_mean_of_nothing_is_no_zero(make):
    assert error_of(make, "a,b,price\n1,,2\n", missing="mean") == (
        "houses.csv: columns have no number that a mean could be taken of: 'b'. "
        "Fix: features=[...] without them, or missing='nan'."
    )


def test_a_column_of_missing_cells_alone(make):
    assert "column 'b' (#1): the cell is missing" in error_of(make, "a,b,price\n1,,2\n")
    assert math.isnan(parts(make("a,b,price\n1,,2\n", missing="nan"))[0][0][1])


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            dict(target="prize"),
            "`target` names a column that does not exist: 'prize'. Did you mean 'price'? Columns: 'sqft', 'city', "
            "'grade', 'price', 'weight', 'sold'",
        ),
        (dict(features=["sqt"]), "`features` names a column that does not exist: 'sqt'. Did you mean 'sqft'?"),
        (dict(sample_weight="wight"), "`sample_weight` names a column that does not exist: 'wight'."),
        (dict(categorical="town"), "`categorical` names a column that does not exist: 'town'."),
        (dict(missing={"town": 1}), "`missing` names a column that does not exist: 'town'."),
        (
            dict(),
            "Columns hold text: 'city', 'grade'. Say which columns are features, features=[...]; or give text codes, "
            "categorical=['city']; or a date's format, dtypes={'city': '%Y-%m-%d'}.",
        ),
        (dict(missing="zero", features=["sqft"]), "`missing` should be one of ('error', 'nan', 'mean', 'drop'), or"),
        (dict(sample_weight="city", features=["sqft"]), "`sample_weight` should be a column of numbers."),
        (dict(features=[]), "`features` should name at least one column of each input."),
        (dict(features={}), "`features` should name at least one input."),
        (dict(features={"a": []}), "`features` should name at least one column of each input."),
        (dict(target=[], features=["sqft"]), "`target` should name at least one column."),
        (dict(target=["city", "price"], features=["sqft"]), "Several targets should all be text, or all numbers."),
    ],
)
def test_options_that_cannot_work(make, options, message):
    assert message in error_of(make, error=OptionError, **options)


# Warnings


def test_what_float32_loses_is_said_once(make):
    with pytest.warns(UserWarning, match="Column") as caught:
        parts(make("id,zip,price\n16777217,007,1\n2,008,16777219\n"))
    assert [str(warning.message) for warning in caught] == [
        "Column 'id' has integers beyond 2^24, which float32 rounds, such as 16777217. If they are names and no "
        "amounts: categorical=['id']",
        "Column 'zip' has numbers with leading zeros, which are lost, such as '007'. If they are names and no amounts: "
        "categorical=['zip']",
        "Column 'price' has integers beyond 2^24, which float32 rounds, such as 16777219. If they are names and no "
        "amounts: categorical=['price']",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts(make("id,zip,price\n16777217,007,1\n", categorical=["id", "zip"]))


def test_a_late_integer_that_float32_rounds_is_said_too(make, monkeypatch):
    monkeypatch.setattr("keras_oocore.tables.csv.reader.SAMPLED_BYTES", 20)
    content = "id,price\n" + "1,1\n" * 1000 + "16777217,1\n" + "1,1\n" * 1000
    rows = make(content)
    with pytest.warns(
        UserWarning, match="Column 'id' has integers beyond 2^24, which float32 rounds".replace("^", r"\^")
    ):
        parts(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows.reset_after_fork()
        parts(rows)
