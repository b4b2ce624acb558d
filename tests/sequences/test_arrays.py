"""ArraySequence: rows of an array in memory, or in a large `.npy` file."""

import numpy as np
import pandas as pd
import pytest
from contracts.numbered import LABELS, NUM_SAMPLES
from contracts.sampling import SamplingContract
from contracts.sequences import ReadingContract, SequenceContract

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.sequences import ArraySequence


class Rows:
    """Every element of row i is i."""

    def prepare(self, folder):
        np.save(folder / "rows.npy", np.repeat(np.arange(NUM_SAMPLES, dtype="float32"), 3).reshape(-1, 3))

    def numbers(self, x):
        assert (x == x[:, :1]).all()
        return x[:, 0].astype(int).tolist()


class TestRowsOfAFile(Rows, ReadingContract):
    """One large `.npy` file."""

    def open(self, folder, **options):
        return ArraySequence(folder / "rows.npy", **{"labels": LABELS, **options})

    def test_filenames_are_row_numbers(self, make):
        assert make(shuffle=False).filenames(2)[0].startswith("row 8 of ")
        assert make(shuffle=False).file_paths == []
        split = make(shuffle=False, validation_split=0.2, subset="validation")
        named = [f"row {number}" for number in self.numbers(split[0][0])]
        assert [name.split(" of ")[0] for name in split.filenames(0)] == named


class TestRowsInMemory(Rows, SequenceContract, SamplingContract):
    """The same rows as an array in memory."""

    def open(self, folder, **options):
        return ArraySequence(np.load(folder / "rows.npy"), **{"labels": np.array(LABELS), **options})

    def test_filenames_are_row_numbers(self, make):
        assert make(shuffle=False).filenames(2) == ["row 8", "row 9"]

    @pytest.mark.backend
    def test_fit_trains_and_predict_follows_the_order_of_the_samples(self, make):
        super().test_fit_trains_and_predict_follows_the_order_of_the_samples(make)


def test_byte_orders_and_dtypes(tmp_path):
    for dtype in (">f4", "bool", "int64", "complex64"):
        rows = np.arange(6).reshape(3, 2).astype(dtype)
        x = ArraySequence(rows, labels=None, shuffle=False)[0]
        assert x.tolist() == rows.tolist()
        assert x.dtype == rows.dtype.newbyteorder("=")


def test_repr(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.zeros((3, 2)))

    assert "\n  rows of an array\n" in repr(ArraySequence(np.zeros((3, 2)), labels=None))
    assert "\n  rows of 'rows.npy'\n" in repr(ArraySequence("rows.npy", labels=None))


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (pd.DataFrame({"a": [1.0]}), dict(labels=None), OptionError, r"read by ko\.TableSequence\(data, target\)"),
        ([[1.0, 2.0]], dict(labels=None), OptionError, r"such as numpy\.asarray\(data\).*ko\.ArraySequence\(x, y\)"),
        (np.zeros((3, 2)), dict(labels="inferred"), OptionError, "require labels: pass labels=..., or labels=None"),
        (np.zeros((0, 2)), dict(labels=None), DataError, "There are no samples"),
        (np.zeros((3, 0)), dict(labels=None), DataError, r"shape \(0,\) contain no values"),
        (np.array(3.0), dict(labels=None), DataError, "an array without axes"),
        (np.zeros((3, 2)), dict(labels=[1, 2]), DataError, "3 rows and 2 labels"),
        (np.zeros((3, 2)), dict(labels=["a", "b"]), DataError, "3 rows and 2 labels"),
        (["a.npy"], dict(labels=None), OptionError, "For files of any kind, use ko.NpyManifestSequence"),
        (np.zeros((3, 2)), dict(labels=None, cache="here"), OptionError, "`cache` is for rows that are read in blocks"),
    ],
)
def test_invalid_data_is_refused(data, options, error, message):
    with pytest.raises(error, match=message):
        ArraySequence(data, **options)
