"""Rows and lines of a stretch."""

import numpy as np
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.csv.bits import positions
from keras_oocore.csv.dialect import Dialect
from keras_oocore.csv.look import look
from keras_oocore.csv.marks import OUTSIDE, State
from keras_oocore.csv.stretch import Stretch


@given(st.lists(st.sampled_from(["\n", "\r\n", "\n\n", "a,", "b" * 70, '"x"', "\r"]), min_size=1, max_size=9))
@examples(200)
def test_line_ends_tell_what_the_marks_tell(pieces):
    seen = look(np.frombuffer("".join(["\n", *pieces, ","]).encode(), np.uint8), Dialect())
    for before in (seen.before, "another byte"):
        stretch = Stretch(seen._replace(before=before), State(OUTSIDE, before))
        row_starts, line_ends = positions(stretch.marks.row_starts), positions(seen.line_ends)
        if stretch.fault >= 0:
            continue
        assert stretch.end == stretch.marks.state
        for stop in range(seen.size_bytes + 1):
            rows = row_starts[row_starts < stop]
            last_row = int(rows[-1]) if len(rows) else -1
            lines = int((line_ends < stop).sum())
            assert (stretch.rows_before(stop), stretch.lines_before(stop)) == (len(rows), lines)
            assert stretch.last_row_before(stop) == last_row
            assert stretch.tally_before(stop) == (len(rows), lines, last_row, int((line_ends < max(last_row, 0)).sum()))
            if stop < seen.size_bytes:
                assert stretch.next_row(stop) == min(row_starts[row_starts >= stop], default=-1)
