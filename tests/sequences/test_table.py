"""TableSequence: a table has the same batches as Parquet as it has as CSV, whatever the options."""

import datetime
from decimal import Decimal

import inside_sequence as inside
import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contracts.reading import as_bytes
from frames import NUM_ROWS, OF_HOUSES, flat, houses, narrow
from pyarrow import csv, feather
from recording import idle_recorder

import keras_oocore as ko
from keras_oocore.core.errors import DataError, MissingExtraError, OptionError
from keras_oocore.csv import cells
from keras_oocore.tables.parquet import layout

POOLS = []  # of pyarrow, which must outlive the arrays in them


@pytest.fixture
def both(tmp_path, monkeypatch):
    """A function that opens the same houses as CSV and as Parquet, with the same arguments."""
    monkeypatch.chdir(tmp_path)
    table = narrow(houses())
    csv.write_csv(table, "houses.csv")
    pq.write_table(table, "houses.parquet", row_group_size=13)

    def both(**options):
        options = {**OF_HOUSES, **options}
        return ko.CSVChunkSequence("houses.csv", **options), ko.TableSequence("houses.parquet", **options)

    return both


OPTIONS = [
    {},
    {"features": {"numbers": ["sqft", "floors"], "words": ["city", "grade"]}},
    {"missing": "nan", "indicator": True},
    {"missing": {"sqft": 7.5}},
    {"missing": "drop"},
    {"features": ["floors"], "target": "grade"},
    {"features": ["floors"], "target": "grade", "label_mode": "categorical", "class_weight": "balanced"},
    {"features": ["floors"], "target": ["price", "weight"]},
    {"sample_weight": "weight"},
    {"categorical": ["floors", "sqft"]},
    {"dates": {"day": ["year", "month", "weekday", "days"], "moment": ["hour", "minute", "day_of_year"]}},
    {"last_batch": "pad"},
    {"num_rows": 20},
    {"transform": lambda x, y, rng: (x + rng.normal(size=x.shape).astype("float32"), y)},
    {"target": None, "missing": "nan", "features": ["sqft", "floors"]},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ",".join(options) or "default")
@pytest.mark.filterwarnings("ignore:.*(times of day|says? little|is left out|rows are left out)")
def test_batches_are_those_of_the_csv_file(both, options):
    of_csv, of_parquet = both(shuffle=False, **options)
    for one, other in zip(of_csv, of_parquet, strict=True):
        assert [(part.dtype, part.tobytes()) for part in flat(one)] == [
            (part.dtype, part.tobytes()) for part in flat(other)
        ]


@pytest.mark.filterwarnings("ignore:.*times of day")
def test_a_cache_is_shuffled_as_that_of_the_csv_file(both, tmp_path):
    of_csv, of_parquet = both()[0].__class__, ko.TableSequence
    one = of_csv("houses.csv", cache=tmp_path / "a", **OF_HOUSES)
    other = of_parquet("houses.parquet", cache=tmp_path / "b", **OF_HOUSES)

    assert [as_bytes(one) for _ in range(2)] == [as_bytes(other) for _ in range(2)]


@pytest.mark.filterwarnings("ignore:.*times of day")
@pytest.mark.parametrize(
    "split",
    [
        {"by": "day", "at": "2024-03-01"},
        {"by": "moment", "at": ["2024-02-05", "2024-02-09 12:00"]},
        {"by": "floors", "at": 3},
        {"groups": "city", "validation_split": 0.4},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*(missing cell in|`groups` names features)")
def test_parts_are_those_of_the_csv_file(both, split):
    of_csv, of_parquet = (sequence.split(**split) for sequence in both(shuffle=False))

    for one, other in zip(of_csv, of_parquet, strict=True):
        assert one.row_numbers.tolist() == other.row_numbers.tolist()
        assert as_bytes(one) == as_bytes(other)


@pytest.mark.filterwarnings("ignore:.*times of day")
def test_random_parts_are_disjoint_and_complete(both):
    _, rows = both()
    for options in ({}, {"stratify": "grade"}, {"groups": "id", "test_split": 0.2}):
        parts = rows.split(validation_split=0.3, **options)
        numbers = [number for part in parts for number in part.row_numbers.tolist()]
        assert sorted(numbers) == list(range(NUM_ROWS))


@pytest.mark.filterwarnings("ignore:.*times of day")
def test_what_training_learnt_is_that_of_the_csv_file(both):
    of_csv, of_parquet = both(target="grade", features=["sqft", "floors", "city"], ids="id")
    raw = [{"sqft": "12.5", "floors": 2, "city": "Oslo"}, {"sqft": None, "floors": 9, "city": "Paris"}]

    assert of_csv.means == pytest.approx(of_parquet.means, rel=1e-15)  # the order of the sum is that of the chunks
    assert of_csv.class_names == of_parquet.class_names
    assert of_csv.class_counts == of_parquet.class_counts
    assert of_csv.vocabulary("city") == of_parquet.vocabulary("city")
    assert of_csv.encode(raw).tobytes() == of_parquet.encode(raw).tobytes()
    assert of_csv.ids()["id"].tolist() == of_parquet.ids()["id"].tolist()
    assert of_csv.summary()["city"].most_frequent == of_parquet.summary()["city"].most_frequent


def test_other_rows_may_be_of_another_format(both, tmp_path):
    of_csv, of_parquet = both(features=["sqft", "floors", "city"], shuffle=False)
    of_parquet.save_features("features.json")
    saved = ko.load_features("features.json")
    expected = as_bytes(of_csv)

    for train in (of_csv, of_parquet, saved):
        for data, kind in (("houses.csv", ko.CSVChunkSequence), ("houses.parquet", ko.TableSequence)):
            others = train.like(data, batch_size=7)
            assert isinstance(others, kind) or train is of_parquet
            assert isinstance(others, ko.TableSequence)
            assert as_bytes(others) == expected


def test_csv_files_are_read_with_their_defaults(both):
    of_csv, _ = both(features=["sqft", "city"], shuffle=False)
    table = ko.TableSequence(
        "houses.csv", "price", features=["sqft", "city"], missing="mean", shuffle=False, batch_size=7, seed=3
    )

    assert as_bytes(table) == as_bytes(of_csv)
    assert isinstance(of_csv, ko.TableSequence)
    with pytest.raises(OptionError, match="no argument `delimiter`"):
        ko.TableSequence("houses.csv", "price", delimiter=";")


@pytest.mark.one_backend
def test_fit_validates_and_predicts_in_the_order_of_the_rows(both):
    _, rows = both(features=["sqft", "floors"])
    train, val = rows.split(validation_split=0.25)
    model = keras.Sequential([rows.inputs(), train.normalization(), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    history = model.fit(train, validation_data=val, epochs=2, verbose=0).history
    table = ko.predict(model, val)

    assert np.isfinite(history["val_loss"]).all()
    assert np.allclose(table["label"], val.row_numbers * 1.1)


@pytest.mark.backend
def test_fit_receives_each_row_once_per_epoch(both):
    _, rows = both(features=["price"], target="floors", batch_size=8)
    model = idle_recorder()
    model.fit(rows, epochs=2, verbose=0)

    expected = [int(row * 1.1) for row in range(NUM_ROWS)]
    assert sorted(model.given[:NUM_ROWS]) == sorted(model.given[NUM_ROWS:]) == expected
    assert model.given[:NUM_ROWS] != model.given[NUM_ROWS:]


def test_shards_join_to_the_batches_of_one_process(both, tmp_path):
    options = dict(features=["floors"], batch_size=6, cache=tmp_path / "cache")
    _, whole = both(**options)
    shards = [both(**options)[1].shard(index, 3) for index in range(3)]

    for batch, *parts in zip(whole, *shards, strict=True):
        assert np.concatenate([part[0] for part in parts]).tolist() == batch[0].tolist()


# Where rows are


def test_messages_name_file_row_row_group_and_column(both):
    _, rows = both(missing="nan", features=["sqft"])
    assert rows.filenames(0)[0].startswith("houses.parquet: row ")

    with pytest.raises(DataError) as caught:
        list(both(missing="error", features=["floors", "sqft"], shuffle=False, workers=0)[1])
    assert str(caught.value).startswith(
        "houses.parquet: row 3 (row group 0), column 'sqft' (#1): the cell is missing. Missing cells in this part of "
        "the data: 'sqft': 2. Fix: missing='mean'"
    )


def test_numbers_beyond_float32_are_errors_or_skipped(tmp_path):
    path = tmp_path / "far.parquet"
    pq.write_table(pa.table({"x": [1.0, 1e300, 3.0, float("inf")], "y": [0, 1, 2, 3]}), path, row_group_size=2)

    with pytest.raises(
        DataError, match=r"far\.parquet: row 1 \(row group 0\), column 'x' \(#0\): cannot read '1e\+300'"
    ):
        list(ko.TableSequence(path, "y"))
    with pytest.warns(UserWarning, match="1 row is left out: on_bad_row='skip'"):
        rows = ko.TableSequence(path, "y", on_bad_row="skip", shuffle=False)
    assert rows[0][0].tolist() == [[1.0], [3.0], [np.inf]]


def test_integers_that_float32_rounds_are_warned_about_as_for_csv(tmp_path):
    table = pa.table({"x": pa.array([1, 2**63 + 1], pa.uint64()), "y": [0, 1]})
    pq.write_table(table, tmp_path / "large.parquet")
    csv.write_csv(table, tmp_path / "large.csv")

    found = []
    for open_rows, name in ((ko.CSVChunkSequence, "large.csv"), (ko.TableSequence, "large.parquet")):
        with pytest.warns(
            UserWarning, match=r"Column 'x' has integers beyond 2\^24, which float32 rounds, such as 9223"
        ):
            found.append(as_bytes(open_rows(tmp_path / name, "y", shuffle=False)))
    assert found[0] == found[1]


# Types


def test_types_without_a_kind_are_refused_by_name_and_ignored_otherwise(tmp_path):
    table = pa.table(
        {
            "x": [1, 2],
            "tags": [["a"], []],
            "where": [{"lat": 1.0}, {"lat": 2.0}],
            "raw": [b"\xff", b"a"],
            "wait": pa.array([1, 2], pa.duration("s")),
            "y": [0, 1],
        }
    )
    path = tmp_path / "t.parquet"
    pq.write_table(table, path)

    with pytest.warns(UserWarning, match="Not a feature: column") as caught:
        rows = ko.TableSequence(path, "y", shuffle=False)
    assert rows[0][0].tolist() == [[1], [2]]
    assert sum("Not a feature: column" in str(warning.message) for warning in caught) == 4
    assert ko.TableSequence(path, "y", exclude=["tags", "where", "raw", "wait"], shuffle=False)[0][0].shape == (2, 1)
    for name, reason in (
        ("tags", "has several values per cell"),
        ("where", "has several values per cell"),
        ("raw", r"dtypes=\{'raw': 'string'\}"),
        ("wait", "has no unit as a number"),
    ):
        with pytest.raises(
            OptionError, match=f"`features` names a column that cannot be read: column '{name}' .*{reason}"
        ):
            ko.TableSequence(path, "y", features=["x", name])
    with pytest.raises(DataError, match=r"row 0 \(row group 0\), column 'raw'"):
        list(ko.TableSequence(path, "y", features=["raw"], dtypes={"raw": "string"}))


def test_decimals_dictionaries_and_times(tmp_path):
    table = pa.table(
        {
            "amount": pa.array([Decimal("0.10"), Decimal("12345678901234567.89"), None], pa.decimal128(38, 2)),
            "city": pa.array(["Rome", None, "Oslo"]).dictionary_encode(),
            "at": pa.array([datetime.time(6), datetime.time(12, 30), None], pa.time64("us")),
            "half": pa.array(np.array([0.5, 1, 2], np.float16)),
            "nothing": pa.nulls(3),
            "y": [0, 1, 2],
        }
    )
    path = tmp_path / "t.parquet"
    pq.write_table(table, path)
    rows = ko.TableSequence(
        path, "y", features=["amount", "city", "at", "half", "nothing"], missing="nan", shuffle=False
    )

    x = rows[0][0]
    assert x[:, 0].tolist()[:2] == [np.float32(0.1), np.float32(12345678901234567.89)]
    assert x[:, 1].tolist() == [3.0, 0.0, 2.0]
    assert x[:, 2].tolist()[:2] == [0.25, np.float32(12.5 / 24)]
    assert x[:, 3].tolist() == [0.5, 1, 2]
    assert np.isnan(x[2, [0, 2]]).all()
    assert np.isnan(x[:, 4]).all()


def test_days_are_those_of_utc_and_hours_those_of_the_time_zone(tmp_path):
    moments = [datetime.datetime(2024, 6, 30, 22, 30, tzinfo=datetime.UTC), None]
    table = pa.table({"at": pa.array(moments, pa.timestamp("ns", "Europe/Paris")), "y": [0, 1]})
    path = tmp_path / "t.parquet"
    pq.write_table(table, path)
    dates = {"at": ["days", "month", "day", "hour"]}
    x = ko.TableSequence(path, "y", features=["at"], dates=dates, missing="nan", shuffle=False)[0][0]

    days = (moments[0].replace(tzinfo=None) - datetime.datetime(1970, 1, 1)) / datetime.timedelta(days=1)
    assert x[0].tolist() == [np.float32(days), 7.0, 1.0, 0.0]
    assert np.isnan(x[1]).all()


@pytest.mark.parametrize("kind", ["date32", "date64", "dictionary"])
def test_types_of_dates_without_a_time_have_no_hour(tmp_path, kind):
    days = pa.array([datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)])
    days = {"date64": days.cast(pa.date64()), "dictionary": days.dictionary_encode()}.get(kind, days)
    table = pa.table({"day": days, "y": [0, 1]})
    moments = table.set_column(0, "day", pa.array([datetime.datetime(2024, 1, 1, 5), None]))
    pq.write_table(moments, tmp_path / "a.parquet")
    pq.write_table(table, tmp_path / "b.parquet")
    options = dict(target="y", features=["day"], missing="nan", shuffle=False)
    for data in (table, tmp_path / "b.parquet"):
        for part in ("hour", "minute", "second"):
            with pytest.raises(OptionError, match=rf"`dates` names the {part} of 'day', and its type .* has none\."):
                ko.TableSequence(data, **options, dates={"day": part})
    assert ko.TableSequence(table, **options, dates={"day": "day"})[0][0].tolist() == [[1], [2]]
    with pytest.raises(OptionError, match=r"its type .* in .*b\.parquet has none\."):
        ko.TableSequence(tmp_path, **options, dates={"day": "hour"})

    train = ko.TableSequence(tmp_path / "a.parquet", **options, dates={"day": "hour"})
    assert train[0][0][0].tolist() == [5]
    for other in (train, train.without([1])):
        with pytest.raises(OptionError, match="`dates` names the hour of 'day', and its type"):
            other.like(table)


@pytest.mark.parametrize("as_strings", [pa.array, lambda texts: pa.array(texts).dictionary_encode()])
def test_strings_of_dates_without_a_time_have_no_hour(tmp_path, as_strings):
    table = pa.table({"day": as_strings(["2024-01-01", None, "2024-01-02"]), "y": [0, 1, 2]})
    options = dict(target="y", features=["day"], dtypes={"day": "ISO8601"}, missing="nan", shuffle=False)
    pq.write_table(table, tmp_path / "days.parquet")
    for data in (table, table.to_pandas(), tmp_path / "days.parquet"):
        for part in ("hour", "minute", "second"):
            with pytest.raises(OptionError, match=rf"names the {part} of 'day', and its cells, such as .* have none\."):
                ko.TableSequence(data, **options, dates={"day": ["days", part]})
        assert ko.TableSequence(data, **options, dates={"day": "day"})[0][0][::2].tolist() == [[1], [2]]

    moments = table.set_column(0, "day", as_strings(["2024-01-01", None, "2024-01-02 18:30"]))
    train = ko.TableSequence(moments, **options, dates={"day": "hour"})
    assert train[0][0][::2].tolist() == [[0], [18]]
    assert train.like(table)[0][0][::2].tolist() == [[0], [0]]  # midnight, as in the training rows
    empty = table.set_column(0, "day", as_strings([None, None, None]).cast(table["day"].type))
    assert np.isnan(ko.TableSequence(empty, **options, dates={"day": "hour"})[0][0]).all()


def test_strings_are_read_as_numbers_and_dates_if_dtypes_says_so(tmp_path):
    table = pa.table({"price": ["1.5", "NA", " 7 "], "day": ["13.10.2014", "14.10.2014", None], "y": [0, 1, 2]})
    path = tmp_path / "t.parquet"
    pq.write_table(table, path)
    options = dict(target="y", dtypes={"price": "float32", "day": "%d.%m.%Y"}, missing="nan", shuffle=False)

    x = ko.TableSequence(path, null_values=["NA"], **options)[0][0]
    assert x[:, 0].tolist()[::2] == [1.5, 7.0]
    assert x[:2, 1].tolist() == [16356.0, 16357.0]
    with pytest.raises(DataError, match=r"column 'price' \(#0\): cannot read 'NA' as float32\. Fix: null_values="):
        ko.TableSequence(path, **options)[0]
    with pytest.raises(OptionError, match=r"column 'y' is of the type int64, which cannot be read as a date"):
        ko.TableSequence(path, "y", dtypes={"y": "ISO8601"})


def test_dates_that_have_no_format_are_shown_as_one(tmp_path):
    rows = ko.TableSequence({"day": [datetime.date(2024, 1, 1), datetime.date(2024, 3, 1)], "y": [1, 2]}, "y")

    with pytest.raises(OptionError, match=r"`at` should be a date like '2024-09-01', as in column 'day'\. Received"):
        rows.split(by="day", at="2024-02")
    with pytest.raises(DataError, match=r"cannot read '1\.2\.24' as a date, or a string like '2024-09-01'\. Pass None"):
        rows.encode({"day": "1.2.24"})


# Files


def test_folders_are_columns(tmp_path):
    for year, city, first in ((2023, "Rome", 0), (2024, "New%20York", 5), (2024, "__HIVE_DEFAULT_PARTITION__", 9)):
        folder = tmp_path / "sales" / f"year={year}" / f"city={city}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"x": [first, first + 1]}), folder / "part-0.parquet")
    (tmp_path / "sales" / "_SUCCESS").write_text("")
    options = dict(target="x", features=["year", "city"], shuffle=False)
    rows = ko.TableSequence(tmp_path / "sales", **options)

    assert rows.columns == ["x", "city", "year"] or rows.columns == ["x", "year", "city"]
    assert rows.vocabulary("city") == ["New York", "Rome"]
    assert rows[0][0].tolist() == [[2023, 3], [2023, 3], [2024, 2], [2024, 2], [2024, 0], [2024, 0]]
    pattern = ko.TableSequence(f"{tmp_path}/sales/*/*/*.parquet", **options)
    assert as_bytes(pattern) == as_bytes(rows)
    train, val = rows.split(by="year", at=2024)
    assert (train.num_rows, val.num_rows) == (2, 4)


def test_numbers_of_folders_that_are_read_as_strings_keep_their_zeros(tmp_path):
    def written(name, codes):
        for number, code in enumerate(codes):
            folder = tmp_path / name / f"zip={code}"
            folder.mkdir(parents=True)
            pq.write_table(pa.table({"x": [number]}), folder / "part-0.parquet")
        return tmp_path / name

    of_texts, of_numbers = written("texts", ["01234", "1234", "K1A"]), written("numbers", ["01234", "1234"])
    train = ko.TableSequence(of_texts, "x", ["zip"], shuffle=False)
    assert train.vocabulary("zip") == ["01234", "1234", "K1A"]
    assert train.like(of_numbers)[0][0].tolist() == [[2], [3]]  # the codes of the same folders in training
    assert train.encode({"zip": ["01234", "1234"]}).tolist() == [[2], [3]]
    options = {"target": "x", "features": ["zip"], "shuffle": False}
    assert ko.TableSequence(of_numbers, **options)[0][0].tolist() == [[1234], [1234]]
    for more in ({"dtypes": {"zip": "string"}}, {"categorical": ["zip"]}):
        assert ko.TableSequence(of_numbers, **options, **more).vocabulary("zip") == ["01234", "1234"]
    ids = ko.TableSequence(written("ids", ["007", "08"]), None, ["x"], ids="zip", shuffle=False)
    assert ids.ids()["zip"].tolist() == ["007", "08"]


def test_a_folder_above_the_files_is_named_with_the_pattern_that_makes_it_a_column(in_tmp_path):
    for month in ("01", "02"):
        folder = in_tmp_path / "sales" / f"month={month}" / "kind=a"
        folder.mkdir(parents=True)
        for part in range(2):
            pq.write_table(pa.table({"x": [1, 2]}), folder / f"part-{part}.parquet")
    train = ko.TableSequence("sales", "x", features=["month", "kind"])
    for data, pattern in (
        ("sales/month=02", "sales/*=02/kind=a/*.parquet"),
        ("sales/month=02/kind=a/part-0.parquet", "sales/*=02/kind=a/part-0.parquet"),
    ):
        with pytest.raises(DataError, match="columns of the training rows are missing: 'month'") as raised:
            train.like(data, target=None)
        assert str(raised.value).endswith(f"below the folder or pattern that is passed, such as {pattern!r}")
        assert {*train.like(pattern, target=None)[0][:, 0].tolist()} == {2.0}
    with pytest.raises(DataError, match=r"It matches folders. To read the files in them: 'sales/\*/\*/\*\.parquet'"):
        ko.TableSequence("sales/*/*", "x")


def test_files_may_have_their_columns_in_another_order_and_other_types_of_one_kind(tmp_path):
    pq.write_table(pa.table({"x": pa.array([1], pa.int8()), "y": [1.0]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"y": pa.array([2], pa.float32()), "x": [2.5]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"y": pa.nulls(1), "x": [3]}), tmp_path / "c.parquet")
    rows = ko.TableSequence(f"{tmp_path}/*.parquet", "y", missing="drop", shuffle=False)

    assert [part.tolist() for part in rows[0]] == [[[1.0], [2.5]], [1.0, 2.0]]


def test_columns_that_differ_between_files_are_refused_with_both_files(tmp_path):
    pq.write_table(pa.table({"x": [1], "z": ["a"], "only": [1], "y": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [2], "z": [5], "y": [2]}), tmp_path / "b.parquet")
    data = [tmp_path / "a.parquet", tmp_path / "b.parquet"]

    assert ko.TableSequence(data, "y", features=["x"], shuffle=False)[0][0].tolist() == [[1], [2]]
    with pytest.raises(
        OptionError, match=r"'z' is of the type string in .*a\.parquet, and of the type int64 in .*b\.parq"
    ):
        ko.TableSequence(data, "y", features=["z"])
    with pytest.raises(OptionError, match=r"b\.parquet has no column 'only', and .*a\.parquet has one"):
        ko.TableSequence(data, "only", features=["x"])
    rows = ko.TableSequence(data, "y", features=["z"], dtypes={"z": "string"}, shuffle=False)
    assert rows.vocabulary("z") == ["5", "a"]
    with pytest.raises(DataError, match=r"columns of the training rows are missing: 'only'"):
        ko.TableSequence(data[0], "y", features=["only"]).like(data[1])


def test_a_file_that_changes_while_a_model_trains_is_an_error(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(houses(), path, row_group_size=5)
    rows = ko.TableSequence(path, "price", features=["floors"], batch_size=5, shuffle=False, workers=0)
    rows[0]
    rows.close()
    pq.write_table(houses(first=7), path, row_group_size=5)

    with pytest.raises(DataError, match=r"t\.parquet: the file changed since its footer was read.*Open it again"):
        list(rows)


@pytest.mark.parametrize("keep", [0, 3, 4, 100, 0.5, -1])
def test_damaged_files_are_named(tmp_path, keep):
    path = tmp_path / "t.parquet"
    pq.write_table(houses(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])

    with pytest.raises(DataError, match=r"t\.parquet: (the file is empty|cannot be read as Parquet)"):
        ko.TableSequence(path, "price", features=["floors"])


def test_a_damaged_row_group_is_named(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(houses(), path, row_group_size=3, compression="none", write_page_checksum=True)
    start = pq.read_metadata(path).row_group(1).column(2).data_page_offset
    content = bytearray(path.read_bytes())
    content[start + 20 : start + 30] = bytes(10)
    path.write_bytes(content)
    rows = ko.TableSequence(path, "price", features=["floors"], batch_size=3, shuffle=False, workers=0)

    rows[0]  # row group 1 is not among those that are looked at when the file is opened
    with pytest.raises(DataError, match=r"t\.parquet: row group 1 cannot be read as Parquet: "):
        rows[1]


def test_tables_without_rows(tmp_path):
    pq.write_table(houses(0), tmp_path / "none.parquet")
    with pq.ParquetWriter(tmp_path / "no-groups.parquet", houses().schema):
        pass
    for name in ("none", "no-groups"):
        with pytest.raises(DataError, match=rf"There are no rows in '.*{name}\.parquet'"):
            ko.TableSequence(tmp_path / f"{name}.parquet", "price", features=["floors"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="it is a folder"):
        ko.TableSequence(tmp_path / "empty", "y")
    with pytest.raises(DataError, match=r"Cannot read '.*missing\.parquet': No such file"):
        ko.TableSequence(tmp_path / "missing.parquet", "y")


def test_one_row_and_unicode_names(tmp_path):
    path = tmp_path / "Häuser №1.parquet"
    pq.write_table(pa.table({"größe, m²": [7.5], "цена": [3]}), path)
    x, y = ko.TableSequence(path, "цена")[0]

    assert (x.tolist(), y.tolist()) == ([[7.5]], [3.0])


def test_the_index_of_a_dataframe_is_not_a_feature_unless_it_is_named(tmp_path):
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]}, index=pd.Index([7, 8], name="row"))
    frame.to_parquet(path)

    assert ko.TableSequence(path, "y", shuffle=False)[0][0].tolist() == [[1.0], [2.0]]
    assert ko.TableSequence(path, "y", features=["row"], shuffle=False)[0][0].tolist() == [[7.0], [8.0]]


@pytest.mark.parametrize("kind", ["parquet", "feather", "table", "batches", "stream"])
@pytest.mark.parametrize("name", [None, "row"])
def test_the_index_that_pyarrow_took_from_a_dataframe_is_not_a_feature(tmp_path, kind, name):
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [0, 1, 0]}, index=pd.Index([7, 9, 8], name=name))
    table = pa.Table.from_pandas(frame)
    assert table.column_names == ["x", "y", name or "__index_level_0__"]
    in_memory = {"table": table, "batches": table.to_batches(), "stream": table.to_reader()}
    data = in_memory.get(kind, tmp_path / f"t.{kind}")
    if kind == "parquet":
        pq.write_table(table, data)
    elif kind == "feather":
        feather.write_feather(table, data)
    cache = {"cache": tmp_path / "cache"} if kind == "stream" else {}

    rows = ko.TableSequence(data, "y", shuffle=False, **cache)
    assert rows[0][0].tolist() == [[1.0], [2.0], [3.0]]
    rows.close()
    if kind != "stream":
        named = ko.TableSequence(data, "y", features=["x"], ids=name or "__index_level_0__", shuffle=False)
        assert named.ids()[name or "__index_level_0__"].tolist() == ["7", "9", "8"]
        assert named.like(data, target=None)[0].tolist() == [[1.0], [2.0], [3.0]]


def test_repeated_names_are_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], ["x", "x", "y"]), path)

    with pytest.raises(OptionError, match=r"t\.parquet has several columns 'x'"):
        ko.TableSequence(path, "y", features=["x"])


def test_only_the_columns_that_are_used_are_read(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    pq.write_table(houses(), path)
    read, original = [], pq.ParquetFile.read_row_group

    def read_row_group(self, group, columns=None, **options):
        read.append(columns)
        return original(self, group, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", read_row_group)
    list(ko.TableSequence(path, "price", features=["floors"]))

    assert all(set(columns) <= {"floors", "price"} for columns in read)


# What footers tell


@pytest.fixture
def read_groups(monkeypatch):
    """The row groups that were read, while a test runs."""
    groups, original = [], pq.ParquetFile.read_row_group

    def read_row_group(self, group, *arguments, **options):
        groups.append(group)
        return original(self, group, *arguments, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", read_row_group)
    return groups


def test_rows_are_counted_without_reading_where_footers_say_that_no_cell_is_missing(tmp_path, read_groups):
    path = tmp_path / "t.parquet"
    numbers = [None if row == 25 else row for row in range(40)]
    floats = pa.array([float("nan") if row == 5 else row for row in range(40)], pa.float64())
    pq.write_table(pa.table({"x": numbers, "f": floats, "y": range(40)}), path, row_group_size=10)

    assert ko.TableSequence(path, "y", features=["x"], missing="drop").num_rows == 39
    assert read_groups == [2]
    read_groups.clear()
    assert ko.TableSequence(path, "y", features=["f"], missing="drop").num_rows == 39  # footers say nothing about NaN
    assert sorted(read_groups) == [0, 1, 2, 3]


def test_rows_are_split_by_value_without_reading_where_footers_tell(tmp_path, read_groups):
    path = tmp_path / "t.parquet"
    start = datetime.datetime(2024, 1, 1)
    days = [start + datetime.timedelta(days=row) for row in range(40)]
    pq.write_table(
        pa.table({"day": days, "f": [float(row) for row in range(40)], "y": range(40)}), path, row_group_size=10
    )
    rows = ko.TableSequence(path, "y", features=["f"], shuffle=False)

    train, val = rows.split(by="day", at="2024-01-26")
    assert (train.num_rows, val.num_rows) == (25, 15)
    assert read_groups == [2]
    assert val[0][1].tolist() == list(range(25, 40))
    read_groups.clear()
    train, val = rows.split(by="f", at=25)
    assert (train.num_rows, val.num_rows) == (25, 15)
    assert set(read_groups) == {0, 1, 2, 3}


def test_ids_and_free_text_are_warned_about_as_for_csv(tmp_path):
    table = pa.table({"id": range(100, 1300), "x": [row % 7 for row in range(1200)], "y": [0.0] * 1200})
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, row_group_size=300)

    with pytest.warns(
        UserWarning, match=r"Features that say little about other rows: 'id' \(a different number per row\)"
    ):
        ko.TableSequence(path, "y")


# Large row groups


def test_a_row_group_with_many_cells_is_read_in_parts(both, monkeypatch):
    expected = [flat(batch) for batch in both(shuffle=False)[1]]
    monkeypatch.setattr(layout, "MOST_CELLS", 40)
    monkeypatch.setattr(layout, "FEWEST_ROWS", 2)
    _, rows = both(shuffle=False)
    sizes = inside.source(rows).sizes

    assert max(sizes) == 4
    assert sum(sizes) == NUM_ROWS
    for one, other in zip(expected, rows, strict=True):
        assert [part.tobytes() for part in one] == [part.tobytes() for part in flat(other)]
    _, rows = both(features=["floors"])
    assert sorted(number for _, y in rows for number in y) == pytest.approx([row * 1.1 for row in range(NUM_ROWS)])
    assert rows.filenames(0)[0].startswith("houses.parquet: row ")


def test_missing_pyarrow_is_an_error_that_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "pa", None)
    with pytest.raises(MissingExtraError, match=r"Parquet files require pyarrow: pip install 'keras_oocore\[tables\]'"):
        ko.TableSequence("houses.parquet", "y")


def test_parts_that_follow_one_another_are_decoded_once(both, monkeypatch):
    monkeypatch.setattr(layout, "MOST_CELLS", 40)
    monkeypatch.setattr(layout, "FEWEST_ROWS", 2)
    started, original = [], pq.ParquetFile.iter_batches

    def iter_batches(self, *arguments, **options):
        started.append(arguments)
        return original(self, *arguments, **options)

    _, rows = both(features=["floors"], missing="nan", shuffle=False, workers=0)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", iter_batches)
    assert sum(len(y) for _, y in rows) == NUM_ROWS

    assert len(started) == 5  # row groups of 13 rows


def test_a_row_group_larger_than_memory_takes_little_memory(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    num_rows = 200_000
    table = pa.table({f"x{i}": np.random.default_rng(i).normal(size=num_rows) for i in range(10)})
    pq.write_table(table, path, row_group_size=num_rows, use_dictionary=False)
    whole_bytes = table.nbytes
    del table
    monkeypatch.setattr(layout, "MOST_CELLS", 2**16)
    usual, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    POOLS.append(pool)
    pa.set_memory_pool(pool)
    try:
        rows = ko.TableSequence(path, "x0", shuffle=False, workers=0, batch_size=1000, memory_limit="2MB")
        for index in range(100):
            rows[index]
    finally:
        pa.set_memory_pool(usual)

    assert 0 < pool.max_memory() < whole_bytes / 3
    assert inside.source(rows).memory_bytes < whole_bytes / 8
