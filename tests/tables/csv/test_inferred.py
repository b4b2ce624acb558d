"""Kinds of columns that are inferred when they are needed."""

import pickle

import pytest

import keras_oocore as ko
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.reader import CSVReader
from keras_oocore.tables.csv.table import CSVTable

ROWS = [
    f"{i},{i % 3},{'abc'[i % 3]},2024-01-{1 + i % 28:02},{i:04},text {i} of row,{'x' if i % 2 else i}"
    for i in range(40)
]
TEXT = "id,n,letter,day,zip,words,mixed\n" + "\n".join(ROWS) + "\n"
NAMES = TEXT.split("\n")[0].split(",")


@pytest.fixture
def path(tmp_path):
    (tmp_path / "t.csv").write_text(TEXT)
    return tmp_path / "t.csv"


@pytest.fixture
def sampled(monkeypatch):
    """The names of the columns of which cells were read, per reading."""
    found, sample = [], CSVReader.sample

    def watched(self, index, chunk, columns, num_pieces):
        found.append([column.name for column in columns])
        return sample(self, index, chunk, columns, num_pieces)

    monkeypatch.setattr(CSVReader, "sample", watched)
    return found


def facts(table):
    """All that a table tells about its columns."""
    return dict(table.columns), dict(table.notes), set(table.measured), dict(table.suspects)


def test_of_many_columns_only_those_that_are_used_are_sampled_and_at_once(tmp_path, sampled):
    names = [f"c{i}" for i in range(2000)]
    (tmp_path / "wide.csv").write_text(f"{','.join(names)}\n" + f"{','.join(map(str, range(2000)))}\n" * 3)
    rows = ko.CSVChunkSequence(
        tmp_path / "wide.csv",
        target="c7",
        features=["c1999", "c0"],
        categorical=["c0"],
        sample_weight="c9",
        batch_size=3,
    )
    x, y, weight = rows[0]
    assert x[:, 0].tolist() == [1999.0] * 3
    assert (y.tolist(), weight.tolist()) == ([7.0] * 3, [9.0] * 3)
    assert len(rows.columns) == 2000
    assert [sorted(names) for names in sampled] == [["c0", "c1999", "c7", "c9"]]


@pytest.mark.parametrize("order", [NAMES, NAMES[::-1], ["words"], []])
def test_kinds_do_not_depend_on_which_column_is_asked_for_first(path, order):
    at_once, one_by_one = CSVTable(path, Dialect()), CSVTable(path, Dialect())
    for name in order:
        assert one_by_one.columns[name].kind == dict(at_once.columns.items())[name].kind
    assert facts(one_by_one) == facts(at_once)
    assert list(one_by_one.notes) == list(at_once.notes)
    assert set(at_once.suspects) == {"id", "words"}


def test_notes_of_one_column_are_known_before_its_kind(path, sampled):
    table = CSVTable(path, Dialect())
    assert table.notes["zip"] == ["numbers with leading zeros, which are lost, such as '0000'"]
    assert table.suspects.get("n") is None
    assert "letter" not in table.measured
    assert sampled == [["zip"], ["n"], ["letter"]]
    assert "price" not in table.columns
    assert "price" not in table.notes
    with pytest.raises(KeyError):
        table.columns["price"]


def test_a_pickled_table_infers_the_other_columns(path):
    table = CSVTable(path, Dialect(), dtypes={"n": "string"})
    assert table.columns["n"].kind == "string"
    assert facts(pickle.loads(pickle.dumps(table))) == facts(table)
