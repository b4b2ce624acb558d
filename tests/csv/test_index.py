"""The index of a CSV file, saved and loaded."""

import dataclasses
import pickle

import numpy as np
import pytest
from csv_scans import chunks, refusal
from json_records import change_record

from keras_oocore.core.errors import DataError
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.index import BadRow, RecordIndex
from keras_oocore.csv.scan import index_records


def test_saved_index_is_restored(write, tmp_path):
    path = write('größe,"a\nb"\n1,2\n"1"2,3\n4,5\n'.encode())
    index = index_records(path, Dialect(comment="#"), 1, on_bad_row="skip")
    loaded = RecordIndex.load(index.save(tmp_path / "deep" / "index.json"), path)

    for copy in (loaded, pickle.loads(pickle.dumps(index))):
        assert (copy.path, copy.dialect, copy.header, copy.bad) == (str(path), index.dialect, index.header, index.bad)
        assert (copy.size_bytes, copy.changed_ns) == (index.size_bytes, index.changed_ns)
        for name in ("starts", "rows", "lines"):
            assert getattr(copy, name).dtype == np.int64
            assert getattr(copy, name).tolist() == getattr(index, name).tolist()
        assert chunks(copy) == [b"1,2\n", b"4,5\n"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-10],
        lambda text: "[]",
        lambda text: text.replace('"starts": [3, ', '"starts": ['),
        lambda text: text.replace('"starts": [3, ', '"starts": [9, '),
        lambda text: text.replace('"delimiter": ","', '"delimiter": "\\""'),
        lambda text: text.replace('"rows": ', '"raws": '),
        lambda text: text.replace('"rows": [0, 2]', '"rows": [0, 1e30]'),
        lambda text: text.replace('"header": ["id"]', '"header": ""'),
    ],
)
def test_damaged_index_is_named(write, tmp_path, damage):
    path = write(b"id\n1\n2\n")
    saved = index_records(path, Dialect()).save(tmp_path / "index.json")
    change_record(saved)  # without a checksum, which finds all of this
    saved.write_text(damage(saved.read_text()))
    with pytest.raises(
        DataError, match=r"index\.json' is damaged \(.*\)\. Remove it; the file will be scanned again\."
    ):
        RecordIndex.load(saved, path)


@pytest.mark.parametrize(("row", "is_bad"), [('"1"2,3', True), ('12",3', False), ('"3,4', False)])
def test_bad_rows_of_format_1_are_checked(write, tmp_path, row, is_bad):
    path = write(f"id,size\n1,2\n{row}\n".encode())
    index = index_records(path, Dialect(), on_bad_row="skip")
    bad = dataclasses.replace(index, bad=(BadRow(3, "a misplaced quote", 12, 13 + len(row)),))
    saved = bad.save(tmp_path / "index.json")
    assert len(RecordIndex.load(saved, path).bad) == 1
    change_record(saved, format=1)
    if is_bad:
        assert len(RecordIndex.load(saved, path).bad) == 1
    else:
        with pytest.raises(DataError, match=r"lists rows of .*t\.csv as bad that are rows by now\. Remove it\."):
            RecordIndex.load(saved, path)


def test_default_options_are_not_in_the_file(write, tmp_path):
    path = write(b"id\n1\n")
    for options in ({}, dict(quotechar=None, escapechar="\\", skip_initial_space=True)):
        saved = index_records(path, Dialect(**options)).save(tmp_path / "index.json")
        assert RecordIndex.load(saved, path).dialect == Dialect(**options)
        assert ("escapechar" in saved.read_text()) == bool(options)


def test_newer_or_missing_index_is_named(write, tmp_path):
    path = write(b"id\n1\n2\n")
    saved = index_records(path, Dialect()).save(tmp_path / "index.json")
    change_record(saved, format=3)
    with pytest.raises(DataError, match=r"has format 3, but .* reads format 2\. Upgrade: pip install -U keras_oocore"):
        RecordIndex.load(saved, path)
    with pytest.raises(DataError, match=r"Cannot read '.*gone': No such file"):
        RecordIndex.load(tmp_path / "gone", path)


def test_unreadable_path_is_named(tmp_path):
    assert refusal(tmp_path / "gone.csv") == f"Cannot read '{tmp_path}/gone.csv': No such file or directory."
    assert (
        refusal(tmp_path)
        == f"Cannot read '{tmp_path}': it is a folder. To read the CSV files in it, pass '{tmp_path}/*.csv'."
    )
