"""`Manifest.from_csv`: filenames and labels from a CSV file or a DataFrame."""

import gzip
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from keras_oocore.core.errors import DataError, MissingExtraError, OptionError
from keras_oocore.csv import cells
from keras_oocore.manifest.manifest import Manifest


def csv(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_y_col_of_classes(tmp_path):
    path = csv(tmp_path, "filename,class,other\n007,dog,1\n日本 1.png,NA,2\n")
    for data, directory in ((path, None), (pd.read_csv(path, dtype=str, keep_default_na=False), tmp_path)):
        built = Manifest.from_csv(data, directory=directory)
        assert built.filenames.tolist() == ["007", "日本 1.png"]
        assert built.labels.tolist() == [1, 0]
        assert built.labels.dtype == np.int32
        assert built.class_names == ["NA", "dog"]
        assert built.directory == tmp_path


@pytest.mark.parametrize(
    ("column", "labels", "dtype", "class_names"),
    [
        (["3", "0"], [3, 0], np.int32, None),
        (["0.5", "2e3"], [0.5, 2000], np.float32, None),
        (["1.0", "2.0"], [1, 2], np.float32, None),
        (["007", "012"], [0, 1], np.int32, ["007", "012"]),
        (["nan", "inf"], [1, 0], np.int32, ["inf", "nan"]),
    ],
)
def test_y_col_of_numbers_and_of_strings_like_numbers(tmp_path, column, labels, dtype, class_names):
    path = csv(tmp_path, "filename,y\n" + "".join(f"{i}.png,{value}\n" for i, value in enumerate(column)))
    built = Manifest.from_csv(path, y_col="y")
    assert built.labels.tolist() == labels
    assert built.labels.dtype == dtype
    assert built.class_names == class_names


def test_class_names_match_strings_or_indices(tmp_path):
    path = csv(tmp_path, "filename,class\na,5\nb,3\n")
    assert Manifest.from_csv(path, class_names=["3", "5"]).labels.tolist() == [1, 0]
    path = csv(tmp_path, "filename,class\na,1\nb,0\n")
    assert Manifest.from_csv(path, class_names=["cat", "dog"]).labels.tolist() == [1, 0]
    with pytest.raises(DataError, match="Unknown class 'x'"):
        Manifest.from_csv(csv(tmp_path, "filename,class\na,x\n"), class_names=["cat", "dog"])


def test_y_col_list_and_none(tmp_path):
    path = csv(tmp_path, "id,x,y\na.png,1,2.5\nb.png,3,4\n")
    built = Manifest.from_csv(path, x_col="id", y_col=["x", "y"])
    assert built.labels.tolist() == [[1, 2.5], [3, 4]]
    assert built.labels.dtype == np.float32
    assert Manifest.from_csv(path, x_col="id", y_col=["x"]).labels.shape == (2, 1)
    assert Manifest.from_csv(path, x_col="id", y_col=None).labels is None


def test_dataframe_columns_keep_their_types():
    table = pd.DataFrame(
        {"filename": ["/a.png", "/b.png"], "i": [1, 0], "f": [1.0, 2.0], "t": ["1", "0"], "b": [True, False]}
    )
    assert Manifest.from_csv(table, y_col="i").labels.tolist() == [1, 0]
    assert Manifest.from_csv(table, y_col="f").labels.dtype == np.float32
    assert Manifest.from_csv(table, y_col="t").class_names == ["0", "1"]
    assert Manifest.from_csv(table, y_col="b").labels.tolist() == [1, 0]
    assert Manifest.from_csv(table, y_col="i").file_paths == ["/a.png", "/b.png"]
    table["c"] = pd.Categorical(["x", "y"])
    assert Manifest.from_csv(table, y_col="c").class_names == ["x", "y"]


def test_absolute_filenames_are_used_as_they_are(tmp_path):
    path = csv(tmp_path, f"filename\n{tmp_path}/a.png\n")
    assert Manifest.from_csv(path, y_col=None).file_paths == [f"{tmp_path}/a.png"]
    with pytest.raises(DataError, match="is outside the directory"):
        Manifest.from_csv(path, y_col=None, directory=tmp_path)
    with pytest.raises(DataError, match="is outside the directory"):
        Manifest.from_csv(csv(tmp_path, "filename\n../a.png\n"), y_col=None)


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (
            "Filename,class\na,b\n",
            {},
            r"no column 'filename' \(`x_col`\)\. Did you mean 'Filename'\? Columns: 'Filename', 'class'",
        ),
        ("filename,label\na,b\n", {}, r"no column 'class' \(`y_col`\)"),
        (
            "filename;class\na;b\n",
            {},
            r"The delimiter seems to be ';': read the file with pandas, and pass the DataFrame",
        ),
        (
            "filename,class\na,b\n,c\n",
            {},
            r"table\.csv: row 1 \(line 3\), column 'filename' \(#0\): the value is missing\.$",
        ),
        ("filename,class\na,b\nc,\n", {}, r"row 1 \(line 3\), column 'class' \(#1\): the value is missing"),
        ('filename,class\na,b\n\n"c\nd",""\n', {}, r"row 1 \(line 4\), column 'class' \(#1\): the value is missing"),
        (
            "filename,x\na,1\nb,cat\n",
            {"y_col": ["x"]},
            r"row 1 \(line 3\), column 'x' \(#1\): cannot read 'cat' as a number\. For a column of classes",
        ),
        ("filename,x\na,1_000\n", {"y_col": ["x"]}, "row 0 .* column 'x' .*: cannot read '1_000' as a number"),
        (
            'filename,class\n\na,b\n\n"c\nd",e,f\n',
            {},
            r"row 1 \(line 5\): expected 2 cells, found 3, in '\"c\\nd\",e,f'\. Fix the file, or read it with pandas",
        ),
        ("filename,class\na,b\nc\n", {}, r"row 1 \(line 3\): expected 2 cells, found 1, in 'c'\. Fix the file"),
        ("filename,class\n", {}, "at least one filename"),
        ("", {}, "the file is empty"),
        ('filename,class\n"a,b\n', {}, r"row 0 \(line 2\): the quoted field that opens in .* is never closed"),
        (
            'filename,class\n"12" pipe,b\n',
            {},
            r"row 0 \(line 2\): misplaced quote .*Double a quote inside a",
        ),
        ("filename,class,class\na,b,c\n", {}, r"the header has 'class' 2 times\. Fix the file"),
    ],
)
def test_invalid_table_raises(tmp_path, text, options, words):
    with pytest.raises(DataError, match=words):
        Manifest.from_csv(csv(tmp_path, text), **options)


def test_missing_file_and_other_encoding_raise(tmp_path):
    with pytest.raises(DataError, match=r"Cannot read '.*gone\.csv': No such file"):
        Manifest.from_csv(tmp_path / "gone.csv")
    with pytest.raises(DataError, match=r"Cannot read .*it is a folder"):
        Manifest.from_csv(tmp_path)
    for text, place in (
        ("filename,class\nä.png,b\n", r"row 0 \(line 2\), column 'filename' \(#0\)"),
        ("filename,klässe\na.png,b\n", r"header \(line 1\)"),
    ):
        (tmp_path / "latin.csv").write_bytes(text.encode("latin-1"))
        with pytest.raises(
            DataError, match=rf"latin\.csv: {place}: cannot read b'.*' as utf-8\. Fix the file, or read it"
        ):
            Manifest.from_csv(tmp_path / "latin.csv")


def test_compressed_file_and_byte_order_mark(tmp_path):
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress("\ufefffilename,class\r\na.png,dog\r\n".encode()))
    built = Manifest.from_csv(tmp_path / "table.csv.gz")
    assert built.filenames.tolist() == ["a.png"]
    assert built.class_names == ["dog"]


def test_quotes_and_other_columns(tmp_path):
    text = 'filename,note,class\n"a, ""1"".png","two\nlines",dog\nb.png,\udcff,cat\n'
    (tmp_path / "table.csv").write_bytes(text.encode(errors="surrogateescape"))  # the note is not valid UTF-8
    built = Manifest.from_csv(tmp_path / "table.csv")
    assert built.filenames.tolist() == ['a, "1".png', "b.png"]
    assert built.labels.tolist() == [1, 0]


def test_integers_longer_than_64_bits_are_strings(tmp_path):
    path = csv(tmp_path, f"filename,class\na,{10**30}\nb,5\n")
    assert Manifest.from_csv(path).class_names == [str(10**30), "5"]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_missing_value_in_dataframe_raises(missing):
    table = pd.DataFrame({"filename": ["a", "b"], "class": ["dog", missing]})
    with pytest.raises(DataError, match=r"^the DataFrame: row 1, column 'class': the value is missing\.$"):
        Manifest.from_csv(table)
    with pytest.raises(DataError, match=r"row 1, column 'class': the value is missing"):
        Manifest.from_csv(pd.DataFrame({"filename": ["a", "b"], "class": [0.5, float("nan")]}))


class Frame:
    """A DataFrame of another library."""

    columns = ("filename", "class", "size")

    def __getitem__(self, name):
        column = {"filename": [7, 8], "class": ["dog", "cat"], "size": [1, 2.5]}[name]
        return SimpleNamespace(to_numpy=lambda: np.array(column))


def test_dataframe_of_any_library():
    built = Manifest.from_csv(Frame())
    assert built.filenames.tolist() == ["7", "8"]
    assert built.labels.tolist() == [1, 0]
    assert Manifest.from_csv(Frame(), y_col=["size"]).labels.tolist() == [[1], [2.5]]
    with pytest.raises(DataError, match="the DataFrame: there is no column 'klass'"):
        Manifest.from_csv(Frame(), y_col="klass")
    with pytest.raises(OptionError, match=r"path of a CSV file or a DataFrame\. Received: list"):
        Manifest.from_csv([["a.png", "dog"]])


def test_missing_pyarrow_raises(monkeypatch):
    monkeypatch.setattr(cells, "pa", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'keras_oocore\[csv\]'"):
        Manifest.from_csv("table.csv")
    assert len(Manifest.from_csv(Frame())) == 2


def test_manifests_of_other_data_import_no_pyarrow():
    script = """
import sys
sys.modules["pyarrow"] = None
import keras_oocore as ko
print(ko.Manifest.from_arrays(["a.png"], ["dog"]))
try:
    ko.Manifest.from_csv("table.csv")
except ko.MissingExtraError as error:
    print(error)
"""
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert "1 sample" in child.stdout, child.stderr
    assert "pip install 'keras_oocore[csv]'" in child.stdout, child.stderr
    script = "import sys, keras_oocore; print('pyarrow' in sys.modules)"
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert child.stdout == "False\n", child.stderr
