"""The bytes of one chunk, and the location of its rows."""

import errno
import os

import pytest
from csv_outcomes import (
    ONE_ROW,
    TEXT,
    TWO_ROWS,
    Rows,
    late,
    outcomes,
    unreadable,
)
from csv_scans import BARE, chunks, located
from failing_disk import failing_disk

from keras_oocore.core.errors import DataError
from keras_oocore.csv.chunks import locate, read_chunk
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.index import RecordIndex
from keras_oocore.csv.scan import index_records


@outcomes(
    ("a comment holding one quote", '# "\nx,y\n1,2\n#it"s\n3,4\n', dict(comment="#"), TWO_ROWS),
    ("comments, lines to skip and CRLF", 'a "\r\nb\r\n# "\r\nx,y\r\n#"\r\n1,2\r\n#\r\n3,4\r\n',
     dict(skip_rows=2, comment="#"), TWO_ROWS),
    ("comments and CR", '#"\rx,y\r#"\r1,2\r', dict(comment="#"), ONE_ROW),
    ("a comment character within quotes", 'x,y\n"#a\n#b",2\n', dict(comment="#", **TEXT), Rows(["#a\n#b"], [2])),
    ("a comment is a whole line", late("1,2 # c"), dict(comment="#"), unreadable(99, "2 # c", column="y")),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)


def test_comment_with_one_quote_is_removed(write):
    content = b'# it"s\nid,text\n1,"a\n# no comment\n"\n# 12" pipe\n2,b # nor this\n#\n3,c\n#"'
    index = index_records(write(content), Dialect(comment="#"))
    assert index.header == ("id", "text")
    assert chunks(index) == [b'1,"a\n# no comment\n"\n2,b # nor this\n3,c\n']
    assert [(place.line, place.text) for place in located(index)] == [
        (3, b'1,"a\n# no comment\n"'),
        (7, b"2,b # nor this"),
        (9, b"3,c"),
    ]


def test_rows_and_chunks_that_do_not_exist(write):
    index = index_records(write(b"1\n2\n3\n4\n5\n"), BARE, chunk_bytes=4)
    assert [index.chunk_of(row) for row in range(5)] == [0, 0, 1, 1, 2]
    for row in (-1, 5):
        with pytest.raises(IndexError, match=f"row {row} does not exist; rows are 0 to 4"):
            index.chunk_of(row)
    for chunk in (-1, 3):
        with pytest.raises(IndexError, match=f"chunk {chunk} does not exist; chunks are 0 to 2"):
            read_chunk(index, chunk)
    for row in (-1, 2):
        with pytest.raises(IndexError, match=f"row {row} of chunk 0 does not exist; its rows are 0 to 1"):
            locate(index, 0, row)


def test_changed_file_is_refused(write, tmp_path):
    path = write(b"id\n1\n2\n")
    index = index_records(path, Dialect())
    saved = index.save(tmp_path / "index.json")
    shorter = f"{path}: the file changed since its rows were counted (7 bytes before, 5 now). Open it again."

    path.write_bytes(b"id\n1\n")
    for use in (lambda: read_chunk(index, 0), lambda: locate(index, 0, 0), lambda: RecordIndex.load(saved, path)):
        with pytest.raises(DataError) as caught:
            use()
        assert str(caught.value) == shorter
    path.write_bytes(b"id\n3\n4\n")
    os.utime(path, ns=(0, index.changed_ns + 1))
    with pytest.raises(DataError) as caught:
        read_chunk(index, 0)
    assert str(caught.value) == f"{path}: the file changed since its rows were counted. Open it again."
    os.utime(path, ns=(0, index.changed_ns))
    assert read_chunk(index, 0) == b"3\n4\n"
    path.unlink()
    with pytest.raises(DataError, match=r"Cannot read '.*t\.csv': No such file"):
        read_chunk(index, 0)


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE])
def test_faults_that_may_pass_are_tried_again(write, monkeypatch, code):
    disk = failing_disk(monkeypatch)
    path = write(b"x,y\n" + b"1,2\n" * 1000)
    disk.fail(code, ["t.csv"], times=2)
    index = index_records(path, Dialect(), 500)
    disk.fail(code, ["t.csv"], times=2)

    assert bytes(read_chunk(index, 1)).startswith(b"1,2\n")
    assert disk.opened["t.csv"] == 3
    disk.fail(code, ["t.csv"])
    with pytest.raises(DataError, match=rf"Cannot read '.*t\.csv': {os.strerror(code)}"):
        read_chunk(index, 1)
    assert disk.opened["t.csv"] == 3
    disk.heal()
    assert bytes(read_chunk(index, 1)).startswith(b"1,2\n")


def test_too_many_open_files_are_an_error_at_once(write, monkeypatch):
    disk = failing_disk(monkeypatch)
    path = write(b"x,y\n1,2\n")
    index = index_records(path, Dialect(), 500)
    disk.fail(errno.EMFILE, ["t.csv"])
    with pytest.raises(DataError, match=r"Cannot read '.*t\.csv': Too many open files"):
        read_chunk(index, 0)
    assert disk.opened["t.csv"] == 1
