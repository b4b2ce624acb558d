"""What a user of CSVChunkSequence meets with a file: rows, an error, or rows and a warning.

`outcomes` parametrises a test with files, options and outcomes. Each file is read as many chunks, and as one chunk into
a cache. The outcome is the same to the letter.
"""

import os
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import DataError, DestinationError, OptionError
from keras_oocore.csv import sample
from keras_oocore.tables.csv import table as csv_table

MANY, ONE = 64, 2**20  # bytes per chunk
TEXT = dict(features=["x"])  # named explicitly, strings are allowed as features


class Rows(NamedTuple):
    """Rows: the cells of one feature, or a list of cells per row; strings in place of codes, None for missing cells."""

    x: list
    y: list
    warnings: tuple = ()


class Fails(NamedTuple):
    """An error."""

    message: str
    error: type = DataError


ONE_ROW, TWO_ROWS = Rows([1], [2]), Rows([1, 3], [2, 4])


def outcomes(*cases):
    """Parametrise a test with `(id, content, options, outcome)`."""
    return pytest.mark.parametrize(
        ("content", "options", "outcome"), [pytest.param(*case[1:], id=case[0]) for case in cases]
    )


def late(row, other="1,2"):
    """A file whose row 99, on line 101, is not among the sampled rows."""
    return "x,y\n" + f"{other}\n" * 99 + f"{row}\n" + f"{other}\n" * 99


def among(value, other):
    """The cells of `late`."""
    return [other] * 99 + [value] + [other] * 99


def at(row, rest, column=None):
    """An error that names a row of a file with one line per row."""
    where = "" if column is None else f", column {column!r} (#{'xy'.index(column)})"
    return Fails(f"houses.csv: row {row} (line {row + 2}){where}: {rest}")


def unreadable(row, text, kind="float32", column="x", fix=None):
    """The error for a cell."""
    fix = fix or f"null_values=[..., {text!r}], on_bad_row='skip', or dtypes={{{column!r}: 'string'}}"
    return at(row, f"cannot read {text!r} as {kind}. Fix: {fix}.", column)


def ragged(row, num_cells, text):
    """The error for a row with too few or too many cells."""
    return at(row, f"expected 2 cells, found {num_cells}, in {text!r}. Fix the row, or on_bad_row='skip'.")


def loses(what, column="x"):
    """The warning about numbers that float32 changes."""
    return (f"Column {column!r} has {what}. If they are names and not amounts: categorical=[{column!r}]",)


def infinite(row, number="inf", column="x"):
    """The warning about an infinite number."""
    return (
        f"houses.csv: row {row} (line {row + 2}), column {column!r}: the number is {number}, and the loss of most "
        "models becomes NaN. Replace such numbers in the data. In a CSV file, null_values=[..., 'inf', '-inf'] makes "
        "them missing cells.",
    )


def only_text(column="x", note=""):
    """The error for strings among the default features."""
    note = f"Column {column!r} is {note}. " if note else ""
    return Fails(
        f"Columns hold strings: {column!r}. {note}Choose the features, features=[...]; or leave these out, "
        f"exclude=[{column!r}]; or encode the strings, categorical=[{column!r}]; or give the format of dates, "
        f"dtypes={{{column!r}: '%Y-%m-%d'}}.",
        OptionError,
    )


def looks_like(example, fix, what="numbers"):
    """The note about strings that look like numbers or dates."""
    return f"read as strings, though its cells look like {what}, such as {example!r}. Fix: {fix}"


def measured(example, fix, what="numbers", column="y"):
    """The error for a target whose values would become classes."""
    return Fails(
        f"Target {column!r} is {looks_like(example, fix, what)}. Otherwise each value would be a class. If they are "
        f"names of classes: categorical=[{column!r}]",
        OptionError,
    )


def write(content, name="houses.csv"):
    """Write a file into the working directory."""
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())


def make(data="houses.csv", **options):
    """A Sequence in the order of the file."""
    return ko.CSVChunkSequence(data, **{"target": "y", "shuffle": False, "batch_size": 64, **options})


def served(sequence):
    """`x` and `y` of an epoch, as in `Rows`."""
    xs, ys = zip(*((x, y) for x, y, *_ in sequence))
    x, y = np.concatenate(xs), np.concatenate(ys).tolist()
    if sequence.class_names:
        y = [sequence.class_names[index] for index in y]
    if x.shape[1] > 1:
        return x.tolist(), y
    if x.dtype != np.int32:
        return [None if value != value else value for value in x[:, 0].tolist()], y
    texts = [None, "unknown", *_vocabulary(sequence)]
    return [texts[code] for code in x[:, 0].tolist()], y


def _vocabulary(sequence):
    """The vocabulary of the only feature."""
    for name in sorted(sequence.columns, key="y".__eq__):  # the target comes last: it may be the feature
        try:
            return sequence.vocabulary(name)
        except OptionError:
            continue
    raise AssertionError("no feature holds strings")


def outcome_of(*arguments, **options):
    """What reading a file results in."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            x, y = served(make(*arguments, **options))
        except (DataError, OptionError, DestinationError) as error:
            return Fails(str(error), DataError if isinstance(error, DataError) else type(error))
    return Rows(x, y, tuple(str(warning.message) for warning in caught))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory; chunks and samples are so small that the samples miss the late rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(csv_table, "CHUNK_BYTES", MANY)
    monkeypatch.setattr(sample, "SAMPLED_BYTES", 8)
    monkeypatch.setattr(sample, "FIRST_BYTES", 64)
    return tmp_path


@pytest.fixture
def check(folder, monkeypatch):
    """Function that checks the outcome of a file, read in both ways."""

    def check(content, options, outcome):
        write(content)
        assert outcome_of(**options) == outcome
        monkeypatch.setattr(csv_table, "CHUNK_BYTES", ONE)
        assert outcome_of(**options, cache=os.path.abspath("cache")) == outcome

    return check
