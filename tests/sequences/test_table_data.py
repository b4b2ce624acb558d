"""TableSequence: DataFrames, tables, arrays, Arrow files and streams give the same batches as a CSV file."""

import copy
import functools
import pickle

import keras
import numpy as np
import pyarrow as pa
import pytest
from contracts.reading import as_bytes, assert_resumes_everywhere
from frames import FILES, IN_MEMORY, KINDS, NUM_ROWS, OF_HOUSES, as_data, flat, houses
from products import few_of_product
from recording import idle_recorder

import keras_oocore as ko
from keras_oocore.core.errors import DataError, OptionError

in_memory = pytest.mark.parametrize("kind", IN_MEMORY)
of_every_kind = pytest.mark.parametrize("kind", KINDS)
of_some_kinds = pytest.mark.parametrize("kind", ["pandas", "dictionary", "feather", "stream"])


@pytest.fixture
def open_houses(tmp_path):
    """A function that opens houses as data of one kind."""

    def open_houses(kind, table=None, **options):
        name = {"csv": "houses.csv", "stream file": "houses.arrows"}.get(kind, "houses.feather")
        if table is None and kind in ("csv", *FILES) and (tmp_path / name).exists():
            data = tmp_path / name
        else:
            data = as_data(houses() if table is None else table, kind, tmp_path)
        options = {**OF_HOUSES, **options}
        if kind == "stream":
            options.setdefault("cache", tmp_path / "cache of a stream")
        return ko.TableSequence(data, **options)

    return open_houses


@pytest.fixture
def expected_of(open_houses, tmp_path):
    """A function that opens houses as CSV, with a cache if data of a kind require one: it shuffles all rows."""

    def expected_of(kind, **options):
        return open_houses("csv", **({"cache": tmp_path / "cache of csv"} if kind == "stream" else {}), **options)

    return expected_of


def epochs(sequence, num_epochs=2):
    """The bytes of all batches of some epochs."""
    return [[[array.tobytes() for array in flat(batch)] for batch in sequence] for _ in range(num_epochs)]


# Equal to CSV, bit for bit


@pytest.mark.parametrize("kind", ["polars", *(pytest.param(kind, marks=pytest.mark.soak) for kind in KINDS)])
@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": False, "last_batch": "pad"},
        {"features": {"numbers": ["sqft", "floors"], "city": ["city"]}, "indicator": True},
        {"missing": "drop", "sample_weight": "weight"},
        {"missing": {"sqft": 5}, "dates": {"moment": ["hour", "weekday"], "day": ["month", "days"]}},
        {"target": "grade", "label_mode": "categorical", "class_weight": "balanced"},
        {"target": ["price", "floors"], "features": ["sqft"], "categorical": []},
        {"target": None, "features": ["floors", "sold"]},
    ],
    ids=" ".join,
)
def test_batches_with_any_options_equal_those_of_csv(open_houses, expected_of, kind, options):
    expected, sequence = expected_of(kind, **options), open_houses(kind, **options)

    assert epochs(sequence) == epochs(expected)
    assert sequence.num_rows == expected.num_rows
    assert sequence.columns == expected.columns


@of_every_kind
def test_batches_equal_those_of_csv(open_houses, expected_of, kind):
    assert epochs(open_houses(kind)) == epochs(expected_of(kind))


@of_every_kind
def test_cached_batches_equal_those_of_csv(open_houses, kind, tmp_path):
    expected = open_houses("csv", cache=tmp_path / "of csv")
    sequence = open_houses(kind, cache=tmp_path / "of data")

    assert epochs(sequence) == epochs(expected)
    assert epochs(open_houses(kind, cache=tmp_path / "of data")) == epochs(
        open_houses("csv", cache=tmp_path / "of csv")
    )


SPLITS = {
    "random": {"validation_split": 0.3, "seed": 1},
    "stratified": {"validation_split": 0.2, "test_split": 0.2, "stratify": "grade", "seed": 1},
    "groups": {"validation_split": 0.3, "groups": "city", "seed": 1},
    "by date": {"by": "day", "at": "2024-03-01"},
}


@few_of_product(
    "kind, name",
    [
        ("pandas", "random"),
        ("pandas", "by date"),
        ("feather", "stratified"),
        ("stream", "random"),
        ("stream", "groups"),
    ],
    *(["pandas", "feather", "stream"], SPLITS),
)
def test_splits_equal_those_of_csv(open_houses, expected_of, kind, name):
    how = SPLITS[name]
    expected, parts = expected_of(kind).split(**how), open_houses(kind).split(**how)

    for one, other in zip(expected, parts, strict=True):
        assert other.row_numbers.tolist() == one.row_numbers.tolist()
        assert epochs(other) == epochs(one)


@of_every_kind
def test_ids_are_the_text_of_the_cells(open_houses, kind):
    sequence = open_houses(kind, features=["sqft"], ids=["id", "floors"], shuffle=False)

    assert sequence.ids()["id"].tolist() == [f"h{row:03d}" for row in range(NUM_ROWS)]
    assert sequence.ids()["floors"].tolist() == [str(1 + row % 3) for row in range(NUM_ROWS)]


@of_every_kind
def test_like_and_encode_have_the_codes_and_means_of_the_training_rows(open_houses, kind, tmp_path):
    train, later = open_houses("csv", features=["sqft", "city"]), houses(20, first=100)
    cache = {"cache": tmp_path / "later"} if kind == "stream" else {}
    of_data = open_houses(kind, features=["sqft", "city"])
    row = {"sqft": None, "city": "Oslo"}
    (tmp_path / "june").mkdir()
    others = train.like(as_data(later, kind, tmp_path / "june"), target=None, batch_size=20, **cache)

    assert others[0].tolist() == train.encode(later.to_pylist()).tolist()
    assert of_data.encode(row).tolist() == train.encode(row).tolist()
    assert of_data.means == train.means
    assert of_data.vocabulary("city") == train.vocabulary("city")


@pytest.mark.parametrize("kind", ["pandas", "feather", "stream"])
def test_state_resumes_after_every_batch(open_houses, kind):
    assert_resumes_everywhere(functools.partial(open_houses, kind, batch_size=17))


@pytest.mark.backend
@pytest.mark.parametrize("kind", ["pandas", "stream"])
def test_models_train_on_the_same_rows_as_of_csv(open_houses, expected_of, kind):
    def given(open_rows):
        model = idle_recorder()
        model.fit(open_rows(kind, features=["floors"], missing="error"), epochs=2, verbose=0)
        return model.given

    assert given(open_houses) == given(expected_of)


@pytest.mark.one_backend
@pytest.mark.parametrize("kind", ["polars", "feather", "stream"])
def test_fit_split_predict(open_houses, kind):
    train, val = open_houses(kind, features=["sqft", "floors"]).split(validation_split=0.25, seed=1)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(train, validation_data=val, epochs=1, verbose=0)
    table = ko.predict(model, val)

    assert table["row"].tolist() == val.row_numbers.tolist()


# What messages say


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("pandas", "row 7 of the DataFrame"),
        ("polars", "row 7 of the DataFrame"),
        ("pyarrow", "row 7 of the Table"),
        ("dictionary", "row 7 of the dictionary"),
        ("stream", "row 7 of the stream"),
        ("feather", "houses.feather: row 7 (record batch 0)"),
    ],
)
def test_a_missing_cell_is_an_error_that_names_the_row(open_houses, kind, name):
    table = pa.table({"sqft": pa.array([None if row == 7 else 1.0 for row in range(20)]), "price": [1.0] * 20})
    with pytest.raises(DataError) as error:
        list(open_houses(kind, table, features=["sqft"], missing="error", shuffle=False))

    assert f"{name}, column 'sqft' (#0): the cell is missing" in str(error.value)


@in_memory
def test_a_number_beyond_float32_is_an_error_or_is_left_out(open_houses, kind):
    table = pa.table({"sqft": [1.0, 2.0, 1e300], "price": [1.0, 2.0, 3.0]})
    with pytest.raises(DataError, match=r"row 2 of the \w+, column 'sqft' \(#0\): cannot read '1e\+300' as float32"):
        list(open_houses(kind, table, features=["sqft"]))
    with pytest.warns(UserWarning, match="1 row is left out"):
        assert open_houses(kind, table, features=["sqft"], on_bad_row="skip").num_rows == 2


@pytest.mark.parametrize("kind", ["pandas", "polars", "dictionary"])
def test_repr_and_the_number_of_rows(open_houses, kind):
    sequence = open_houses(kind, num_rows=11)

    assert sequence.num_rows == 11
    assert f"of {NUM_ROWS} rows (num_rows=11)" in repr(sequence)


@of_some_kinds
def test_unknown_columns_are_named(open_houses, kind):
    with pytest.raises(OptionError, match=r"a column that does not exist: 'sqfd'\. Did you mean 'sqft'"):
        open_houses(kind, features=["sqfd"])


@pytest.mark.parametrize("kind", ["csv", "pandas", "dictionary", "feather", "stream"])
def test_parts_of_dates_without_dates_are_answered_with_what_to_type(open_houses, kind):
    with pytest.raises(OptionError, match=r"a part of the date 'day'\. .* dates=\{'day': \['month'\]\}\."):
        open_houses(kind, features=["sqft", "day.month"])
    sequence = open_houses(kind, features=["sqft"])
    with pytest.raises(OptionError, match=r"`stratify` names 'day.month', a part of .* dates=\{'day': \['month'\]\}\."):
        sequence.split(stratify="day.month")
    for options in ({"groups": "day.month"}, {"by": "day.month", "at": 3}):
        with pytest.raises(OptionError, match=r"should name a column of the data, and 'day.month' is a part of a date"):
            sequence.split(**options)


@of_some_kinds
def test_no_rows_is_an_error(open_houses, kind):
    with pytest.raises(DataError, match="no rows"):
        open_houses(kind, houses(0), features=["sqft"])


@of_some_kinds
def test_one_row(open_houses, kind):
    assert open_houses(kind, houses(1), features=["sqft"], missing="nan")[0][0].tolist() == [[1000.0]]


# Changed content


@in_memory
def test_changed_content_is_noticed_by_state_and_cache(open_houses, kind, tmp_path):
    state = open_houses(kind).state_dict()
    list(open_houses(kind, cache=tmp_path / "cache"))
    table = houses()
    changed = table.set_column(2, "floors", pa.array([9, *table["floors"].to_pylist()[1:]]))

    size = f"a table of {NUM_ROWS} rows and {table.num_columns} columns"
    with pytest.raises(DataError, match=f"the data was {size}, is one of the same size with other cells"):
        open_houses(kind, changed).load_state_dict(state)
    with pytest.raises(DataError, match=r"is one of the same size with other cells\. .*overwrite_cache=True"):
        list(open_houses(kind, changed, cache=tmp_path / "cache"))
    with pytest.raises(DataError, match=f"the data was {size}, is {size.replace(str(NUM_ROWS), str(NUM_ROWS - 1))}; "):
        list(open_houses(kind, table.slice(1), cache=tmp_path / "cache"))


def test_content_does_not_depend_on_the_library(open_houses):
    state = open_houses("pandas").state_dict()
    for kind in ("polars", "pyarrow", "pandas of arrow"):
        open_houses(kind).load_state_dict(state)


def test_a_changed_file_is_noticed(open_houses, tmp_path):
    sequence = open_houses("feather", workers=0)
    as_data(houses(NUM_ROWS - 1), "feather", tmp_path)
    with pytest.raises(DataError, match=r"houses.feather: the file changed since it was opened"):
        list(sequence)


# Copies


COPIES = {"deep copy": copy.deepcopy, "pickle": lambda sequence: pickle.loads(pickle.dumps(sequence))}


@few_of_product(
    "kind, how",
    [
        *[("pandas of objects", "pickle"), ("polars", "deep copy"), ("dictionary", "pickle"), ("feather", "deep copy")],
        *[("feather", "pickle"), ("stream", "pickle")],
    ],
    *(["pandas of objects", "polars", "dictionary", "feather", "stream"], COPIES),
)
def test_copies_give_the_same_batches(open_houses, kind, how):
    sequence = open_houses(kind)

    assert as_bytes(COPIES[how](sequence)) == as_bytes(sequence)


def test_a_deep_copy_shares_the_data(open_houses):
    sequence = open_houses("pandas")
    columns = [one._rows.table.memory["sqft"] for one in (sequence, copy.deepcopy(sequence))]

    assert columns[0] is columns[1]


@pytest.mark.parametrize("kind", ["pandas", *FILES])
def test_workers_do_not_matter(open_houses, kind):
    assert epochs(open_houses(kind, workers=0)) == epochs(open_houses(kind, workers=4))


def test_columns_that_the_user_adds_later_do_not_matter(tmp_path):
    frame = as_data(houses(), "pandas", tmp_path)
    sequence = ko.TableSequence(frame, "price", features=["floors"], shuffle=False)
    frame["floors"] = np.zeros(NUM_ROWS)

    assert sequence[0][0][:3].ravel().tolist() == [1, 2, 3]


@pytest.mark.parametrize("form", ["dictionary", "DataFrame", "Table"])
def test_messages_about_data_in_memory_do_not_speak_of_files(form):
    columns = {"a": [1.5, None, 3.5], "b": [1.0, 2.0, 3.0], "day": np.array(["2024-01-01"] * 3, "datetime64[s]")}
    columns["day.year"] = [1.0, 2.0, 3.0]

    def data(**changes):
        found = {**columns, **changes}
        made = {"DataFrame": lambda: pa.table(found).to_pandas(), "Table": lambda: pa.table(found)}
        return made.get(form, lambda: {**found, "a": np.array(found["a"], float)})()

    rows = ko.TableSequence(data(), "b", features=["a"], shuffle=False)
    full = ko.TableSequence(data(a=[1.5, 2.5, 3.5]), "b", features=["a"])
    causes = [
        lambda: rows[0],
        lambda: full.like(data(b=columns["b"]), target=None)[0],
        lambda: rows.split(stratify="a"),
        lambda: rows.split(by="b", at=9),
        lambda: ko.TableSequence(data(), "b", features=["day"], dates={"day": "year"}),
        lambda: ko.TableSequence(data(), "b", features=["c"]),
        lambda: full.like({"b": columns["b"]}),
    ]
    for cause in causes:
        with pytest.raises((ko.DataError, ko.OptionError)) as caught:
            cause()
        assert "file" not in str(caught.value).replace("for CSV files with", "")
    with pytest.raises(
        ko.DataError, match=rf"row 1 of the {form}, .* Missing cells in this part of the data: 'a': 1\."
    ):
        rows[0]
