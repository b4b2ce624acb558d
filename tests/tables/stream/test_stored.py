"""Streams: stored once, compared later, and never served stale."""

import itertools
import json

import numpy as np
import pyarrow as pa
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import DataError, DestinationError, OptionError

ROWS = pa.table({"x": np.arange(100.0), "city": [f"city {i % 7}" for i in range(100)], "y": np.arange(100.0)})


@pytest.fixture
def open_stream(tmp_path):
    """A function that opens a stream with a cache."""

    def open_stream(data, **options):
        options = {"features": ["x", "city"], "cache": tmp_path / "cache", "batch_size": 9, "seed": 0, **options}
        return ko.TableSequence(data, "y", **options)

    return open_stream


def as_bytes(sequence):
    return [(x.tobytes(), y.tobytes()) for x, y in sequence]


class Exporter:
    """An object of another library that exports a stream, and is no table."""

    def __init__(self, rows):
        self._rows = rows

    def __arrow_c_stream__(self, requested_schema=None):
        return self._rows.to_reader(max_chunksize=11).__arrow_c_stream__(requested_schema)


def frames(rows=ROWS):
    pandas = pytest.importorskip("pandas")
    frame = rows.to_pandas()
    frame.index = pandas.Index(range(5, len(frame) + 5), name="key")
    return (frame[start : start + 13] for start in range(0, len(frame), 13))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ROWS.to_reader(max_chunksize=17),
        lambda: Exporter(ROWS),
        lambda: iter(ROWS.to_batches(max_chunksize=3)),
        lambda: (ROWS[start : start + 10] for start in range(0, 100, 10)),
        frames,
        lambda: iter([pytest.importorskip("polars").from_arrow(ROWS)]),
    ],
    ids=["reader", "capsule", "batches", "tables", "pandas", "polars"],
)
def test_streams_of_any_kind_give_the_batches_of_the_table(open_stream, make, tmp_path):
    expected = as_bytes(open_stream(ROWS, cache=tmp_path / "of the table"))

    assert as_bytes(open_stream(make())) == expected
    assert as_bytes(open_stream(make())) == expected  # from the cache


def test_a_stream_requires_a_cache(open_stream):
    with pytest.raises(OptionError, match=r'which can be read only once.*Pass cache="DIR".*RecordBatchReader'):
        open_stream(ROWS.to_reader(), cache=None)


def test_a_stream_with_other_rows_is_an_error_unless_it_replaces_the_cache(open_stream):
    first = as_bytes(open_stream(ROWS.to_reader()))
    other = ROWS.set_column(0, "x", pa.array(np.arange(100.0) + 1))
    for changed in (
        other,
        ROWS[1:],
        ROWS[::-1] if hasattr(ROWS, "__reversed__") else ROWS.take(list(range(100))[::-1]),
    ):
        with pytest.raises(DataError, match=r"other rows than the one that .*cache' stores.*overwrite_cache=True"):
            open_stream(changed.to_reader())
    assert as_bytes(open_stream(ROWS.to_reader())) == first

    replaced = as_bytes(open_stream(other.to_reader(), overwrite_cache=True))
    assert replaced != first
    assert as_bytes(open_stream(other.to_reader())) == replaced


def test_a_stream_that_fails_leaves_nothing_and_can_be_read_again(open_stream, tmp_path):
    def failing():
        yield from ROWS[:30].to_batches()
        raise OSError("the network failed")

    with pytest.raises(DataError, match="The stream failed after 30 rows: the network failed"):
        open_stream(failing())
    assert not (tmp_path / "cache" / "stream" / "rows.arrow").exists()
    assert open_stream(ROWS.to_reader()).num_rows == 100


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupted_stream_is_stored_by_the_next_run(open_stream, error):
    def interrupted():
        yield from ROWS[:30].to_batches()
        raise error

    with pytest.raises(error):
        open_stream(interrupted())
    assert open_stream(ROWS.to_reader()).num_rows == 100


def test_damaged_notes_and_rows_are_written_again(open_stream, tmp_path):
    folder = tmp_path / "cache" / "stream"
    first = as_bytes(open_stream(ROWS.to_reader()))
    for damage in ("", "[", "{}", json.dumps(["x", [1, 2]])):
        (folder / "rows.json").write_text(damage)
        assert as_bytes(open_stream(ROWS.to_reader())) == first
    (folder / "rows.arrow").write_bytes(b"")
    assert as_bytes(open_stream(ROWS.to_reader())) == first


def test_batches_that_differ_are_named(open_stream):
    def reader(*tables):
        return itertools.chain.from_iterable(table.to_batches() for table in tables)

    with pytest.raises(DataError, match=r"Batch 1 of the stream has the columns \['x'\], and the first one \['x'"):
        open_stream(reader(ROWS, ROWS.select(["x"])))
    strings = ROWS.set_column(0, "x", pa.array(["a"] * 100))
    with pytest.raises(DataError, match="Batch 1 of the stream: column 'x' is of the type large_string, and"):
        open_stream(reader(ROWS, strings))


def test_dictionaries_may_differ_from_batch_to_batch(open_stream, tmp_path):
    expected = as_bytes(open_stream(ROWS, cache=tmp_path / "of the table"))
    parts = [ROWS[start : start + 10] for start in range(0, 100, 10)]
    encoded = [part.set_column(1, "city", part["city"].combine_chunks().dictionary_encode()) for part in parts]

    assert as_bytes(open_stream(iter(encoded))) == expected


def test_what_yields_no_rows_is_refused(open_stream, tmp_path):
    with pytest.raises(OptionError, match=r"should yield record batches, tables or DataFrames. Received: 1"):
        open_stream(iter([1]))
    with pytest.raises(OptionError, match=r"Received: paths. Pass a list of them: sorted\(data\)"):
        open_stream(tmp_path.glob("*") if list(tmp_path.glob("*")) else iter(["a.csv"]))
    with pytest.raises(DataError, match="The stream has no rows, and does not say which columns it has"):
        open_stream(iter([]))
    with pytest.raises(DataError, match="no rows"):
        open_stream(ROWS[:0].to_reader())


def test_the_first_rows_of_an_endless_stream(open_stream):
    endless = itertools.cycle(ROWS.to_batches(max_chunksize=40))

    assert open_stream(endless, num_rows=250).num_rows == 250


def test_a_folder_with_other_files_is_not_used(open_stream, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "mine.txt").write_text("mine")
    with pytest.raises(DestinationError, match="holds other files"):
        open_stream(ROWS.to_reader())
