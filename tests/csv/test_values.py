"""Strings as booleans."""

from csv_outcomes import Rows, late, outcomes, unreadable
from csv_scans import error_of


@outcomes(
    ("True, 0 and yes", "x,y\nTrue,1\n0,2\nyes,3\n", {}, Rows([1, 0, 1], [1, 2, 3])),
    ("True as a target", "x,y\n1,True\n2,False\n", {}, Rows([1, 2], [1, 0])),
    ("True among numbers", late("True,2"), {},
     unreadable(99, "True", fix="dtypes={'x': 'bool'}, or on_bad_row='skip'")),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)


def test_booleans(read):
    content = "a,b\nTrue,1\n0,2\nyes,3\nFALSE,4\n,5\n no ,6\n"
    assert read(content, a="bool")["a"] == [1, 0, 1, 0, None, 0]
    assert "cannot read 'maybe' as true or false" in error_of(read, "a,b\nmaybe,1\n", a="bool")
