"""Arguments of tables that are each tested alone, drawn together: splits, weights, ids, labels, rows left out, caches.

The expected rows come from another table, which never had the rows that are left out, and is of another format.
"""

import copy
import json
import pickle
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from frames import FILES, IN_MEMORY, as_data, flat
from hypothesis import given
from hypothesis import strategies as st

import keras_oocore as ko

KINDS = ("csv", "folders", *IN_MEMORY, *FILES, "stream")
SPLITS = (  # those that depend on the cells alone, so that they are the same in all formats
    {"by": "number", "at": 5.0},
    {"by": "year", "at": [2022, 2023]},
    {"groups": "group", "validation_split": 0.3, "seed": 1},
    {"groups": ["group", "year"], "validation_split": 0.2, "test_split": 0.2, "seed": 2},
    {"groups": "group", "stratify": "kind", "validation_split": 0.3, "seed": 3},
    {"groups": "id", "test_split": 0.3, "seed": 4},
)


def table_of(rng, num_rows=60):
    """Return a table with missing cells, of three years, whose numbers are beyond `float32` in some rows."""
    some = range(num_rows)
    number = [None if rng.random() < 0.1 else float(value) for value in rng.normal(5, 3, num_rows).round(3)]
    number[0], number[-1] = 1.0, 9.0
    labels = ["|".join(np.array([*"pqrst"])[rng.random(5) < 0.4]) or None for _ in some]
    return pa.table(
        {
            "id": [f"r{row:03d}" for row in some],
            "number": pa.array(number),
            "size": pa.array([1e39 if rng.random() < 0.1 else float(row) for row in some]),
            "city": pa.array([[None, "Rome", "Köln", "a,b"][i] for i in rng.integers(0, 4, num_rows)]),
            "group": [f"g{i}" for i in rng.integers(0, 12, num_rows)],
            "kind": [["cat", "dog"][i] for i in rng.integers(0, 2, num_rows)],
            "labels": pa.array(labels, pa.string()),
            "weight": rng.random(num_rows).round(3) + 0.5,
            "price": rng.normal(size=num_rows).round(4),
            "year": np.sort(rng.integers(2021, 2024, num_rows - 3).tolist() + [2021, 2022, 2023]),
        }
    )


def written(table, kind, folder):
    """Return the table as data of a kind. `"folders"` are Parquet files with several row groups in `year=2021` etc."""
    folder.mkdir()
    if kind != "folders":
        return as_data(table, kind, folder)
    years = table["year"].to_numpy()
    for year in np.unique(years):
        (folder / f"year={year}").mkdir()
        part = table.filter(years == year).drop_columns(["year"])
        pq.write_table(part, folder / f"year={year}" / "part.parquet", row_group_size=4)
    return folder


def options_of(rng):
    """Return random arguments of a Sequence."""
    target = [{"target": "price"}, {"target": "kind"}, {"target": "labels", "label_separator": "|"}][rng.integers(3)]
    weights = [{}, {"sample_weight": "weight"}, {"class_weight": "balanced"}][rng.integers(3)]
    if target["target"] != "kind":
        weights.pop("class_weight", None)
    return {
        **target,
        **weights,
        "features": [["number", "size", "kind"], {"a": ["size", "year"], "b": ["kind"]}][rng.integers(2)],
        "dtypes": {"size": "float32"},  # no kind is inferred from cells that cannot be read
        "categorical": ["year"][: rng.integers(2)] if rng.random() < 0.5 else [],
        "missing": str(rng.choice(["mean", "nan", "drop"])),
        "indicator": bool(rng.random() < 0.5),
        "ids": [["id"], ["id", "city"]][rng.integers(2)],
        "on_bad_row": "skip",
        "batch_size": int(rng.choice([1, 4, 6, 30])),
        "shuffle": bool(rng.random() < 0.5),
        "last_batch": str(rng.choice(["keep", "pad"])),
        "seed": int(rng.integers(9)),
        "workers": int(rng.integers(3)),
    }


def raw(batches):
    return [[(array.dtype.str, array.shape, array.tobytes()) for array in flat(batch)] for batch in batches]


def by_row(sequence, padded):
    """Return number → bytes of each row that a pass serves, and its ids, without weights that depend on the batch."""
    batches = [flat(batch[:-1] if padded else batch) for batch in sequence]
    arrays = [np.concatenate(arrays) for arrays in zip(*batches, strict=True)]
    rows, ids = sequence.served_rows.tolist(), zip(*sequence.served_ids.values(), strict=True)
    values = zip(*([value.tobytes() for value in array] for array in arrays), ids, strict=True)
    return dict(zip(rows, values, strict=True))


class Weighted:
    """A model that returns a sum of the features, which tells rows apart."""

    weights = ()

    def predict_on_batch(self, x):
        x = np.concatenate(flat(x), axis=1)
        return np.nan_to_num(x, nan=-3.0).astype("float32") @ np.arange(1, x.shape[1] + 1, dtype="float32")


def assert_resumes(part, rng):
    """A pass continues in a copy, and in a Sequence that was pickled, where another one stopped."""
    stop, pass_of_user = int(rng.integers(1, len(part) + 1)), iter(part)
    for _ in range(stop):
        next(pass_of_user)
    state = json.loads(json.dumps(part.state_dict()))
    rest = raw(pass_of_user)
    for again in (copy.copy(part), pickle.loads(pickle.dumps(part))):
        again.load_state_dict(state)
        if rest:
            assert raw(again) == rest
        else:
            assert len(list(again)) == len(part)
        again.close()


def assert_divides(part):
    """Each row is in one partition."""
    rows = []
    for partition in part.partition(2) if len(part) > 1 else [part]:
        assert len(list(partition)) == len(partition)
        rows += {*partition.served_rows.tolist()}
    assert sorted(rows) == part.row_numbers.tolist()


def assert_predicts(part, table):
    """Each prediction is beside the id of its row, and says so if there is none."""
    predicted = ko.predict(Weighted(), part)
    errors = predicted.get("error", np.full(len(predicted["id"]), ""))
    rows = part.row_numbers.tolist()
    assert predicted["id"][errors == ""].tolist() == table["id"].take(rows).to_pylist()
    once = copy.copy(part)
    values = np.concatenate([Weighted().predict_on_batch(flat_x(batch)) for batch in once])
    of_row = dict(zip(once.served_rows.tolist(), values.tolist(), strict=True))
    assert predicted["prediction"][errors == ""].tolist() == [of_row[row] for row in rows]
    once.close()


def flat_x(batch):
    return batch[0] if isinstance(batch, tuple) else batch


@pytest.mark.one_backend
@examples(6)
@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.sampled_from(KINDS))
def test_random_combinations(seed, kind, other_kind):
    rng = np.random.default_rng(seed)
    table, options, split = table_of(rng), options_of(rng), SPLITS[int(rng.integers(len(SPLITS)))]
    options["missing"] = "drop" if split.get("by") == "number" else options["missing"]
    removed = np.unique(rng.integers(0, table.num_rows, 8))
    kept = np.setdiff1d(np.arange(table.num_rows), removed)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows left out, rows without labels, and columns of floats
        folder = Path(folder)

        def cache(name, is_stream):
            return {"cache": folder / name} if is_stream or rng.random() < 0.5 else {}

        rows = ko.TableSequence(written(table, kind, folder / "a"), **options, **cache("c", kind == "stream"))
        fewer = ko.TableSequence(
            written(table.take(kept), other_kind, folder / "b"), **options, **cache("d", other_kind == "stream")
        )
        parts, expected = rows.without(removed[:4]).without(removed[4:]).split(**split), fewer.split(**split)
        padded = options["last_batch"] == "pad"
        for part, of_fewer in zip(parts, expected, strict=True):
            found = by_row(part, padded)
            assert found == {int(kept[row]): values for row, values in by_row(of_fewer, padded).items()}
            assert sorted(found) == part.row_numbers.tolist()
            assert_resumes(part, rng)
            assert_divides(part)
            if options["target"] == "price":
                assert_predicts(part, table)
        numbers = [number for part in parts for number in part.row_numbers.tolist()]
        assert len(numbers) == len({*numbers})
        assert not {*numbers} & {*removed.tolist()}
        if "groups" in split:
            names = [split["groups"]] if isinstance(split["groups"], str) else split["groups"]
            groups = [{*zip(*(table[name].take(part.row_numbers).to_pylist() for name in names))} for part in parts]
            assert sum(map(len, groups)) == len(set().union(*groups))
        train = parts[0]
        train.save_features(folder / "features.json")
        later = table_of(rng, 20)
        learned = [train, ko.load_features(folder / "features.json")]
        batches = []
        for i, (one, form) in enumerate(zip(learned, (kind, other_kind), strict=True)):
            where = {"cache": folder / f"later{i}"} if form == "stream" else {}
            batches.append(raw(one.like(written(later, form, folder / f"e{i}"), **where)))
        assert batches[0] == batches[1]
        for sequence in (rows, fewer, *parts, *expected):
            sequence.close()
