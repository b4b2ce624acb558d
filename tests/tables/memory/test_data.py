"""DataFrames, tables and dictionaries as named columns."""

import numpy as np
import pyarrow as pa
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import OptionError
from keras_oocore.tables.memory.data import is_frame, named_columns


def test_what_is_in_memory_is_told_from_paths_and_streams():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    table = pa.table({"a": [1]})
    for data in ({"a": [1]}, table, table.to_batches(), table.to_batches()[0], pandas.DataFrame(), polars.DataFrame()):
        assert is_frame(data)
    for data in ("a.csv", ["a.csv"], table.to_reader(), polars.LazyFrame(), pandas.Series([1]), np.zeros(2), None, []):
        assert not is_frame(data)


def test_a_column_may_have_the_name_of_a_method():
    frame = pytest.importorskip("pandas").DataFrame({"compute": [1.0], "iloc": [2.0], "y": [3.0]})

    assert ko.TableSequence(frame, "y")[0][0].tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda pd: pd.DataFrame(np.zeros((2, 2))), "the name 0. Fix: frame.columns = frame.columns.map"),
        (lambda pd: {1: [1]}, "a dictionary with the name 1. Fix: "),
        (lambda pd: pd.DataFrame([[1, 2]], columns=["a", "a"]), "a DataFrame with 2 columns named 'a'"),
        (lambda pd: pa.table([[1], [2]], names=["a", "a"]), "a Table with 2 columns named 'a'"),
        (lambda pd: pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])), r"\('a', 1\)"),
        (lambda pd: {}, "at least one column. Received: a dictionary without columns"),
        (lambda pd: {"a": [1], "b": [1, 2]}, "Received: 1 in 'a', and 2 in 'b'"),
        (lambda pd: [pa.table({"a": [1]})] * 2, r"a list of 2 tables. Join them: .* data=iter\(data\), cache="),
        (lambda pd: [pd.DataFrame({"a": [1]})] * 3, "a list of 3 tables"),
        (lambda pd: [pa.record_batch({"a": [1]}), pa.record_batch({"b": [1]})], "batches that differ in their columns"),
    ],
)
def test_names_and_lengths_are_checked(make, match):
    with pytest.raises(OptionError, match=match):
        ko.TableSequence(make(pytest.importorskip("pandas")), target=None)


def test_the_index_of_a_data_frame_is_no_column():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]}, index=pandas.Index([7, 9], name="key"))

    assert ko.TableSequence(frame, "y", shuffle=False)[0][0].tolist() == [[1.0], [2.0]]
    with pytest.raises(OptionError, match=r"'key'.*The index is not a column \('key'\): pass data.reset_index\("):
        ko.TableSequence(frame, "y", features=["key"])
    assert ko.TableSequence(frame.reset_index(), "y", features=["key"], shuffle=False)[0][0].tolist() == [[7.0], [9.0]]


def test_rows_of_an_index_with_repetitions_keep_their_order():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": [1.0, 2.0, 3.0], "c": pandas.Categorical(["b", "a", "b"])}, index=[5, 5, 0])
    name, columns, hint, _ = named_columns(frame)

    assert (name, hint) == ("DataFrame", "")
    assert columns["x"].take(1, 3).to_pylist() == [2.0, 3.0]
    assert columns["c"].take(1, 3).to_pylist() == ["a", "b"]


def test_series_with_the_same_index_in_another_order_are_refused():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": [1.0, 2.0, 3.0], "y": [30.0, 20.0, 10.0]}, index=["a", "b", "c"])
    by_y = frame["y"].sort_values()
    options = {"target": "y", "features": ["x"], "shuffle": False}
    with pytest.raises(OptionError, match=r"`data\['x'\]` and `data\['y'\]` are Series with the same index in another"):
        ko.TableSequence({"x": frame["x"], "y": by_y}, **options)

    joined = ko.TableSequence(pandas.DataFrame({"x": frame["x"], "y": by_y}), **options)  # as the message says
    assert [part.ravel().tolist() for part in joined[0]] == [[1, 2, 3], [30, 20, 10]]
    by_position = ko.TableSequence({"x": frame["x"], "y": by_y.to_numpy()}, **options)
    assert [part.ravel().tolist() for part in by_position[0]] == [[1, 2, 3], [10, 20, 30]]
    for other in (pandas.Series([30.0, 20.0, 10.0]), frame["y"].set_axis([7, 7, 7])):  # which cannot be joined
        rows = ko.TableSequence({"x": frame["x"], "y": other}, **options)
        assert [part.ravel().tolist() for part in rows[0]] == [[1, 2, 3], [30, 20, 10]]
