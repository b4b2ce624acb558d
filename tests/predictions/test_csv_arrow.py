"""The text of CSV rows is the same with and without pyarrow, and the same as of Python's `csv`."""

import csv
import io

import numpy as np
import pytest

from keras_oocore.predictions import csv_arrow, csv_rows
from keras_oocore.predictions.csv_rows import CSVFormat
from keras_oocore.predictions.groups import Group, Rows

WORDS = ["a", "b, c", 'd"e"', None, "", "f\ng", "\udce9", "ü"]


def rows_of(values, readable=True):
    """Rows with all kinds of columns."""
    num_rows = len(values)
    words = np.resize(np.array(WORDS, object), num_rows)
    groups = [
        Group(("file",), words),
        Group(("row",), np.arange(num_rows)),
        Group(("class",), words[::-1], predicted=True),
        Group(tuple(map(str, range(values.shape[1]))), values, predicted=True),
    ]
    return Rows(groups, np.resize(readable, num_rows).astype(bool))


def check(values):
    rows = rows_of(values, readable=[True, True, False])
    assert csv_arrow.lines(rows) == csv_rows.lines(rows)


@pytest.mark.parametrize(("dtype", "bits"), [("float32", np.uint32), ("float64", np.uint64)])
def test_numbers_have_the_same_digits_with_and_without_pyarrow(dtype, bits):
    rng = np.random.default_rng(0)
    ten = np.array([float(f"1e{exponent}") for exponent in range(-44, 38)])
    powers = np.concatenate([ten, 2.0 ** np.arange(-140, 127)]).astype(dtype)
    near = [np.nextafter(powers, np.array(side, dtype)) for side in (0, np.inf)]
    any_bits = rng.integers(0, np.iinfo(bits).max, 20_000, bits).view(dtype)
    check(any_bits[~np.isnan(any_bits)][:19_000].reshape(-1, 10))
    check(np.concatenate([powers, *near, -powers])[:, np.newaxis])
    check((10.0 ** rng.uniform(-12, 12, (2_000, 10))).astype(dtype))
    check(rng.dirichlet(np.full(100, 0.1), 200).astype(dtype))
    check(np.array([[0, -0.0, 1, 100], [np.nan, np.inf, -np.inf, 1e-5]], dtype))


@pytest.mark.parametrize("column", ["file", "class", "1"])
def test_a_single_column_has_no_empty_lines(column):
    rows = rows_of(np.ones((8, 2), "float32"), readable=[True, False]).select({column: ""})

    text = CSVFormat().header(rows) + csv_rows.lines(rows)

    assert csv_arrow.lines(rows) == csv_rows.lines(rows)
    found = list(csv.reader(io.StringIO(text.decode(errors="surrogateescape"))))
    assert len(found) == 9


def test_words_are_quoted_as_by_python():
    rows = rows_of(np.ones((8, 1)))
    buffer = io.StringIO()
    columns = [group.values.ravel().tolist() for group in rows.groups]
    csv.writer(buffer, lineterminator="\n").writerows(zip(*columns))

    assert csv_rows.lines(rows) == buffer.getvalue().encode(errors="surrogateescape")
