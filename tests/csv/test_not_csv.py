"""Files that are not CSV, by their first bytes, and addresses: what each is, and what to type."""

import io
import pickle
import sqlite3
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from csv_outcomes import make
from pyarrow import feather, ipc, orc, parquet

import keras_oocore as ko
from keras_oocore.core.errors import CSVError, DataError
from keras_oocore.csv.not_csv import require_csv, require_local

TABLE = pa.table({"a": [1, 2], "y": [0, 1]})


def by(write, *arguments):
    """The bytes that a function writes into a file."""
    sink = io.BytesIO()
    write(TABLE, sink, *arguments)
    return sink.getvalue()


def arrow_stream():
    sink = io.BytesIO()
    with ipc.new_stream(sink, TABLE.schema) as stream:
        stream.write_table(TABLE)
    return sink.getvalue()


def zipped(*names):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name in names:
            file.writestr(name, "")
    return archive.getvalue()


def saved(save, *arrays):
    sink = io.BytesIO()
    save(sink, *arrays)
    return sink.getvalue()


def tar():
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as file:
        file.addfile(tarfile.TarInfo("houses.csv"))
    return archive.getvalue()


def pandas(kind):
    return f"Convert it first: import pandas as pd; pd.read_{kind}('t.csv').to_csv('out.csv', index=False)"


LOGIN = "Was it downloaded without a login, or from the address of a page about the file? Download the file again."
DUCKDB = ". If it is larger than memory: duckdb -c \"COPY (FROM 't.csv') TO 'out.csv'\""
TYPED = "Its rows are read by ko.TableSequence('t.csv', target). To convert it: "
PARQUET = TYPED + pandas("parquet").removeprefix("Convert it first: ") + DUCKDB
ORC = (
    pandas("orc") + ". If it is larger than memory: from pyarrow import orc; file = orc.ORCFile('t.csv'); "
    "ko.TableSequence(map(file.read_stripe, range(file.nstripes)), target, cache='DIR')"
)
EXCEL = f"{pandas('excel')}, or save it as CSV UTF-8 in Excel"
LINES = pandas("json").replace("'t.csv')", "'t.csv', lines=True)") + DUCKDB


@pytest.mark.parametrize(
    ("content", "what", "fix"),
    [
        (by(parquet.write_table), "a Parquet file", PARQUET),
        (by(feather.write_feather), "a Feather file", TYPED + pandas("feather").removeprefix("Convert it first: ")),
        (
            b"FEA1\0\0\0\0",
            "a Feather file of the first version",
            "Convert it first: from pyarrow import feather; feather.write_feather(feather.read_table('t.csv'), "
            "'out.feather'). Its rows are then read by ko.TableSequence('out.feather', target).",
        ),
        (arrow_stream(), "an Arrow stream", TYPED + "from pyarrow import csv, ipc; "
         "csv.write_csv(ipc.open_stream('t.csv').read_all(), 'out.csv')"),
        (by(orc.write_table), "an ORC file", ORC),
        (saved(np.save, np.zeros(3)), "a .npy file", "Its rows are read by ko.ArraySequence('t.csv', labels)."),
        (saved(np.savez, np.zeros(3)), "a .npz file",
         "An array in it is read by ko.ArraySequence(np.load('t.csv')[NAME], labels)."),
        (b"\x89HDF\r\n\x1a\n" + bytes(9), "an HDF5 file",
         f"{pandas('hdf')}. An array in it is read by ko.ArraySequence('t.csv', labels, dataset=NAME)."),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an Excel workbook (.xls)", EXCEL),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook (.xlsx)", EXCEL),
        (zipped("[Content_Types].xml", "word/document.xml"), "an Office document", "Save its table as a CSV file."),
        (zipped("mimetype", "content.xml"), "an OpenDocument file",
         f"{pandas('excel')}, or save it as CSV in LibreOffice"),
        (pickle.dumps({"a": 1}), "a pickle",
         f"{pandas('pickle')}. Only do so if you trust it: a pickle can run any code"),
        (pickle.dumps(TABLE, 2), "a pickle",
         f"{pandas('pickle')}. Only do so if you trust it: a pickle can run any code"),
        (b"\x89PNG\r\n\x1a\n", "an image", "Images are read by ko.ImageFolderSequence(FOLDER)."),
        (b"\xff\xd8\xff\xe0", "an image", "Images are read by ko.ImageFolderSequence(FOLDER)."),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "an image", "Images are read by ko.ImageFolderSequence(FOLDER)."),
        (b"%PDF-1.7\n", "a PDF document", "Ask its authors for the table as a CSV file."),
        (b"Rar!\x1a\x07\x01\0", "a RAR archive", "Unpack it first, and pass its files: unrar x t.csv"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it first, and pass its files: 7z x t.csv"),
        (tar(), "a tar archive", "Unpack it first, and pass its files: tar -xf t.csv"),
        (b"\xff\xfe\0\0a\0\0\0", "in UTF-32", "Convert it first: iconv -f UTF-32 -t UTF-8 t.csv > out.csv"),
        (b"<!DOCTYPE html>\n<html>login</html>\n", "a web page (HTML)", LOGIN),
        (b"\xef\xbb\xbf\r\n  <HTML lang=en>", "a web page (HTML)", LOGIN),
        (b"<?xml version='1.0'?><rows/>", "an XML file", pandas("xml")),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS",
         "Download the file itself: git lfs pull"),
        (b'{"a": 1, "y": 0}\n{"a": 2, "y": 1}\n', "a JSON lines file", LINES),
        (b'[{"a": 1, "y": 0},\n', "a JSON file", pandas("json")),
        (b'{\n  "a": [1, 2]\n}', "a JSON file", pandas("json")),
        (b'{"a": {"0": 1,\n  "1": 2}}', "a JSON file", pandas("json")),
        (b'{"a": [' + b"1," * 5000, "a JSON file", pandas("json")),
    ],
)  # fmt: skip
def test_format_is_recognized_by_its_content(in_tmp_path, content, what, fix):
    (in_tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(CSVError) as caught:
        require_csv("t.csv")
    assert str(caught.value) == f"t.csv: the file is {what}, not CSV. {fix}"


def test_database_is_recognized(in_tmp_path):
    with sqlite3.connect("my data.db") as database:
        database.execute("CREATE TABLE houses (a, y)")
    database.close()
    with pytest.raises(DataError, match=r"is a SQLite database, not CSV\. .*: sqlite3 -header -csv 'my data\.db'"):
        make("my data.db")


@pytest.mark.parametrize(
    "text",
    [
        "PAR1,PAR2\n1,2\n",
        "ORC,y\n1,2\n",
        "PK,y\n1,2\n",
        "<id>,<y>\n1,2\n",
        "{id},y\n1,2\n",
        "[id],[y]\n1,2\n",
        "[1 2],y\n1,2\n",
        '{"a": 1}|2\n',
        '"{""a"": 1}",2\n',
        "html,xml\n1,2\n",
        "version,y\n1,2\n",
        "€,y\n1,2\n",
        "",
        "\n",
    ],
)
def test_text_that_looks_similar_is_csv(in_tmp_path, text):
    for encoding in ("utf-8", "cp1252"):
        (in_tmp_path / "t.csv").write_text(text, encoding)
        assert require_csv("t.csv") == text.encode(encoding)


def test_first_words_say_nothing_about_a_table_that_begins_later(in_tmp_path):
    (in_tmp_path / "t.csv").write_text('{"made by": "a program"}\nx,y\n1,2\n')
    with pytest.raises(DataError, match="is a JSON lines file"):
        make("t.csv")
    assert make("t.csv", skip_rows=1).num_rows == 1
    (in_tmp_path / "t.csv").write_bytes(by(parquet.write_table))
    with pytest.raises(DataError, match="is a Parquet file"):
        make("t.csv", skip_rows=1)


def test_manifest_recognizes_other_formats_too(in_tmp_path):
    pd.DataFrame({"filename": ["a.png"], "class": ["cat"]}).to_parquet("t.csv")
    with pytest.raises(DataError, match=r"t\.csv: the file is a Parquet file, not CSV\."):
        ko.Manifest.from_csv("t.csv")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("s3://bucket/x.csv", "Cannot read 's3://bucket/x.csv': it is not on this machine. Download it first: aws s3 "
         "cp s3://bucket/x.csv ."),
        ("gs:/bucket/x.csv", "Cannot read 'gs://bucket/x.csv': it is not on this machine. Download it first: gcloud "
         "storage cp gs://bucket/x.csv ."),
        ("https://example.com/x.csv?raw=1", "Cannot read 'https://example.com/x.csv?raw=1': it is not on this machine. "
         "Download it first: curl -LO 'https://example.com/x.csv?raw=1'"),
        ("abfs://data/x.csv", "Cannot read 'abfs://data/x.csv': it is not on this machine. Download it first."),
        ("file:///data/x.csv", "Cannot read 'file:///data/x.csv': pass a path instead: '/data/x.csv'"),
    ],
)  # fmt: skip
def test_address_is_answered_with_a_download(path, expected):
    for function in (require_local, make, ko.Manifest.from_csv):
        with pytest.raises(DataError) as caught:
            function(path)
        assert str(caught.value) == expected


@pytest.mark.parametrize("path", ["x.csv", "C:/data/x.csv", "C://x.csv", "data/s3://x.csv", "a:b.csv"])
def test_paths_are_no_addresses(path):
    require_local(path)


def test_file_whose_name_looks_like_an_address(in_tmp_path):
    (in_tmp_path / "s3:" / "bucket").mkdir(parents=True)
    (in_tmp_path / "s3:" / "bucket" / "x.csv").write_text("x,y\n1,2\n")
    assert make("s3:/bucket/x.csv").num_rows == 1
