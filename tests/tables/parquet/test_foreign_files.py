"""Parquet files that other programs wrote are right, or refused by name. None crashes or hangs.

The soak test reads all files of a folder, such as that of https://github.com/apache/parquet-testing:
`KERAS_OOCORE_PARQUET_FILES=parquet-testing pytest -m soak tests/tables/parquet/test_foreign_files.py`
"""

import datetime
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import DataError
from keras_oocore.tables.opening import Opening
from keras_oocore.tables.parquet.table import ParquetTable

CHILD = Path(__file__).parents[2] / "parquet_child.py"
FOLDER = os.environ.get("KERAS_OOCORE_PARQUET_FILES")
TIMEOUT_S = 600


def outcomes(paths):
    """What became of each file: a dictionary, read in a process of its own."""
    done = subprocess.run(
        [sys.executable, CHILD, *map(str, paths)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    found = dict(map(json.loads, done.stdout.splitlines()))
    assert done.returncode == 0, f"{paths[len(found)]}: {done.stderr[-2000:]}"
    return found


def kinds_of_columns():
    """Columns of the types that programs write."""
    moments = [datetime.datetime(2024, 1, 1, hour) for hour in range(20)]
    numbers = list(range(20))
    return {
        "int": pa.array(numbers, pa.int32()),
        "uint64": pa.array([2**64 - 1 - number for number in numbers], pa.uint64()),
        "half": pa.array(np.arange(20, dtype=np.float16)),
        "float": pa.array([float("nan"), *map(float, numbers[1:])]),
        "bool": pa.array([None, *[number % 2 == 0 for number in numbers[1:]]]),
        "decimal": pa.array([Decimal(number) / 8 for number in numbers], pa.decimal128(30, 3)),
        "text": pa.array([None, "", *map(str, numbers[2:])]),
        "words": pa.array(["a", "b"] * 10).dictionary_encode(),
        "bytes": pa.array([b"a"] * 20),
        "day": pa.array([moment.date() for moment in moments]),
        "moment": pa.array(moments, pa.timestamp("us")),
        "zoned": pa.array(moments, pa.timestamp("ms", "America/New_York")),
        "time": pa.array([moment.time() for moment in moments], pa.time64("us")),
        "list": pa.array([[1]] * 20),
        "struct": pa.array([{"int": 1}] * 20),
        "null": pa.nulls(20),
    }


REFUSED = {"bytes", "list", "struct"}
WRITERS = {
    "data_page_version": "2.0",
    "compression": "zstd",
    "use_dictionary": False,
    "write_statistics": False,
    "use_deprecated_int96_timestamps": True,
    "store_schema": False,
    "write_page_index": True,
    "version": "1.0",
    "data_page_size": 10,
    "row_group_size": 7,
    "store_decimal_as_integer": True,
}


def test_files_of_every_kind_are_right_or_refused_by_name(tmp_path):
    table = pa.table(kinds_of_columns())
    paths = [tmp_path / f"{name}.parquet" for name in WRITERS]
    for path, (name, value) in zip(paths, WRITERS.items()):
        pq.write_table(table, path, **{name: value})

    for path, found in outcomes(paths).items():
        assert found.get("right") == table.num_columns - len(REFUSED), (path, found)
        assert set(found["columns refused"]) == REFUSED, path


def test_damaged_files_are_refused_by_name(tmp_path):
    path = tmp_path / "whole.parquet"
    pq.write_table(pa.table(kinds_of_columns()), path, write_page_checksum=True)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    paths = []
    for number in range(30):
        content = bytearray(whole)
        for place in rng.integers(4, len(whole), 4):
            content[place] ^= 1 << rng.integers(0, 8)
        paths.append(tmp_path / f"damaged-{number}.parquet")
        paths[-1].write_bytes(content if number % 3 else whole[: int(rng.integers(1, len(whole)))])

    found = outcomes(paths)
    assert len(found) == len(paths)
    for path, outcome in found.items():
        if "refused" in outcome:
            assert path in outcome["refused"]


def test_strings_that_are_not_utf8_are_named_and_can_be_skipped(tmp_path):
    """A program that writes another encoding as strings."""
    path = tmp_path / "latin1.parquet"
    cities = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(np.array([0, 4, 8, 12], np.int32)), pa.py_buffer(b"RomeK\xf6lnOslo")]
    )
    pq.write_table(pa.table({"size": [1.0, 2.0, 3.0], "city": cities}), path)

    table = ParquetTable(path)
    with pytest.raises(
        DataError, match=r"latin1.parquet: row 1 \(row group 0\), column 'city' \(#1\): .* UTF-8.*K.xf6ln"
    ):
        table.read(0, [table.columns["city"]])
    skipping = ParquetTable(path, Opening({"on_bad_row": "skip"}))
    cells = skipping.read(0, [*skipping.columns.values()])
    assert (cells.rows.tolist(), cells.columns["city"].to_pylist()) == ([0, 2], ["Rome", "Oslo"])
    report = ko.check(path)
    assert (report.num_bad, report.num_rows) == (1, 2)
    assert "the string is not UTF-8" in report.bad[1]


@pytest.mark.soak
@pytest.mark.skipif(FOLDER is None, reason="KERAS_OOCORE_PARQUET_FILES names no folder")
def test_files_of_a_folder_are_right_or_refused_by_name():
    paths = sorted(path for path in Path(FOLDER).rglob("*.parquet*") if path.is_file())
    assert paths
    for path, found in outcomes(paths).items():
        assert "wrong" not in found, (path, found)
        refused = [found["refused"]] if "refused" in found else list(found["columns refused"].values())
        assert all(path in why for why in refused), (path, refused)
