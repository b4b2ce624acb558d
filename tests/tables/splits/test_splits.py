"""Splits of tables: every row is in one part, parts have their fractions, and the same seed gives the same rows."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.core.errors import OptionError
from keras_oocore.csv.cells import Cells, Column
from keras_oocore.manifest import group_splits
from keras_oocore.tables.splits.base import NO_PART, Fractions
from keras_oocore.tables.splits.by_value import SplitByValue
from keras_oocore.tables.splits.classes import MOST_CLASSES, count_classes
from keras_oocore.tables.splits.drawn import DrawnSplit
from keras_oocore.tables.splits.grouped import ChunkCounts, GroupedSplit
from keras_oocore.tables.splits.stratified import StratifiedSplit, quotas

KEY, CLASS = Column("customer", 0, "string"), Column("fraud", 1, "string")


def chunks_of(keys, classes, size):
    """The rows of a table as chunks."""
    table = {"customer": pa.array(keys, pa.string()), "fraud": pa.array(classes, pa.string())}
    parts = [
        {name: cells[start : start + size] for name, cells in table.items()} for start in range(0, len(keys), size)
    ]
    return [Cells(np.arange(len(part["fraud"])), part) for part in parts]


def stratified(chunks, fractions, seed=0):
    return StratifiedSplit.of(CLASS, [count_classes(chunk.columns["fraud"]) for chunk in chunks], fractions, seed)


def grouped(chunks, fractions, seed=0, strata=None):
    counted = [ChunkCounts.of(chunk, (KEY,), chunk.columns["fraud"] if strata else None) for chunk in chunks]
    return GroupedSplit.of((KEY,), strata, counted, fractions, seed)


def assigned(split, chunks):
    """The part of every row."""
    parts, first = [], 0
    for number, chunk in enumerate(chunks):
        end = first + len(chunk.rows)
        parts.append(split.assign(number, first, end, chunk))
        first = end
    return np.concatenate(parts)


percent = st.integers(0, 49)
fractions = st.tuples(percent, percent).filter(any).map(lambda both: Fractions(both[0] / 100, both[1] / 100))


@given(fractions, st.integers(1, 40), st.lists(st.integers(0, 3), min_size=1, max_size=120), st.integers(0, 99))
@examples(40)
def test_parts_have_their_fractions_in_any_chunks(fractions, size, codes, seed):
    counts = np.bincount(codes)
    chunks = chunks_of([None] * len(codes), [f"class {code}" for code in codes], size)
    starts = np.append(np.arange(0, len(codes), size), len(codes))
    splits = [DrawnSplit(fractions, seed)]
    if counts[counts > 0].min() >= len(fractions.names):
        splits.append(stratified(chunks, fractions, seed))
    for split in splits:
        parts = assigned(split, chunks)
        sizes = np.array(split.known_sizes(starts, may_skip_rows=False))
        assert (parts >= 0).all()
        assert sizes.sum(axis=1).tolist() == np.bincount(parts, minlength=len(split.names)).tolist()
        assert sizes.sum(axis=0).tolist() == np.diff(starts).tolist()
        assert assigned(pickle.loads(pickle.dumps(split)), chunks).tolist() == parts.tolist()
        for part, fraction in enumerate(fractions.others.values(), start=1):
            assert abs((parts == part).sum() - len(codes) * fraction) <= (1 if split is splits[0] else len(counts))
            if split is not splits[0]:  # within one row of each class, and at least one row
                found = np.bincount(np.array(codes)[parts == part], minlength=len(counts))
                assert (np.abs(found - np.maximum(counts * fraction, counts > 0)) <= 1).all()
                assert (found[counts > 0] > 0).all()


def test_quotas_leave_rows_for_training_and_round_to_the_fraction_of_all_rows():
    assert quotas(np.array([3, 4, 100]), [0.45, 0.45]).tolist() == [[1, 1, 45], [1, 2, 45]]
    assert quotas(np.full(100, 13), [0.2]).sum() == 260


def test_stratified_rows_depend_on_the_seed_and_spread_over_the_chunks():
    chunks = chunks_of([None] * 1000, ["yes" if i % 10 == 0 else "no" for i in range(1000)], 100)
    first, again, other = (assigned(stratified(chunks, Fractions(0.2, 0), seed), chunks) for seed in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist()
    assert first.reshape(10, 100)[:, ::10].sum(axis=1).tolist() == [2] * 10


def test_missing_cells_are_a_class_and_numbers_are_classes():
    chunks = chunks_of([None] * 40, [None, "a", "a", "a"] * 10, 7)
    parts = assigned(stratified(chunks, Fractions(0.2, 0.2)), chunks)
    assert np.bincount(parts[::4]).tolist() == [6, 2, 2]
    numbers = [pa.array([0.0, 1.0, None, 0.0, 1.0, None])]
    split = StratifiedSplit.of(Column("n", 0, "float32"), map(count_classes, numbers), Fractions(0.5, 0), 0)
    parts = split.assign(0, 0, 6, Cells(np.arange(6), {"n": numbers[0]}))
    assert (parts[:3] + parts[3:]).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("kind", "classes", "message"),
    [
        (
            "string",
            ["a", "a", "b"],
            r"rows of every class in each of the 2 parts. Too few rows of class 'b' \(1\)",
        ),
        ("float32", [1.0, 2.0, 3.0, 3.0], "Most of its values are that rare, so they are not classes: split without"),
        ("string", ["a", "a", None], r"Too few rows of class '\(missing\)' \(1\) in column 'x'. Split without"),
        ("string", [f"{i}" for i in range(9)], "'4' \\(1\\) and 4 more in column 'x'"),
        ("float32", [0.0, 0.5], "Column 'x' has measured values, such as 0.5"),
        ("string", [f"{i}" for i in range(MOST_CLASSES + 1)], "has more than 10,000 distinct values"),
    ],
)
def test_columns_that_have_no_classes_to_stratify_by(kind, classes, message):
    with pytest.raises(OptionError, match=message):
        StratifiedSplit.of(Column("x", 0, kind), [count_classes(pa.array(classes))], Fractions(0.2, 0), 0)


# Groups


@pytest.fixture(scope="module")
def payments():
    """30,000 payments of 10,000 customers. Every 20th is a fraud."""
    rng = np.random.default_rng(0)
    keys = [f"c{k}" for k in np.concatenate([np.arange(10_000), rng.integers(0, 10_000, 20_000)])]
    classes = np.where(rng.random(30_000) < 0.05, "yes", "no").tolist()
    return keys, classes


@pytest.mark.parametrize(("strata", "seed"), [(None, 0), (None, 1), (CLASS, 0)])
def test_groups_are_not_divided_and_fractions_are_exact_within_one_percent(payments, strata, seed, monkeypatch):
    monkeypatch.setattr(group_splits, "BALANCED_DRAWS", 1)  # one of 10,000 groups takes long enough
    keys, classes = payments
    chunks = chunks_of(keys, classes, 7000)
    parts = assigned(grouped(chunks, Fractions(0.15, 0.1), seed, strata), chunks)
    part_of_key = {}
    assert all(part_of_key.setdefault(key, part) == part for key, part in zip(keys, parts.tolist()))
    for part, fraction in enumerate((0.75, 0.15, 0.1)):
        assert abs((parts == part).mean() - fraction) < 0.01
        groups = np.bincount(list(part_of_key.values()))[part] / len(part_of_key)
        assert abs(groups - fraction) < 0.01
        if strata is not None:
            frauds = np.mean([name == "yes" for name, own in zip(classes, parts) if own == part])
            assert frauds == pytest.approx(np.mean([name == "yes" for name in classes]), abs=0.002)


def test_groups_do_not_depend_on_chunks_and_depend_on_the_seed(payments):
    keys, classes = (values[:3000] for values in payments)
    chunks, whole = chunks_of(keys, classes, 100), chunks_of(keys, classes, 3000)
    split = grouped(chunks, Fractions(0.2, 0), 0)
    assert assigned(split, chunks).tolist() == assigned(grouped(whole, Fractions(0.2, 0), 0), whole).tolist()
    other = grouped(chunks, Fractions(0.2, 0), 1)
    assert assigned(other, chunks).tolist() != assigned(split, chunks).tolist()
    assert other.describe(1)["drawn"] != split.describe(1)["drawn"]


def test_few_groups_fill_all_parts_and_fewer_than_parts_are_an_error():
    chunks = chunks_of(["a"] * 90 + ["b"] * 5 + [None] * 5, [None] * 100, 30)
    for seed in range(5):
        parts = assigned(grouped(chunks, Fractions(0.1, 0.1), seed), chunks)
        assert sorted(np.bincount(parts).tolist()) == [5, 5, 90]
    with pytest.raises(OptionError, match="1 group is too few for 2 parts: training, validation"):
        grouped(chunks_of(["a"] * 9, [None] * 9, 9), Fractions(0.1, 0))


def test_groups_of_very_different_sizes_have_the_fraction_of_the_rows():
    keys = [f"c{k}" for k in np.random.default_rng(0).zipf(1.5, 30_000)]  # the largest has 38% of the rows
    chunks = chunks_of(keys, keys, 10_000)
    assert np.mean(assigned(grouped(chunks, Fractions(0.2, 0)), chunks)) == pytest.approx(0.2, abs=0.001)


def test_many_pairs_of_bucket_and_class_are_added_up(payments, monkeypatch):
    chunks = chunks_of(*(values[:400] for values in payments), 40)
    expected = grouped(chunks, Fractions(0.2, 0), 0, CLASS).part_of_bucket
    monkeypatch.setattr("keras_oocore.tables.splits.grouped.MOST_PAIRS", 100)
    assert (grouped(chunks, Fractions(0.2, 0), 0, CLASS).part_of_bucket == expected).all()


# Values


def test_boundaries_belong_to_the_later_part_and_missing_values_to_none():
    split = SplitByValue(Column("x", 0, "float32"), (1.0, 2.0))
    cells = Cells(np.arange(6), {"x": pa.array([0.5, 1.0, 1.5, 2.0, 9.0, None])})
    assert split.assign(0, 0, 6, cells).tolist() == [0, 1, 1, 2, 2, NO_PART]
    assert split.names == ("training", "validation", "test")


def test_empty_parts_are_explained_with_the_range_of_the_column():
    split = SplitByValue(Column("x", 0, "float32"), (1.0, 2.0), lowest=5, highest=6.5)
    assert [split.why_empty(part, 9) for part in range(3)] == [
        "No row is for training: column 'x' has no value before 1. Its values are from 5 to 6.5.",
        "No row is for validation: column 'x' has no value from 1 on and before 2. Its values are from 5 to 6.5.",
        "No row is for testing: column 'x' has no value from 2 on. Its values are from 5 to 6.5.",
    ]
    assert SplitByValue(Column("x", 0, "float32"), (1.0,), np.inf, -np.inf).why_empty(0, 9) == (
        "No row has a value in column 'x'."
    )


def test_descriptions_are_plain_json_and_differ(payments):
    chunks = chunks_of(*(values[:300] for values in payments), 100)
    splits = [
        DrawnSplit(Fractions(0.2, 0), 0),
        DrawnSplit(Fractions(0.2, 0.1), 0),
        DrawnSplit(Fractions(0, 0.2), 0),
        stratified(chunks, Fractions(0.2, 0)),
        grouped(chunks, Fractions(0.2, 0)),
        grouped(chunks, Fractions(0.2, 0), strata=CLASS),
        SplitByValue(Column("day", 0, "date", "%Y"), (0.0,)),
        SplitByValue(Column("day", 0, "date", "%d"), (0.0,)),
    ]
    described = [split.describe(part) for split in splits for part in range(len(split.names))]
    assert described[1] == {"validation_split": 0.2, "seed": 0, "validation": True}  # as caches of earlier versions
    assert [json.loads(json.dumps(part)) for part in described] == described
    assert len({json.dumps(part, sort_keys=True) for part in described}) == len(described)
    assert splits[-1].describe(1)["at"] == ["1970-01-01"]
