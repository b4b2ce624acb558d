"""Queries of other libraries are answered with what to type."""

import pyarrow as pa
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import OptionError


class OldDuckDBPyRelation:
    """The methods of a relation of DuckDB by which it is recognized."""

    def fetch_arrow_reader(self): ...
    def __arrow_c_stream__(self, requested_schema=None): ...
    def __getattr__(self, name):  # a column
        raise AssertionError("no column should be asked for")


class DuckDBPyRelation(OldDuckDBPyRelation):
    def to_arrow_reader(self): ...
    def write_parquet(self): ...


class DuckDBPyConnection:
    def execute(self): ...
    def from_parquet(self): ...
    def register(self): ...
    def to_arrow_reader(self): ...


class SparkFrame:
    def toPandas(self): ...

    write = columns = None


class DaskFrame:
    npartitions = iloc = dtypes = columns = None

    def compute(self): ...
    def to_parquet(self): ...


def test_a_lazy_frame_of_polars_is_answered_with_collect():
    polars = pytest.importorskip("polars")
    with pytest.raises(OptionError, match=r"a LazyFrame of polars.*data.collect\(\).*sink_parquet\(\"rows.parquet\"\)"):
        ko.TableSequence(polars.LazyFrame({"a": [1]}), "a")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (DuckDBPyRelation(), r"a relation of DuckDB.*data.to_arrow_table\(\).*data.to_arrow_reader\(\) with cache=DIR"),
        (OldDuckDBPyRelation(), r"a relation of DuckDB.*data.fetch_arrow_reader\(\) with cache=DIR"),
        (DuckDBPyConnection(), r"a connection of DuckDB.*data.sql\(QUERY\).to_arrow_table\(\)"),
        (SparkFrame(), r"a DataFrame of Spark.*data.write.parquet\(\"rows\"\)"),
        (DaskFrame(), r"a DataFrame of Dask.*data.compute\(\)"),
        (pa.chunked_array([[1]]), "a single column. Pass a table"),
    ],
    ids=["DuckDB", "old DuckDB", "connection", "Spark", "Dask", "pyarrow"],
)
def test_other_queries_are_answered_with_what_to_type(data, match):
    with pytest.raises(OptionError, match=match):
        ko.TableSequence(data, "a")


def test_what_to_type_for_queries_of_duckdb_works(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    data = duckdb.sql("SELECT range AS a, 2.0 * range AS y FROM range(40)")
    data.write_parquet(str(tmp_path / "rows.parquet"))
    for rows in (data.to_arrow_table(), data.to_arrow_reader(), str(tmp_path / "rows.parquet")):
        assert len(ko.TableSequence(rows, "y", batch_size=10, cache=tmp_path / type(rows).__name__)) == 4
    for wrong in (data, duckdb.connect()):
        with pytest.raises(OptionError, match=r"of DuckDB.*\.to_arrow_table\(\) if the rows fit"):
            ko.TableSequence(wrong, "y")


def test_a_data_set_and_a_series_are_answered_with_what_to_type(tmp_path):
    dataset = pytest.importorskip("pyarrow.dataset")
    pandas = pytest.importorskip("pandas")
    with pytest.raises(OptionError, match=r"a data set of pyarrow.*data.files"):
        ko.TableSequence(dataset.dataset(pa.table({"a": [1]})), "a")
    with pytest.raises(OptionError, match=r"a single column. Pass a DataFrame"):
        ko.TableSequence(pandas.Series([1.0]), "a")
