"""Blocks of a file, read ahead by threads."""

import numpy as np
from csv_reference import LINE_END
from csv_scans import BARE, COMMENTED, cells, chunks, small_blocks

from keras_oocore.csv.scan import index_records


def test_doubled_quote_is_split_by_a_block_edge(write):
    content = b'"a""b",""\n"""","c"\n'
    path = write(content)
    for block_bytes in range(1, len(content) + 1):
        with small_blocks(block_bytes):
            assert cells(index_records(path, BARE, 1)) == [['a"b', ""], ['"', "c"]]


def test_num_workers_does_not_change_the_index(write):
    rng = np.random.default_rng(0)
    kinds = [b"1,2\n", b'3,"4\n5"\r\n', b'"6""7",8\r', b"\n", b"# nine\n", b'# "ten\n']
    lines = [kinds[kind] for kind in rng.integers(0, len(kinds), 20_000)]
    path, content = write(b"".join(lines)), b"".join(line for line in lines if not line.startswith(b"#"))
    with small_blocks(2**13):  # about twelve
        indices = [index_records(path, COMMENTED, 10_000, num_workers) for num_workers in (1, 2, 4)]

    for index in indices:
        assert index.num_rows == sum(kind in line for line in lines for kind in (b"1,2", b"3,", b",8"))
        assert index.starts.tolist() == indices[0].starts.tolist()
        assert index.lines.tolist() == indices[0].lines.tolist()
    assert b"".join(chunks(indices[0])).strip(b"\n") == content.strip(b"\n")
    assert max(np.diff(indices[0].starts)) <= 10_000
    assert indices[0].lines[-1] == 1 + len(LINE_END.findall(b"".join(lines)))


def test_blocks_without_a_quote_inside_a_quoted_cell(write):
    lines = "1,2\n" * 9
    content = f'{lines}a,"{lines}"\n{lines}"{lines}",b\n\n{lines}'.encode()
    path, rows = write(content), [["1", "2"]] * 9
    for block_bytes in (4, 7, 16, 64, 2**12):
        for num_workers in (1, 2, 3):
            with small_blocks(block_bytes):
                index = index_records(path, BARE, 50, num_workers)
                assert cells(index) == [*rows, ["a", lines], *rows, [lines, "b"], *rows]
                assert index.lines[-1] == 1 + content.count(b"\n")
