"""Rows of large record batches are read from the file: every type, little memory, and no memory map of the columns."""

import decimal
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc

from keras_oocore.core.errors import DataError
from keras_oocore.tables.arrow.folders import FoundFile
from keras_oocore.tables.ipc.files import ArrowFile

NUM_ROWS = 70_003


def table(num_rows):
    rows, draw = np.arange(num_rows), np.random.default_rng(0)
    gaps = draw.random(num_rows) < 0.1
    texts = pa.array([None if gap else "é" * (row % 5) + str(row) for row, gap in zip(rows.tolist(), gaps)])
    long = pa.array([None if gap else f"number {row % 100} of many " for row, gap in zip(rows.tolist(), gaps)])
    apart = pa.array([f"a long text {number}" for number in draw.permutation(num_rows).tolist()])
    columns = {
        "double": pa.array(draw.random(num_rows), mask=gaps),
        "int8": pa.array((rows % 100).astype(np.int8)),
        "half": pa.array(rows.astype(np.float16)),
        "bool": pa.array(rows % 3 == 0, mask=gaps),
        "string": texts,
        "large_string": texts.cast(pa.large_string()),
        "binary": texts.cast(pa.binary()),
        "fixed": pa.array([b"abc"] * num_rows, pa.binary(3)),
        "dictionary": texts.dictionary_encode(),
        "numbers": pa.array(rows % 7).dictionary_encode(),
        "moment": pa.array(rows, pa.timestamp("us", "UTC")),
        "day": pa.array(rows.astype(np.int32)).cast(pa.date32()),
        "decimal": pa.array([decimal.Decimal(row) for row in rows.tolist()], pa.decimal256(50, 2)),
        "null": pa.nulls(num_rows),
        "missing": pa.array([None] * num_rows, pa.string()),
        "empty": pa.array([""] * num_rows),
        "list": pa.array([[1, 2]] * num_rows),
        "struct": pa.array([{"a": 1}] * num_rows),
    }
    if hasattr(pa, "string_view"):
        views = {"view": long, "short": texts, "apart": apart, "no": columns["missing"]}
        columns |= {f"{name} views": array.cast(pa.string_view()) for name, array in views.items()}
    if hasattr(pa, "bool8"):
        columns["extension"] = pa.ExtensionArray.from_storage(pa.bool8(), columns["int8"])
    return pa.table(columns)


@pytest.mark.parametrize("new", [ipc.new_file, ipc.new_stream], ids=["file", "stream"])
@pytest.mark.parametrize("num_rows", [1, 9, NUM_ROWS])
def test_rows_of_every_type(tmp_path, new, num_rows):
    written, path = table(num_rows), str(tmp_path / "rows.arrow")
    with new(path, written.schema) as writer:
        writer.write_table(written)
    reader = ArrowFile(FoundFile(path)).reader(written.schema.names)
    middle = num_rows // 2
    for first, end in {(0, num_rows), (min(3, middle), middle + 1), (num_rows - 1, num_rows), (middle, middle + 1)}:
        found = reader.columns(0, first, end)
        for name, array in found.items():
            assert pa.chunked_array([array]).to_pylist() == written[name].slice(first, end - first).to_pylist(), name


@pytest.mark.parametrize("new", [ipc.new_file, ipc.new_stream], ids=["file", "stream"])
def test_a_part_of_a_large_record_batch_takes_little_memory(tmp_path, new):
    numbers = np.arange(1_000_000.0)
    with new(str(tmp_path / "rows.arrow"), pa.schema({"x": pa.float64(), "y": pa.float64()})) as writer:
        writer.write_batch(pa.record_batch({"x": numbers, "y": -numbers}))
    before = pa.total_allocated_bytes()
    reader = ArrowFile(FoundFile(str(tmp_path / "rows.arrow"))).reader(["x"])
    assert reader.columns(0, 500_000, 500_003)["x"].to_pylist() == [500_000, 500_001, 500_002]
    assert pa.total_allocated_bytes() - before < 1_000_000


TRUNCATED = """
import os, sys
import keras_oocore as ko
from keras_oocore.tables.arrow.folders import FoundFile
from keras_oocore.tables.ipc.files import ArrowFile

path, names = sys.argv[1], ["double", "string", "dictionary", "view views"]
file = ArrowFile(FoundFile(path))
names = [name for name in names if name in file.names]
reader = file.reader(names)
reader.columns(0, 0, 1000)
unchanged, ArrowFile.require_unchanged = ArrowFile.require_unchanged, lambda self: None  # as if it was just asked
os.truncate(path, 20_000)
try:
    reader.columns(0, 40_000, 60_000)
except ko.DataError as error:
    print(error)
"""


@pytest.mark.parametrize("new", [ipc.new_file, ipc.new_stream], ids=["file", "stream"])
def test_a_file_that_is_shortened_while_rows_are_read_does_not_end_the_process(tmp_path, new):
    written, path = table(NUM_ROWS), str(tmp_path / "rows.arrow")
    with new(path, written.schema) as writer:
        writer.write_table(written)
    command = [sys.executable, "-c", TRUNCATED, path]
    found = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert "rows.arrow: record batch 0 cannot be read: it is truncated." in found.stdout


def test_damaged_strings_are_an_error(tmp_path):
    texts, path = pa.array(["one", "two", "three"] * 30_000), tmp_path / "rows.arrow"
    with ipc.new_file(str(path), pa.schema({"s": pa.string()})) as writer:
        writer.write_batch(pa.record_batch({"s": texts}))
    content, offsets = path.read_bytes(), texts.buffers()[1].to_pybytes()[:80]
    status = os.stat(path)
    for damaged in (np.array([-5, 3], np.int32), np.array([0, 2**30], np.int32)):
        path.write_bytes(content.replace(offsets, damaged.tobytes() + offsets[8:], 1))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        with pytest.raises(DataError, match=r"rows.arrow: record batch 0 cannot be read"):
            ArrowFile(FoundFile(str(path))).reader(["s"]).columns(0, 0, 1)
