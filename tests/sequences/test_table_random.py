"""Random tables of all types, in every format, give the batches that plain Python computes from their values."""

import collections
import datetime
import decimal
import math
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from frames import FILES, IN_MEMORY, as_data
from hypothesis import given
from hypothesis import strategies as st

import keras_oocore as ko

EPOCH = datetime.datetime(1970, 1, 1)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
WORDS = [
    "a",
    "Rome",
    "日本",
    "NA",
    "nan",
    "None",
    "",
    " ",
    " y",
    "x,y",
    'q"q',
    "two\nlines",
    "1",
    "1.0",
    "007",
    "True",
    "e\u0301",
]
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DATES = ("date32", "date64", "timestamp", "zoned")
TYPES = (*INTEGERS, "float32", "float64", "decimal", "bool", *DATES, "string", "dictionary")
KINDS = ("csv", "parquet", *(kind for kind in IN_MEMORY if kind != "dictionary"), *FILES, "stream")
PARTS = ("year", "month", "day", "weekday", "quarter", "day_of_year", "week")
SPLITS = (
    {},
    {"by": "day", "at": "2024-02-01"},
    {"validation_split": 0.3, "groups": "group", "seed": 1},
    {"validation_split": 0.3, "seed": 1},
    {"validation_split": 0.3, "stratify": "group", "seed": 1},
)


def column_of(rng, kind, num_rows):
    """Return a column of random values, some of which may be missing, as an array of pyarrow."""
    some = range(num_rows)
    dtype = getattr(pa, kind)() if hasattr(pa, kind) and kind not in ("timestamp", "dictionary") else None
    if kind in INTEGERS:
        limits = np.iinfo(kind)
        values = [int(value) for value in rng.integers(limits.min, limits.max, num_rows, kind, endpoint=True)]
        values = [value if rng.random() < 0.5 else int(rng.integers(0, 4)) for value in values]
    elif kind.startswith("float"):
        values = [float(np.dtype(kind).type(rng.normal() * 10.0 ** rng.integers(-3, 6))) for _ in some]
        values = [[0.0, -0.0, 1.0, value][int(rng.integers(4))] for value in values]
    elif kind == "decimal":
        values = [decimal.Decimal(int(value)).scaleb(-3) for value in rng.integers(-(10**9), 10**9, num_rows)]
        dtype = pa.decimal128(20, 3)
    elif kind == "bool":
        values, dtype = (rng.random(num_rows) < 0.4).tolist(), pa.bool_()
    elif kind.startswith("date"):
        values = [EPOCH.date() + datetime.timedelta(days=int(day)) for day in rng.integers(-7000, 30_000, num_rows)]
    elif kind in DATES:
        unit = str(rng.choice(["s", "ms", "us", "ns"]))
        step = {"s": 10**6, "ms": 1000}.get(unit, 1)
        zone = str(rng.choice(ZONES)) if kind == "zoned" else None
        values = [
            EPOCH + datetime.timedelta(microseconds=int(us) // step * step)
            for us in rng.integers(0, 2 * 10**15, num_rows)
        ]
        values = [value if zone is None else value.replace(tzinfo=datetime.UTC) for value in values]
        dtype = pa.timestamp(unit, zone)
    else:
        words = [WORDS[i] for i in rng.choice(len(WORDS), 5, replace=False)]
        values, dtype = [words[int(i)] for i in rng.integers(0, 5, num_rows)], pa.string()
    share = rng.choice([0, 0.2])
    array = pa.array([None if rng.random() < share else value for value in values], dtype)
    return array.dictionary_encode() if kind == "dictionary" else array


def table_of(rng):
    """Return a random table, and the kind of each of its random columns."""
    num_rows = int(rng.integers(30, 80))
    kinds = {f"c{i}": str(kind) for i, kind in enumerate(rng.choice(TYPES, rng.integers(2, 7)))}
    start = datetime.date(2024, 1, 1)
    columns = {
        **{name: column_of(rng, kind, num_rows) for name, kind in kinds.items()},
        "number": pa.array([10**15 + 7 * row for row in range(num_rows)]),
        "group": pa.array(["abc"[row % 3] for row in range(num_rows)]),
        "day": pa.array([start + datetime.timedelta(days=int(day)) for day in rng.integers(0, 60, num_rows)]),
        "weight": pa.array(rng.random(num_rows).round(3)),
        "y": pa.array(rng.normal(size=num_rows).round(4)),
    }
    return pa.table(columns), kinds


def written(table, kind, rng, folder):
    """Return the table as data of a kind. Parquet is several files, whose columns are in another order."""
    if kind != "parquet":
        if kind == "csv":
            table = pa.table({name: plain(table[name]) for name in table.column_names})
        return as_data(table, kind, folder)
    cut, paths = int(rng.integers(1, table.num_rows)), []
    for part in (table[:cut], table[cut:]):
        part = part.select(rng.permutation(part.column_names).tolist())
        paths.append(folder / f"{len(paths)}.parquet")
        codec, version = str(rng.choice(["none", "snappy", "zstd"])), str(rng.choice(["1.0", "2.4", "2.6"]))
        pq.write_table(part, paths[-1], int(rng.integers(3, 40)), version, compression=codec)
    return paths


def plain(column):
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def number_of(value):
    """Return a value as `float64`: dates as days since 1970 in UTC, and missing ones as NaN."""
    if value is None:
        return math.nan
    if isinstance(value, datetime.datetime):
        value = value if value.tzinfo is None else value.astimezone(datetime.UTC).replace(tzinfo=None)
        return (value - EPOCH) // datetime.timedelta(microseconds=1) / 86_400_000_000
    return float((value - EPOCH.date()).days) if isinstance(value, datetime.date) else float(value)


def part_of(value, part):
    """Return a part of a date, in its time zone."""
    if value is None:
        return math.nan
    others = {
        "weekday": value.weekday(),
        "quarter": (value.month + 2) // 3,
        "day_of_year": value.timetuple().tm_yday,
        "week": value.isocalendar()[1],
    }
    return float(others[part] if part in others else getattr(value, part))


def codes_of(values, training):
    """Return the codes of strings, the most frequent ones of the training rows first."""
    counts = collections.Counter(values[row] for row in training if values[row] is not None)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    return [0 if value is None else names.index(value) + 2 if value in counts else 1 for value in values]


def assert_split(split, table, parts):
    """Check which rows are in the two parts."""
    groups, days = table["group"].to_pylist(), table["day"].to_pylist()
    first, second = ([int(row) for row in part] for part in parts)
    if "by" in split:
        assert max(days[row] for row in first) < datetime.date(2024, 2, 1) <= min(days[row] for row in second)
    if "groups" in split:
        assert not {groups[row] for row in first} & {groups[row] for row in second}
    if "stratify" in split:
        for name in set(groups):
            assert abs(sum(groups[row] == name for row in second) - 0.3 * groups.count(name)) <= 1


@pytest.mark.one_backend
@examples(6)
@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS))
def test_random_tables(seed, kind):
    rng = np.random.default_rng(seed)
    table, kinds = table_of(rng)
    if kind == "csv":  # which has no types: its strings are others than NA, and a column has some cells
        names = [name for name in kinds if kinds[name] not in ("string", "dictionary") and table[name].null_count < 5]
    elif kind.startswith("pandas"):  # which makes floats of integers, if some are missing
        names = [name for name in kinds if kinds[name] not in INTEGERS or not table[name].null_count]
    else:
        names = list(kinds)
    names = names or ["weight"]
    categorical = [name for name in names if kinds.get(name) in INTEGERS and rng.random() < 0.3]
    dates = {name: [str(rng.choice(PARTS))] for name in names if kinds.get(name) in DATES and rng.random() < 0.5}
    split = SPLITS[int(rng.integers(len(SPLITS)))]
    cached, shuffle = kind == "stream" or rng.random() < 0.3, bool(rng.random() < 0.5)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of integers that float32 rounds, and of few distinct values
        sequence = ko.TableSequence(
            written(table, kind, rng, Path(folder)),
            "y",
            names,
            sample_weight="weight",
            ids="number",
            categorical=categorical,
            dates=dates or None,
            missing="nan",
            batch_size=int(rng.integers(1, 40)),
            shuffle=shuffle,
            seed=0,
            cache=Path(folder) / "cache" if cached else None,
        )
        parts = sequence.split(**split) if split else (sequence,)
        batches = [list(part) for part in parts]
        served = [np.asarray(part.served_rows) for part in parts]
        assert sorted(np.concatenate(served).tolist()) == list(range(table.num_rows))
        if split:
            assert_split(split, table, served)
        zone = {name: ZoneInfo(table[name].type.tz) for name in names if kinds.get(name) == "zoned"}
        expected = []
        for name in names:
            values = plain(table[name]).to_pylist()
            if kinds.get(name) in ("string", "dictionary") or name in categorical:
                expected.append(codes_of([None if value is None else str(value) for value in values], served[0]))
            elif name in dates:
                local = [value.astimezone(zone[name]) if value and name in zone else value for value in values]
                expected += [[part_of(value, part) for value in local] for part in dates[name]]
            else:
                expected.append([number_of(value) for value in values])
        columns = [*expected, table["y"].to_pylist(), table["weight"].to_pylist()]
        for part, of_part, rows in zip(parts, batches, served, strict=True):
            received = np.concatenate([np.column_stack(batch) for batch in of_part])
            np.testing.assert_array_equal(received, np.array(columns, np.float64).astype(np.float32).T[rows])
            assert part.served_ids["number"].tolist() == [str(10**15 + 7 * row) for row in rows]
        for part in parts:
            part.close()
