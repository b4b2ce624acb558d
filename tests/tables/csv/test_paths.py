"""The argument `data`: paths and patterns, and what to type for data that is not a path."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.tables.csv.paths import paths_of

ARRAYS = "If it fits into memory, an array of it can be used: ko.ArraySequence(x, y)"
READ = ". Its rows are read by ko.TableSequence(data, target)"


class PolarsFrame:
    """What is used of a `DataFrame` of polars, which is not installed."""

    columns = ("a", "y")
    shape = (2, 2)

    def write_csv(self, path):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("data", "received"),
    [
        (pd.DataFrame({"a": [1, 2], "y": [0, 1]}), f"DataFrame of shape (2, 2){READ}"),
        (pd.Series([1, 2]), f"Series of shape (2,){READ}"),
        (PolarsFrame(), f"PolarsFrame of shape (2, 2){READ}"),
        (pa.table({"a": [1]}), f"Table of shape (1, 1){READ}"),
        ({"a": np.zeros(9), "y": [1]}, f"{{'a': ndarray of shape (9,), 'y': [1]}}{READ}"),
        (np.zeros((1000, 4)), f"ndarray of shape (1000, 4). {ARRAYS}"),
        ([pd.DataFrame({"a": [1, 2]})], "[DataFrame of shape (2, 1)]"),
        (io.StringIO("a,y\n"), None),
        (b"houses.csv", "b'houses.csv'"),
        (["houses.csv", 3], "['houses.csv', 3]"),
        (3, "3"),
        (None, "None"),
        ([], "an empty list"),
        ([list(range(1000))], "[[0, 1, 2, 3, 4, 5, ...]]"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_other_data_is_answered_with_what_to_type(data, received):
    with pytest.raises(OptionError) as caught:
        paths_of(data)
    expected = "`data` should be a path, a pattern or a list of them. Received: "
    if received is not None:
        assert str(caught.value) == expected + received
    else:
        assert str(caught.value).startswith(expected)
        assert str(caught.value).endswith(". Pass the path of the file")
    assert "\n" not in str(caught.value)


def test_paths_patterns_and_lists(in_tmp_path):
    for name in ("a.csv", "b.csv", "c[1].csv"):
        Path(name).touch()
    assert paths_of("a.csv") == ["a.csv"]
    assert paths_of(Path("gone.csv")) == ["gone.csv"]
    assert paths_of(path for path in ["b.csv", Path("a.csv")]) == ["b.csv", "a.csv"]
    assert paths_of(["?.csv", "c[1].csv"]) == ["a.csv", "b.csv", "c[1].csv"]
    assert paths_of(np.array(["b.csv", "a.csv"]).tolist()) == ["b.csv", "a.csv"]
    with pytest.raises(DataError, match=r"^No file matches 'd\*\.csv'\. The working directory is '.*'\.$"):
        paths_of("d*.csv")
