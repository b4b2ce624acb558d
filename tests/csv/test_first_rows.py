"""The index of the first rows of a file: it is exact, and a scan for it reads no further."""

import pytest
from csv_scans import BARE, cells, located, refusal, small_blocks
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.core.errors import DataError
from keras_oocore.csv.chunks import index_of_first_rows
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.index import RecordIndex
from keras_oocore.csv.scan import index_records

COMMENTED = Dialect(header=False, comment="#")
LINES = st.lists(st.sampled_from(["1,2\n", '"a\n,",2\r\n', "#c\n", "\r", '"b""",3\n', '4"x,5\n']), max_size=15)


@given(LINES, st.integers(1, 9), st.sampled_from([1, 3, 7, 64]), st.integers(1, 20), st.sampled_from([None, "#"]))
@examples(30)
def test_first_rows_are_those_of_the_whole_index(scratch, lines, num_rows, block_bytes, chunk_bytes, comment):
    scratch.write_text("0,0\n" + "".join(lines), newline="")
    dialect = Dialect(header=False, comment=comment)
    with small_blocks(block_bytes):
        whole = index_records(scratch, dialect, chunk_bytes, 1, "skip")
        part = index_records(scratch, dialect, chunk_bytes, 1, "skip", num_rows=num_rows)
    again = index_of_first_rows(whole, num_rows)
    kept = min(num_rows, whole.num_rows)
    for index in (part, again):
        assert index.num_rows == kept
        assert cells(index) == cells(whole)[:kept]
        assert located(index) == located(whole)[:kept]
        assert not index.is_whole or kept == whole.num_rows
        assert index.bad == tuple(bad for bad in whole.bad if bad.start < index.starts[-1])


def test_scan_reads_no_further_than_it_must(write):
    path = write(b"1,2\n" * 1000 + b'"never closed\n' + b"3,4\n" * 10_000)
    scanned = []
    with small_blocks(100):
        index = index_records(path, BARE, progress=scanned.append, num_rows=100)
        assert "is never closed" in refusal(path, BARE, num_rows=1001)
    assert index.num_rows == 100
    assert sum(scanned) <= 600


def test_header_and_lines_are_counted(write):
    index = index_records(write(b'# made by\n"x\ny",z\n1,2\n\n3,4\n5,6\n'), Dialect(skip_rows=1), num_rows=2)
    assert (index.header, cells(index), index.lines.tolist()) == (("x\ny", "z"), [["1", "2"], ["3", "4"]], [4, 7])
    assert index.starts.tolist() == [18, 27]


def test_index_of_the_first_rows_is_refused_when_it_is_loaded(write, tmp_path):
    path = write(b"1,2\n3,4\n5,6\n")
    index_records(path, BARE, num_rows=2).save(tmp_path / "index.json")
    with pytest.raises(DataError, match=r"index\.json"):
        RecordIndex.load(tmp_path / "index.json", path)
