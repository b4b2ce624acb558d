"""Cells as rows of numbers: replacements for missing cells, codes and weights."""

import numpy as np
from csv_outcomes import (
    TEXT,
    Fails,
    Rows,
    at,
    late,
    outcomes,
    unreadable,
)

GAP = "the cell is missing. Missing cells in this part of the file:"
REMEDIES = "Fix: missing='mean', 'nan', 'drop' or {column: value}."


@outcomes(
    ('NA and "NA"', 'x,y\nNA,1\n"NA",2\n"",3\n,4\n', dict(categorical=["x"]),
     Rows([None, "NA", "", None], [1, 2, 3, 4])),
    ('NA and "NA" among numbers', 'x,y\nNA,1\n"NA",2\n"",3\n,4\n5,5\n', dict(missing={"x": -1}),
     Rows([-1, -1, -1, -1, 5], [1, 2, 3, 4, 5])),
    ("a missing number", "x,y\n1,2\n,3\n,4\n", {}, at(1, f"{GAP} 'x': 2. {REMEDIES}", "x")),
    ("missing numbers in several columns", "x,y,z\n1,2,3\n,2,\n1,2,\n", {},
     at(1, f"{GAP} 'x': 1, 'z': 2. {REMEDIES}", "x")),
    ("a missing target", "x,y\n1,2\n3,\n", dict(missing="mean"), at(1, f"{GAP} 'y': 1. Fix: missing='drop'.", "y")),
    ("no null values, numbers", late(",2"), dict(null_values=[]), unreadable(99, "")),
    ("no null values, strings", "x,y\n,2\nNA,4\n", dict(null_values=[], **TEXT), Rows(["", "NA"], [2, 4])),
    ("a column without a number", "x,y\n,2\n,4\n", dict(missing="nan"), Rows([None, None], [2, 4])),
    ("a column without a number, as names", "x,y\n,2\n,4\n", dict(categorical=["x"]), Rows([None, None], [2, 4])),
    ("a column without a number and its mean", "x,y\n,2\n,4\n", dict(missing="mean"),
          Fails("houses.csv: columns have no number to compute a mean of: 'x'. "
                "Fix: features=[...] without them, or missing='nan'.")),
    ("the mean of an infinity", "x,y\ninf,2\n1,2\n,2\n", dict(missing="mean"),
          Rows([np.inf, 1, 1], [2, 2, 2])),
    ("all rows have a gap", "x,y\n1,\n2,\n", dict(missing="drop"),
     Fails("None of the 2 rows in 'houses.csv' is left with missing='drop'.")),
)  # fmt: skip
def test_outcome(check, content, options, outcome):
    check(content, options, outcome)
