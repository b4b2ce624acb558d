"""Columns of strings of whole files: what empty cells, several chunks and places of cells are."""

import pytest

from keras_oocore.core.errors import DataError
from keras_oocore.csv import columns
from keras_oocore.csv.columns import open_columns
from keras_oocore.csv.index import CHUNK_BYTES
from keras_oocore.csv.scan import index_records


@pytest.fixture(params=[8, CHUNK_BYTES])
def chunk_bytes(request, monkeypatch):
    """Chunks of one row, or one chunk."""
    monkeypatch.setattr(columns, "index_records", lambda *args: index_records(*args, chunk_bytes=request.param))


@pytest.mark.usefixtures("chunk_bytes")
def test_cells_are_strings_and_empty_cells_are_none(write):
    path = write(b'\xef\xbb\xbfa,b,a b\r\n007,NA,1\r\n\r\n"x, ""y""\n",,2\r\n"",nan, \r\n')
    with open_columns(path) as table:
        assert table.header == ("a", "b", "a b")
        found = table.read(["a b", "a", "b", "a"])
        assert {name: values.tolist() for name, values in found.items()} == {
            "a b": ["1", "2", " "],
            "a": ["007", 'x, "y"\n', None],
            "b": ["NA", None, "nan"],
        }
        assert table.where(2, "b") == f"{path}: row 2 (line 6), column 'b' (#1)"


def test_file_without_rows(write):
    with open_columns(write(b"a,b")) as table:
        assert table.read(["b"])["b"].shape == (0,)


def test_only_a_name_that_is_read_has_to_be_distinct(write):
    with open_columns(write(b"a,b,b\n1,2,3\n")) as table:
        assert table.read(["a"])["a"].tolist() == ["1"]
        with pytest.raises(DataError, match=r"t\.csv: the header has 'b' 2 times"):
            table.read(["b"])


def test_message_says_how_to_fix_the_file(write):
    for content in (b"a,b\n1\n", b'a,b\n1,"2"x\n', b'a,"b\n', b"", b"PAR1\x15"):
        with (
            pytest.raises(DataError, match=r"t\.csv: .*\. Open it elsewhere\.$"),
            open_columns(write(content), "Open it elsewhere.") as table,
        ):
            table.read(["b"])


def test_errors_of_the_caller_pass(write):
    with pytest.raises(DataError, match="mine"), open_columns(write(b"a\n")):
        raise DataError("mine")
