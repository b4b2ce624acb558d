"""Rows of a table as samples: subsets, orders, statistics, threads and forks."""

import copy
import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from products import few_of_product

from keras_oocore.core.errors import DataError
from keras_oocore.csv.cells import Cells
from keras_oocore.csv.dialect import CellOptions, Dialect
from keras_oocore.tables.csv import table as csv_table
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.options import ColumnOptions
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.splits.base import Fractions, RowSubset
from keras_oocore.tables.splits.drawn import DrawnSplit
from keras_oocore.tables.statistics_cache import fit_features

NUM_ROWS = 200


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Function that returns rows of a file whose row i is `i, 2 i`."""

    def make(content=None, chunk_bytes=64, subset=None, num_threads=2, limit_bytes=2**20, **options):
        monkeypatch.setattr(csv_table, "CHUNK_BYTES", chunk_bytes)
        path = tmp_path / "houses.csv"
        content = content or "a,b\n" + "".join(f"{i},{2 * i}\n" for i in range(NUM_ROWS))
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
        cells = CellOptions(on_bad_row=options.pop("on_bad_row", "error"))
        table = CSVTable(str(path), Dialect(), cells, dtypes=options.pop("dtypes", None))
        features = FeatureSpec(table, ColumnOptions(**{"target": "b", **options}))
        return TableRows(table, features, subset, num_threads, limit_bytes)

    return make


def part(validation_split, seed, is_validation):
    """The training or the validation rows of a random split."""
    return RowSubset(DrawnSplit(Fractions(validation_split, 0), seed), int(is_validation))


def read(rows, samples):
    samples = np.asarray(samples)
    out = np.empty((len(samples), *rows.spec.shape), rows.spec.dtype)
    assert rows.read(samples, out) == {}
    return out[:, 0].tolist()


@few_of_product(
    "chunk_bytes, limit_bytes",
    [(1, 1), (10, 500), (100, 1), (100, 2**20), (10_000, 500)],
    *([1, 10, 100, 10_000], [1, 500, 2**20]),
)
def test_read_any_rows_in_any_order(make, chunk_bytes, limit_bytes):
    rows = make(chunk_bytes=chunk_bytes, limit_bytes=limit_bytes)
    samples = np.random.default_rng(0).permutation(NUM_ROWS)

    assert len(rows) == NUM_ROWS
    assert read(rows, samples) == samples.tolist()
    assert [value for sample in samples[:20] for value in read(rows, [sample])] == samples[:20].tolist()
    assert rows.memory_bytes <= max(limit_bytes, 2 * max(rows.sizes) * 8)


def test_name_is_file_row_and_line(make):
    rows = make('b,c\n1,"x\ny"\n\n2,z\n3,z\n', features=["b"], chunk_bytes=5)
    assert rows.name(1).endswith("houses.csv: row 1 (line 5)")
    dropped = make("a,b\n,1\n2,2\n3,3\n", missing="drop")
    assert [dropped.name(i).partition(".csv: ")[2] for i in range(2)] == ["row 1 (line 3)", "row 2 (line 4)"]


@pytest.mark.parametrize("split", [0.1, 0.5, 0.123, 0.995])
def test_training_and_validation_rows_are_disjoint_and_complete(make, split):
    training, validation = (make(chunk_bytes=50, subset=part(split, 3, validation)) for validation in (False, True))
    first, second = (read(rows, np.arange(len(rows))) for rows in (training, validation))

    assert sorted(first + second) == list(range(NUM_ROWS))
    assert len(second) == int(NUM_ROWS * split)
    assert first == sorted(first)
    assert second == sorted(second)


def test_subset_depends_on_the_seed_and_spans_the_file(make):
    drawn = [make(subset=part(0.25, seed, True)) for seed in (1, 2, 1)]
    first, second, again = (read(rows, np.arange(len(rows))) for rows in drawn)
    assert first == again != second
    assert all(10 <= sum(k <= value < k + 50 for value in first) <= 15 for k in range(0, 200, 50))
    mask = mask_of(part(0.25, 1, True), 3, 100, 200)
    assert mask.sum() == 25
    assert (mask == ~mask_of(part(0.25, 1, False), 3, 100, 200)).all()


def mask_of(subset, chunk, first, end):
    return subset.mask(chunk, first, end, Cells(np.arange(end - first), {}))


def test_masks_differ_by_seed_and_chunk():
    masks = [mask_of(part(0.5, seed, True), chunk, 0, 64).tobytes() for seed in range(5) for chunk in range(5)]
    assert len(set(masks)) == 25


def test_skipped_rows_are_not_counted(make):
    content = "a,b\n" + "".join(f"{'x' if i % 7 == 0 else i},{i}\n" + ("5\n" * (i % 5 == 0)) for i in range(100))
    for chunk_bytes in (3, 50, 10_000):
        rows = make(content, chunk_bytes, on_bad_row="skip", dtypes={"a": "float32"})
        expected = [i for i in range(100) if i % 7]
        assert read(rows, np.arange(len(rows))) == expected
        assert rows.num_skipped == 15 + 20
    rows = make("a,b\n" + "".join(f"{i if i % 3 else ''},{i}\n" for i in range(99)), missing="drop")
    assert read(rows, np.arange(len(rows))) == [i for i in range(99) if i % 3]
    assert rows.num_skipped == 33


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("a,b\n", dict(), "There are no rows in '.*houses.csv'"),
        ("a,b\n,1\n,2\n", dict(missing="drop"), "None of the 2 rows in '.*' is left with missing='drop'"),
        ("a,b\n1\n2\n", dict(on_bad_row="skip"), "None of the 2 rows in '.*' is left with on_bad_row='skip'"),
        (
            "a,b\n1,2\n",
            dict(subset=part(0.2, 0, True)),
            "validation_split=0.2 of 1 row leaves none for validation",
        ),
    ],
)
def test_no_rows(make, content, options, message):
    with pytest.raises(DataError, match=message):
        make(content, **options)


def test_statistics_for_any_number_of_threads_and_chunks(make):
    content = "a,b\n" + "".join(f"{value!r},1\n" for value in np.random.default_rng(0).normal(size=200).tolist())
    found = [make(content, 64, num_threads=n).statistics()["a"] for n in (0, 1, 2, 7)]
    assert len({(one.mean, one.squares, one.distinct) for one in found}) == 1
    whole = make(content, 100_000).statistics()["a"]
    assert found[0].mean == pytest.approx(whole.mean, rel=1e-12)
    assert found[0].std == pytest.approx(whole.std, rel=1e-12)


def test_statistics_of_a_subset_are_computed_once(make, monkeypatch):
    rows = make(subset=part(0.5, 0, False))
    values = read(rows, np.arange(len(rows)))
    assert rows.statistics()["a"].mean == pytest.approx(np.mean(values))
    monkeypatch.setattr(rows, "used", None)
    assert rows.statistics()["a"].count == len(values)


def test_order_window_fits_into_memory(make):
    rows = make(chunk_bytes=40)
    assert rows.order(True, 0, 10).window_chunks == 64 or rows.order(True, 0, 10).window_chunks * 2 <= rows.max_chunks
    small = make(chunk_bytes=40, limit_bytes=1)
    assert (small.max_chunks, small.order(True, 0, 10).window_chunks) == (2, 1)


def test_epoch_in_windows_parses_each_chunk_once(make, monkeypatch):
    rows = make(chunk_bytes=40, limit_bytes=6 * 16 * 8)
    assert rows.order(True, 0, 10).window_chunks < len(rows.sizes) / 2
    parsed, encode = [], rows.encode_chunk
    monkeypatch.setattr(rows, "encode_chunk", lambda chunk, *out: parsed.append(chunk) or encode(chunk, *out))
    order = rows.order(True, 5, 10)
    for start in range(0, NUM_ROWS, 10):
        read(rows, order.samples(0, start, start + 10))
    assert sorted(parsed) == list(range(len(rows.sizes)))


def test_threads_share_the_parsing(make, monkeypatch):
    rows = make(chunk_bytes=30)
    parsed, encode = [], rows.encode_chunk
    monkeypatch.setattr(rows, "encode_chunk", lambda chunk, *out: parsed.append(chunk) or encode(chunk, *out))
    orders = [np.random.default_rng(seed).permutation(NUM_ROWS) for seed in range(8)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda order: read(rows, order), orders)) == [order.tolist() for order in orders]
    assert len(parsed) == len(rows.sizes)


def test_copies_share_no_parsed_rows(make):
    rows = make()
    read(rows, [5])
    for copied in (pickle.loads(pickle.dumps(rows)), copy.deepcopy(rows)):
        assert copied.statistics_from is copied
        assert read(copied, [7, 3]) == [7, 3]


def test_close_releases_parsed_rows(make, monkeypatch):
    rows = make()
    read(rows, [5])
    rows.close()
    parsed, encode = [], rows.encode_chunk
    monkeypatch.setattr(rows, "encode_chunk", lambda chunk, *out: parsed.append(chunk) or encode(chunk, *out))
    assert read(rows, [5]) == [5]
    assert len(parsed) == 1


def test_file_that_changes_while_it_is_read(make, tmp_path):
    rows = make(limit_bytes=1)
    read(rows, [0])
    with open(tmp_path / "houses.csv", "a") as file:
        file.write("1,2\n")
    with pytest.raises(DataError, match=r"the file changed since its rows were counted \(.* bytes before, .* now\)\."):
        read(rows, [NUM_ROWS - 1])


def test_validation_rows_use_the_statistics_of_training_rows(make):
    content = "a,b\n" + "".join(f"{i if i % 10 else ''},{i}\n" for i in range(100))
    whole = make(content, missing="mean")
    training, validation = whole.divide(part(0.3, 1, False).split)
    assert validation.sizes == make(content, missing="mean", subset=part(0.3, 1, True)).sizes
    fit_features(validation, None)
    mean = np.mean([i for i in read_b(training) if i % 10])
    assert training.features is validation.features is not whole.features
    assert training.features.means["a"] == pytest.approx(mean)
    assert whole.features.means == {}
    gaps = [value for value, b in zip(read(validation, np.arange(30)), read_b(validation)) if b % 10 == 0]
    assert gaps == [np.float32(mean)] * len(gaps) != []


def read_b(rows):
    """The second column of all rows, without fitted features."""
    return [
        int(value) for chunk in range(rows.table.num_chunks) for value in rows.cells(chunk).columns["b"].to_pylist()
    ]


def test_map_chunks_stops_with_its_consumer(make):
    rows, begun = make(chunk_bytes=4), []
    for number in rows.map_chunks(lambda chunk: begun.append(chunk) or chunk, "counting"):
        if number == 3:
            break
    threading.Event().wait(0.05)
    assert len(begun) < 20 < rows.table.num_chunks


def test_error_in_a_chunk_is_raised(make):
    content = "a,b\n" + "1,2\n" * 1000 + "x,3\n" + "1,2\n" * 1000
    rows = make(content, 1000, dtypes={"a": "float32"})
    with pytest.raises(DataError, match=r"row 1000 \(line 1002\), column 'a' \(#0\): cannot read 'x' as float32"):
        rows.statistics()


def read_into(pipe, rows):
    pipe.send(read(rows, [9, 3]))


@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_fork_while_a_thread_parses(make):
    rows = make()
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=read_into, args=(sender, rows), daemon=True)
    with rows._chunk_cache._lock:  # no thread of the child process will ever release it
        child.start()
    sender.close()
    try:
        assert receiver.poll(300), "the forked child hangs"
        assert receiver.recv() == [9, 3]
    finally:
        child.kill()
        child.join(300)
