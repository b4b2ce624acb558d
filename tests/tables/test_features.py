"""The layout of a row: inputs, targets and weights."""

import warnings

import numpy as np
import pytest
from houses import error_of, parts

import keras_oocore as ko
from keras_oocore.core.errors import OptionError


def test_features_default_to_all_other_columns(make_rows):
    x, y, weight = parts(make_rows("a,b,price,c\n1,2,3,4\n5,6,7,8\n"))
    assert (x, y, weight) == ([[1, 2, 4], [5, 6, 8]], [3, 7], None)


def test_excluded_columns_are_not_features(make_rows):
    content = "a,b,price,c\n1,2,3,4\n5,6,7,8\n"
    assert parts(make_rows(content, exclude=["b"]))[0] == [[1, 4], [5, 8]]
    assert parts(make_rows(content, exclude="b", features={"x": ["a", "b"], "z": "c"}))[0] == {
        "x": [[1], [5]],
        "z": [[4], [8]],
    }
    assert parts(make_rows(exclude=["city", "grade"], missing="mean"))[0][0] == [1000, 0.5, 1]  # no strings are left


IDS = "id,no,text,emb,price\n" + "".join(
    f'{9 * i + 90_000_000},{i},"review {i}, good","[0.1, {i}]",{i % 7}\n' for i in range(100)
)


def warnings_of(make_rows, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make_rows(IDS, **options)
    return [str(warning.message) for warning in caught]


def test_one_warning_names_the_features_that_say_little_about_other_rows(make_rows):
    assert warnings_of(make_rows, categorical=["text", "emb"]) == [
        "Features that say little about other rows: 'id' (a different number per row), 'no' (numbers of the rows), "
        "'text' (free text), 'emb' (lists in its cells). Leave them out: exclude=['id', 'no', 'text', 'emb']"
    ]
    assert warnings_of(make_rows, exclude=["id", "text", "emb"], target="no") == []


def test_named_features_warn_only_if_codes_cannot_be_learnt(make_rows):
    assert warnings_of(make_rows, features=["text", "no"]) == [
        "Features that say little about other rows: 'text' (free text). Leave them out: exclude=['text']"
    ]
    assert warnings_of(make_rows, features=["id", "no"], categorical=["id"]) == []
    assert warnings_of(make_rows, features=["id"]) == [
        "Column 'id' has integers beyond 2^24, which float32 rounds, such as 90000009. If they are names and not "
        "amounts: categorical=['id']"
    ]
    assert warnings_of(make_rows, features=["no"], target="id")[1:] == []  # targets are not features


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
            "exclude=['city', 'grade']; or encode the strings, categorical=['city', 'grade']; or give the format of "
            "dates, dtypes={'city': '%Y-%m-%d'}.",
        ),
        (dict(missing="zero", features=["sqft"]), "`missing` should be one of ('error', 'nan', 'mean', 'drop'), or"),
        (dict(sample_weight="city", features=["sqft"]), "`sample_weight` should be a column of numbers."),
        (dict(exclude=["town"]), "`exclude` names a column that does not exist: 'town'."),
        (dict(exclude=3), "`exclude` should be the name of a column, or a list of names. Received: 3"),
        (
            dict(features=["sqft"], exclude=["sqft"]),
            "`features` should name at least one column for each input. Received: exclude=['sqft'], which leaves none",
        ),
        (dict(features=[]), "`features` should name at least one column for each input."),
        (dict(features={}), "`features` should name at least one input."),
        (dict(features={"a": []}), "`features` should name at least one column for each input."),
        *(
            (
                {"features": ["sqft"], name: ["sqft", "city", "sqft"]},
                f"`{name}` should contain each name once. Received 'sqft' more than once",
            )
            for name in ("features", "target", "ids", "categorical", "exclude")
        ),
        (dict(features={"a": ["sqft"], "b": ["city", "city"]}), "Received 'city' more than once"),
        (dict(target=[], features=["sqft"]), "`target` should name at least one column."),
        (dict(target=["city", "price"], features=["sqft"]), "Several targets should all be strings, or all numbers."),
    ],
)
def test_invalid_options(make_rows, options, message):
    assert message in error_of(make_rows, error=OptionError, **options)


def test_columns_that_cannot_be_features_are_named_if_there_are_no_others():
    with pytest.raises(OptionError, match=r"at least one column .* column 'a' .* 'complex128', .* Received: none"):
        ko.TableSequence({"a": np.array([1j, 2]), "y": [1.0, 2]}, "y")
