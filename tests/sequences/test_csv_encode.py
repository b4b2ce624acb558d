"""`encode`: raw rows as the model takes them, the same in every cell as the rows of a file."""

import csv
import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import keras
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

import keras_oocore as ko

NAN, UTC = float("nan"), datetime.UTC
TRAINING = """sqft,sold,fresh,grade,city,price
1000,2014-10-13,yes,5,Rome,1
2500.5,2014-02-28,0,07,5,2
,2015-01-01,no,5.5,true,3
1500,,True,5,Rome,4
"""
KINDS = {"dtypes": {"sold": "%Y-%m-%d", "fresh": "bool"}, "categorical": ["grade", "city"]}
NAMES = ["sqft", "sold", "fresh", "grade", "city"]


@pytest.fixture
def train(write):
    """Function that returns a Sequence of the training rows."""

    write(TRAINING, "train.csv")

    def train(features=NAMES, **options):
        used = {"categorical": [name for name in KINDS["categorical"] if name in features]}
        return ko.CSVChunkSequence("train.csv", "price", features, **{"missing": "nan", **KINDS, **used, **options})

    return train


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """Features with every kind of column, in two inputs, with indicators."""
    path = tmp_path_factory.mktemp("encode") / "train.csv"
    path.write_text(TRAINING)
    inputs = {"numbers": ["sqft", "sold", "fresh"], "codes": ["grade", "city"]}
    return ko.CSVChunkSequence(
        path, "price", inputs, missing="nan", indicator=True, null_values=[..., "-"], workers=0, **KINDS
    )


def of_file(features, rows, path):
    """What the Sequence of a file with these rows gives."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, NAMES)
        writer.writeheader()
        writer.writerows(rows)
    return features.like(path, target=None, batch_size=1000, workers=0)[0]


def assert_same(x, expected):
    assert x.keys() == expected.keys()
    for name, part in x.items():
        assert part.dtype == expected[name].dtype
        np.testing.assert_array_equal(part.view(np.int32), expected[name].view(np.int32))  # every bit


def cells(*often, others=None):
    """Cells of a column: missing ones, these, and others."""
    return st.one_of(st.sampled_from(["", "NA", "-", *often]), *([] if others is None else [others]))


STRINGS = st.fixed_dictionaries(
    {
        "sqft": cells(" 7 ", "+.5", "1.", "-0.0", "1e-3", "inf", "NaN", others=st.floats(width=32).map(repr)),
        "sold": cells(" 2014-10-13 ", "2014-02-28", others=st.dates(datetime.date(1000, 1, 1)).map(str)),
        "fresh": cells("yes", " no", "TRUE", "0"),
        "grade": cells("5", "5.0", "07", "7", " 5", "5.5", "b"),
        "city": cells("Rome", "rome", "5", others=st.text('é"\n,; N', max_size=4)),
    }
)
VALUES = st.fixed_dictionaries(
    {
        "sqft": st.none()
        | st.floats(width=32)
        | st.integers(-(2**70), 2**70)
        | st.floats(-(2.0**126), 2.0**126, width=32).map(np.float32),
        "sold": st.none() | st.dates(),
        "fresh": st.none() | st.booleans(),
        "grade": st.none() | st.sampled_from([5, 5.5, np.int8(5), np.float32(5.5), 6]),
        "city": st.none() | st.sampled_from(["Rome", "5", 5]),
    }
)


@pytest.mark.filterwarnings("ignore:Column 's")  # float32 rounds some of them
@given(st.lists(STRINGS, min_size=1, max_size=20))
@examples(15)
def test_strings_are_the_cells_of_a_file(features, tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "strings.csv"
    assert_same(features.encode(rows), of_file(features, rows, path))


@pytest.mark.filterwarnings("ignore:Column 's")
@given(st.lists(VALUES, min_size=1, max_size=20))
@examples(15)
def test_values_are_what_python_would_write_into_a_file(features, tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "values.csv"
    expected = of_file(features, rows, path)
    assert_same(features.encode(rows), expected)
    assert_same(features.encode({name: [row[name] for row in rows] for name in NAMES}), expected)


def test_data_frames_give_what_the_file_gives(features, write):
    text = "city,fresh,grade,sold,sqft\nRome,True,5,2014-10-13,1\n5,,,,\nOslo,False,6,2014-02-28,2.5\n"
    write(text, "new.csv")
    expected = features.like("new.csv", target=None)[0]
    frame = pd.read_csv("new.csv")
    frames = [
        frame,
        pd.read_csv("new.csv", parse_dates=["sold"]),
        frame.convert_dtypes(),
        frame.astype({"city": "category", "sold": "string"}),
        frame.set_index(frame.index + 7),
        pd.read_csv("new.csv", dtype_backend="pyarrow"),
        pl.read_csv("new.csv", schema_overrides={"city": pl.Utf8}),
        pl.read_csv("new.csv", schema_overrides={"city": pl.Categorical}, try_parse_dates=True),
        pa.Table.from_pandas(frame),
        frame.to_dict("list"),
        frame.to_dict("records"),
        [frame.iloc[row].to_dict() for row in range(3)],
    ]
    for given_frame in frames:
        assert_same(features.encode(given_frame), expected)
    for row in range(3):
        one = {name: part[row : row + 1] for name, part in expected.items()}
        assert_same(features.encode(frame.iloc[row]), one)
        assert_same(features.encode(frame[row : row + 1]), one)


MOMENT = datetime.datetime(2014, 10, 13)
DAY = MOMENT.replace(tzinfo=UTC).timestamp() / 86_400


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        *[("sqft", value, 5) for value in (5, 5.0, "5", np.uint8(5), np.float16(5), Decimal("5.00"), " 5 ")],
        *[("sqft", value, NAN) for value in (None, NAN, np.float32("nan"), pd.NA, pd.NaT, Decimal("nan"), "", "N/A")],
        ("sqft", True, 1),
        ("sqft", -np.inf, -np.inf),
        *[("fresh", value, 1) for value in (True, np.True_, 1, 1.0, "yes", "1")],
        *[("fresh", value, 0) for value in (False, np.False_, 0, 0.0, np.int64(0), "no")],
        *[
            ("sold", value, DAY)
            for value in (
                "2014-10-13", MOMENT, MOMENT.date(), pd.Timestamp(MOMENT), np.datetime64(MOMENT),
                np.datetime64("2014-10-13"), MOMENT.replace(tzinfo=UTC),
                datetime.datetime(2014, 10, 12, 23, tzinfo=datetime.timezone(datetime.timedelta(hours=-2))),
            )
        ],
        *[("sold", value, NAN) for value in (None, pd.NaT, np.datetime64("NaT"), "")],
        *[("grade", value, 2) for value in (5, 5.0, "5", np.float32(5), Decimal("5.0"))],
        *[("grade", value, 3) for value in (7, 7.0, "07")],  # pandas reads "07" as 7
        *[("grade", value, 4) for value in (5.5, np.float32(5.5), "5.5")],
        *[("grade", value, 1) for value in (6, "5.0", "b", 2**60, True)],
        *[("grade", value, 0) for value in (None, NAN, "NA", pd.NA)],
        *[("city", value, 4) for value in (True, np.True_, "true")],
        ("city", False, 1),
    ],
)  # fmt: skip
def test_value(train, name, value, expected):
    x = train(features=[name]).encode({name: value})
    assert x.shape == (1, 1)
    assert float(x[0, 0]) == expected or np.isnan([x[0, 0], expected]).all()


def test_dates_as_categories_are_written_as_the_categories_are(write):
    write("day,moment,german,y\n2014-10-13,2014-10-13 12:00:00,13.10.2014,1\n2014-10-14,2014-10-14 12:00:00,,2\n")
    names = ["day", "moment", "german"]
    train = ko.CSVChunkSequence("houses.csv", "y", names, categorical=names)
    day, noon = datetime.date(2014, 10, 14), datetime.datetime(2014, 10, 14, 12)
    assert train.encode({"day": day, "moment": noon, "german": None}).tolist() == [[3, 3, 0]]
    assert train.encode({"day": pd.Timestamp(day), "moment": pd.Timestamp(noon), "german": ""}).tolist() == [[3, 3, 0]]
    assert train.encode({"day": datetime.date(1999, 1, 1), "moment": day, "german": "x"}).tolist() == [[1, 1, 1]]
    with pytest.raises(ko.DataError, match=r"row 0, column 'german': .* such as '13.10.2014': pass a date as such"):
        train.encode({"day": day, "moment": noon, "german": day})


NOON = datetime.datetime(2024, 1, 1, 12)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("known", "unknown"),
    [
        (pa.array([0.1, 2.0], pa.float32()), 0.3),
        (pa.array(np.array([0.1, 2.0], np.float16)), 0.3),
        (pa.array([NOON, NOON.replace(microsecond=5)]), NOON.replace(microsecond=6)),
        (pa.array([NOON, NOON.replace(microsecond=500_000)], pa.timestamp("ms")), NOON.replace(microsecond=1)),
        (pa.array([NOON.date(), datetime.date(2024, 1, 2)]), NOON),
        (pa.array([NOON.time(), datetime.time(13, 2, 3, 500_000)]), datetime.time(1)),
        (pa.array([NOON, NOON.replace(month=7)], pa.timestamp("us", "Europe/Berlin")), NOON.replace(tzinfo=BERLIN)),
        (pa.array([NOON, NOON.replace(month=7)], pa.timestamp("us", "UTC")), NOON.replace(tzinfo=BERLIN)),
    ],
    ids=lambda value: str(value.type) if hasattr(value, "type") else "",
)
def test_values_of_a_table_are_the_categories_that_they_are_in_training(known, unknown):
    table = pa.table({"c": known, "y": [0.0, 1.0]})
    train = ko.TableSequence(table, "y", ["c"], categorical=["c"], shuffle=False)
    assert train[0][0].tolist() == [[2], [3]]
    for rows in (table, table.to_pylist(), table.to_pandas(), pl.from_arrow(table)):
        assert train.encode(rows).tolist() == [[2], [3]]
    assert train.encode({"c": unknown}).tolist() == [[1]]


@pytest.mark.filterwarnings("ignore:Column 'c' has dates, which float32 rounds")
def test_dates_as_numbers_and_years_of_few_digits(write):
    write("a,b,c,y\n05102014,2014,0999-01-01,1\n")
    train = ko.CSVChunkSequence("houses.csv", "y", dtypes={"a": "%d%m%Y", "b": "%Y", "c": "%Y-%m-%d"}, workers=0)
    frame = pd.read_csv("houses.csv")
    assert frame["a"][0] == 5102014
    np.testing.assert_array_equal(train.encode(frame), train[0][0])
    rows = {"a": MOMENT, "b": 2014.0, "c": datetime.date(999, 1, 1)}
    assert train.encode(rows)[0, 1:].tolist() == train[0][0][0, 1:].tolist()


def test_decimal_comma(write):
    write("a;b\n1,5;1\n2;2\n")
    train = ko.CSVChunkSequence("houses.csv", "b", delimiter=";", decimal=",", categorical=["a"], features=["a"])
    assert train.encode({"a": [1.5, "1,5", 2, 2.0, 1]}).tolist() == [[2], [2], [3], [3], [1]]
    numbers = ko.CSVChunkSequence("houses.csv", "b", delimiter=";", decimal=",")
    assert numbers.encode({"a": ["1,5", 1.5, Decimal("1.5"), np.float32(0.1)]})[:, 0].tolist() == [
        1.5, 1.5, 1.5, np.float32(0.1),
    ]  # fmt: skip


def test_numbers_that_are_null_values_are_missing(write):
    write("a,b,y\n-999,5,1\n1,-1,2\n")
    train = ko.CSVChunkSequence(
        "houses.csv", "y", categorical=["b"], null_values=[..., "-999", "-1"], missing={"a": 7}, shuffle=False
    )
    assert train[0][0].tolist() == [[7, 2], [1, 0]]
    for frame in (
        pd.read_csv("houses.csv"),
        pd.read_csv("houses.csv", dtype=float),
        pd.read_csv("houses.csv", dtype=str),
    ):
        assert train.encode(frame).tolist() == [[7, 2], [1, 0]]


def test_shapes_and_dtypes(train, features):
    whole, codes = train(), train(features=["grade", "city"])
    row = {"sqft": 1, "sold": None, "fresh": True, "grade": 5, "city": "Rome", "price": "ignored", "more": object()}
    for rows in (row, [row], {name: [value] for name, value in row.items()}):
        assert (whole.encode(rows).shape, whole.encode(rows).dtype) == ((1, 5), np.float32)
        assert (codes.encode(rows).shape, codes.encode(rows).dtype) == ((1, 2), np.int32)
    for rows in ([], pd.DataFrame(columns=NAMES), {name: [] for name in NAMES}):
        assert whole.encode(rows).shape == (0, 5)
        assert {name: (part.shape, part.dtype) for name, part in features.encode(rows).items()} == {
            "numbers": ((0, 6), np.float32),
            "codes": ((0, 2), np.int32),
        }


def test_means_replace_missing_values_and_rows_of_a_split_part(train):
    rows = train(missing="mean", features=["sqft"])
    assert rows.encode([{"sqft": None}]).tolist() == [[pytest.approx(5000.5 / 3)]]
    training, validation = rows.split(0.5, seed=1)
    assert validation.encode({"sqft": ""}).tolist() == training.encode({"sqft": NAN}).tolist()
    assert train(missing={"sqft": -1}, features=["sqft"]).encode({"sqft": None}).tolist() == [[-1]]


ROW = {"sqft": 1, "sold": "2014-10-13", "fresh": True, "grade": 5, "city": "Rome"}
COLUMNS = {name: [value] * 3 for name, value in ROW.items()}


@pytest.mark.parametrize(
    ("options", "rows", "message"),
    [
        ({}, [ROW, {**ROW, "sqft": "1,000"}], r"`rows`, row 1, column 'sqft': cannot read '1,000' as a number"),
        ({}, {**ROW, "sqft": 10**400}, r"row 0, column 'sqft': cannot read 1000\d+\.\.\. as a number"),
        ({}, {**COLUMNS, "sqft": np.array([1, 1e300, 1])}, r"row 1, column 'sqft': cannot read np.float64\(1e\+300\)"),
        ({}, {**ROW, "sqft": MOMENT}, r"cannot read datetime.datetime\(2014, 10, 13, 0, 0\) as a number"),
        ({}, {**ROW, "sqft": 1j}, r"cannot read 1j as a number"),
        ({}, {**ROW, "fresh": 2}, r"column 'fresh': cannot read 2 as true or false. Pass None if it is not known"),
        ({}, {**ROW, "sold": "13.10.2014"}, r"column 'sold': cannot read '13.10.2014' as a date, or a string like '%Y"),
        ({}, {**ROW, "sold": True}, r"column 'sold': cannot read True as a date"),
        ({}, {**ROW, "sold": 2014.5}, r"column 'sold': cannot read 2014.5 as a date"),
        ({}, {**ROW, "city": b"Rome"}, r"column 'city': cannot read b'Rome' as a string, a number"),
        ({}, {**ROW, "city": "\ud800"}, r"column 'city': cannot read '\\ud800' as a string"),
        ({}, {"sqft": 1, "Sold": "", "fresh": True}, r"columns of the training rows are missing: 'sold', 'grade', 'ci"),
        ({}, [ROW, {**ROW, "city": 1, "x": 2}, {"sqft": 1}], r"row 2: columns .* missing: 'sold', 'fresh', 'grade'"),
        ({}, {}, r"missing: 'sqft', .* Received: no column. Pass None for a value that is not known"),
        (dict(features=["sqft"]), {"Sqft": 1}, r"missing: 'sqft'. Did you mean 'Sqft'\?"),
        (dict(missing="error"), [ROW, {**ROW, "sqft": None}],
         r"row 1, column 'sqft': the value is missing, and training has no number for it \(missing='error'\). Pass a"),
        (dict(missing={"sold": 0}), {**ROW, "sqft": None}, r"column 'sqft': the value is missing"),
        (dict(missing="drop"), {**ROW, "city": None}, r"column 'city': the value is missing, and training left such"),
        (dict(missing="drop"), {**ROW, "sqft": "NA"}, r"Remove them before `encode`, which returns one row per row"),
    ],
)  # fmt: skip
def test_error_names_row_and_column(train, options, rows, message):
    with pytest.raises(ko.DataError, match=message):
        train(**options).encode(rows)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("new.csv", "`rows` should be a dictionary of .*, or a DataFrame. Received: an object of type 'str'"),
        (None, "type 'NoneType'"),
        (np.zeros((3, 5)), "type 'ndarray'"),
        ([ROW, [1, 2]], r"Received: a list with \[1, 2\] at index 1"),
        ({**COLUMNS, "sqft": 5}, "values for 'sqft', and columns for 'sold', 'fresh', 'grade', 'city'"),
        ({**COLUMNS, "sqft": [1, 2]}, "columns of one length. Received: lengths {'sqft': 2, 'sold': 3"),
        ({**COLUMNS, "sqft": np.zeros((3, 2))}, r"one value per row in column 'sqft'. Received: shape \(3, 2\)"),
        (pd.DataFrame(np.zeros((2, 6)), columns=["sqft", *NAMES]), r"one value per row in column 'sqft'"),
    ],
)
def test_rows_of_another_form_are_an_error(train, rows, message):
    with pytest.raises(ko.OptionError, match=message) as caught:
        train().encode(rows)
    assert len(str(caught.value)) < 300  # a table is not printed


def test_number_that_could_be_several_categories_is_an_error(write):
    write("zip,y\n007,1\n07,2\n8,3\n08,4\n")
    train = ko.CSVChunkSequence("houses.csv", "y", ["zip"], categorical=["zip"])
    assert train.encode({"zip": [8, 8.0]}).tolist() == [[5], [5]]
    with pytest.raises(ko.DataError, match="row 1, column 'zip': 7 could be the category '007' or '07': pass the str"):
        train.encode({"zip": [8, 7]})


def test_transform_is_not_applied(train):
    rows = train(features=["sqft"], transform=lambda x, y, rng: (x + 1, y))
    assert rows.encode({"sqft": 5}).tolist() == [[5]]


@pytest.mark.one_backend
def test_predictions_of_encoded_rows_are_those_of_the_file(features, tmp_path):
    rows = [dict(zip(NAMES, row.split(","))) for row in TRAINING.splitlines()[1:]]
    for row in rows:
        row["sqft"] = row["sqft"] or "1"
        row["sold"] = row["sold"] or "2014-10-13"
    inputs = features.inputs()
    city = keras.layers.Flatten()(features.embedding("city", 3)(inputs["codes"][:, 1:]))
    merged = keras.layers.Concatenate()([features.normalization("numbers")(inputs["numbers"]), city])
    model = keras.Model(inputs, keras.layers.Dense(1)(merged))
    of_file(features, rows, tmp_path / "new.csv")
    expected = model.predict(features.like(tmp_path / "new.csv", target=None), verbose=0)
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(model.predict(features.encode(rows), verbose=0), expected)
    np.testing.assert_allclose(model.predict_on_batch(features.encode(rows[0])), expected[:1], rtol=1e-5)
