"""The layout of a row: inputs, targets and weights."""

import warnings

import numpy as np
import pytest
from houses import error_of, parts

from keras_oocore.core.errors import OptionError


def test_features_default_to_all_other_columns(make_rows):
    x, y, weight = parts(make_rows("a,b,price,c\n1,2,3,4\n5,6,7,8\n"))
    assert (x, y, weight) == ([[1, 2, 4], [5, 6, 8]], [3, 7], None)


def test_features_keep_the_order_of_their_names(make_rows):
    x, _, weight = parts(make_rows(features=["weight", "sold", "price"], sample_weight="weight"))
    assert x[:2] == [[0.5, 1, 1], [1.5, 0, 2]]
    assert weight == [0.5, 1.5, 1, 2, 2]


def test_several_targets(make_rows):
    _, y, _ = parts(make_rows(target=["price", "sold"], features=["weight"]))
    assert y == [[1, 1], [2, 0], [3, 1], [4, 0], [5, 0]]
    assert parts(make_rows(target=["price"], features=["weight"]))[1] == [[1], [2], [3], [4], [5]]


def test_as_many_classes_as_rows_warn_from_20_rows_on(make_rows):
    def table(classes):
        return "x,y\n" + "".join(f"{number},{name}\n" for number, name in enumerate(classes))

    unique = [f"row {number}" for number in range(20)]
    with pytest.warns(UserWarning, match="Target 'y' has as many classes as rows: each of the 20 rows") as warned:
        rows = make_rows(table(unique), target="y", features=["x"])
    assert len(warned) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        features = rows.features.unfitted()  # as of the validation part
        features.fit(rows.statistics())
        make_rows(table(unique[:19]), target="y", features=["x"])
        make_rows(table([*unique, "row 0"]), target="y", features=["x"])
    with pytest.warns(UserWarning, match=r"dtypes=\{'x': 'float32'\}"):
        make_rows(table(["a"] * 20), target="x", features=["y"], categorical=["x"])


def test_dictionary_of_inputs(make_rows):
    rows = make_rows(features={"dense": ["weight", "sqft"], "city": ["city"], "both": "grade"}, missing={"sqft": -1})
    x, _, _ = parts(rows)
    assert x["dense"] == [[0.5, 1000], [1.5, 2000], [1, -1], [2, 1500], [2, 1500]]
    assert x["city"] == [[2], [4], [2], [0], [3]]
    assert x["both"] == [[3], [2], [0], [2], [2]]
    out = rows.features.unpack(np.zeros((1, *rows.spec.shape), np.float32))[0]
    assert [part.dtype for part in out.values()] == [np.float32, np.int32, np.int32]


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
            "Columns hold strings: 'city', 'grade'. Choose the features, features=[...]; or leave these out, "
            "exclude=['city', 'grade']; or encode the strings, categorical=['city']; or give the format of dates, "
            "dtypes={'city': '%Y-%m-%d'}.",
        ),
        (dict(missing="zero", features=["sqft"]), "`missing` should be one of ('error', 'nan', 'mean', 'drop'), or"),
        (dict(sample_weight="city", features=["sqft"]), "`sample_weight` should be a column of numbers."),
        (dict(features=[]), "`features` should name at least one column for each input."),
        (dict(features={}), "`features` should name at least one input."),
        (dict(features={"a": []}), "`features` should name at least one column for each input."),
        (dict(target=[], features=["sqft"]), "`target` should name at least one column."),
        (dict(target=["city", "price"], features=["sqft"]), "Several targets should all be strings, or all numbers."),
    ],
)
def test_invalid_options(make_rows, options, message):
    assert message in error_of(make_rows, error=OptionError, **options)
