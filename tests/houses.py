"""A small table of houses with missing cells, and its rows as a model receives them."""

import numpy as np
import pytest

from keras_oocore.core.errors import DataError
from keras_oocore.csv.dialect import CellOptions, Dialect
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.options import ColumnOptions
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.statistics_cache import fit_features

HOUSES = """sqft,city,grade,price,weight,sold
1000,Rome,a,1,0.5,yes
2000,Oslo,b,2,1.5,no
,Rome,,3,1.0,yes
1500,,b,4,2.0,no
1500,Bonn,b,5,2.0,no
"""


@pytest.fixture
def make_rows(tmp_path):
    """Function that returns the rows of a table, with fitted features."""

    def make(content=HOUSES, dtypes=None, on_bad_row="error", **options):
        path = tmp_path / "houses.csv"
        path.write_text(content)
        table = CSVTable(str(path), Dialect(), CellOptions(on_bad_row=on_bad_row), dtypes=dtypes)
        features = FeatureSpec(table, ColumnOptions(**{"target": "price", **options}))
        rows = TableRows(table, features, None, num_threads=2, limit_bytes=2**20)
        fit_features(rows, None)
        return rows

    return make


def parts(rows):
    """`(x, y, sample_weight)` of all rows, as lists."""

    def as_list(part):
        return {name: as_list(value) for name, value in part.items()} if isinstance(part, dict) else part.tolist()

    out = np.empty((len(rows), *rows.spec.shape), rows.spec.dtype)
    rows.read(np.arange(len(rows)), out)
    x, y, weight = rows.features.unpack(out)
    return as_list(x), as_list(y), None if weight is None else as_list(weight)


def error_of(make, *arguments, error=DataError, **options):
    with pytest.raises(error) as caught:
        parts(make(*arguments, **options))
    path, name, rest = str(caught.value).partition("houses.csv")
    return name + rest if name else path
