"""CSVChunkSequence: ids that are carried beside the rows."""

import re

import keras
import numpy as np
import pytest
from csv_numbers import cached

import keras_oocore as ko
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.tables.csv import table as csv_table

TEXTS = ["007", "7", "NA", "", '"a, ""b"""', " x ", "Zoë", "null", "1e400", '""']
EXACT = ["007", "7", "NA", "", 'a, "b"', " x ", "Zoë", "null", "1e400", ""]


@pytest.fixture
def open_rows(write, tmp_path, monkeypatch):
    """A function that opens 60 rows. Row i has the id `EXACT[i % 10]`, the number i and another id."""

    lines = [f"{TEXTS[i % 10]},{i},{'' if i % 7 else i},t{i},{2 * i}\n" for i in range(60)]
    write("id,n,gaps,other,y\n" + "".join(lines))

    def open_rows(cached=False, **options):
        monkeypatch.setattr(csv_table, "CHUNK_BYTES", 100)
        if cached:
            options["cache"] = tmp_path / "cache"
        options = {"target": "y", "features": ["n"], "ids": ["id", "other"], "batch_size": 7, "seed": 3, **options}
        return ko.CSVChunkSequence("houses.csv", **options)

    return open_rows


def expected(numbers):
    return {"id": [EXACT[n % 10] for n in numbers], "other": [f"t{n}" for n in numbers]}


def as_lists(ids):
    assert {values.dtype for values in ids.values()} == {np.dtype(object)}
    return {name: values.tolist() for name, values in ids.items()}


@cached
def test_ids_are_the_exact_text_in_the_order_of_the_rows(open_rows, cached):
    rows = open_rows(cached=cached)
    assert as_lists(rows.ids()) == expected(range(60))
    for part in [*rows.split(0.2, 0.2), *rows.partition(3), *rows.split(by="n", at=30)]:
        assert as_lists(part.ids()) == expected(part.row_numbers)


@pytest.mark.one_backend
@cached
def test_served_ids_are_those_of_the_predictions(open_rows, cached):
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Rescaling(1.0)(inputs))
    rows = open_rows(cached=cached)
    predicted = model.predict(rows, verbose=0)[:, 0].astype(int).tolist()
    assert predicted != sorted(predicted)
    assert as_lists(rows.served_ids) == expected(predicted)
    _, val = rows.split()
    predicted = model.predict(val, verbose=0)[:, 0].astype(int).tolist()
    assert as_lists(val.served_ids) == as_lists(val.ids()) == expected(predicted)


def test_ids_of_rows_that_are_left_out_are_left_out(open_rows, write):
    rows = open_rows(features=["gaps"], missing="drop")
    assert as_lists(rows.ids()) == expected(range(0, 60, 7))
    write(b"id,n\n\xff,1\na,x\nb,2\n1,2,3\nc,3\n", "bad.csv")
    with pytest.warns(UserWarning, match="2 rows are left out"):
        rows = ko.CSVChunkSequence(
            "bad.csv", None, features=["n"], ids="id", on_bad_row="skip", dtypes={"n": "float32"}
        )
    assert as_lists(rows.ids()) == {"id": ["", "b", "c"]}  # one is no text
    with pytest.raises(DataError, match=r"row 0 \(line 2\), column 'id' \(#0\): cannot read b'\\xff' as utf-8"):
        ko.CSVChunkSequence("bad.csv", None, features=["n"], ids="id", dtypes={"n": "string"}).ids()


def test_ids_are_not_features(open_rows):
    rows = open_rows(features=None, missing="nan")
    assert rows[0][0].shape == (7, 2)
    assert "\n  ids 'id', 'other'\n" in repr(rows)
    assert open_rows(ids=["id", "other", "y"]).ids()["y"][:2].tolist() == ["0", "2"]  # the target, beside predictions
    with pytest.raises(OptionError, match=r"`ids` are not features. Both contain 'n'\. Remove it"):
        open_rows(ids="n")


def test_ids_do_not_change_the_rows_of_a_cache(open_rows, monkeypatch):
    list(open_rows(cached=True, ids=()))
    monkeypatch.setattr(ko.sequences.table.TableRows, "encode_chunk", None)
    assert len(list(open_rows(cached=True))) == 9


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("idd", "`ids` names a column that does not exist: 'idd'. Did you mean 'id'?"),
        ([3], "`ids` should be the name of a column, or a list of names. Received: [3]"),
    ],
)
def test_invalid_ids(open_rows, ids, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        open_rows(ids=ids)


def test_sequence_without_ids(open_rows):
    rows = open_rows(ids=())
    for read in (rows.ids, lambda: rows.served_ids):
        with pytest.raises(OptionError, match=r"This Sequence has no ids. Make it with ids=\['column'\]"):
            read()
