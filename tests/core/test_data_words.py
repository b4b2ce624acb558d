"""`phrase_about`: the values of fingerprints that would say nothing to a user, in words."""

import pytest

from keras_oocore.core.data_words import phrase_about

ALL, TWO_ROWS, ONE_ROW = None, [2, "ab"], [1, "cd"]
FILE, TABLE, OTHER_CELLS = (
    ["a.csv, 9 bytes"],
    ["1 row, 2 columns, CRC-32 00000001"],
    ["1 row, 2 columns, CRC-32 00000002"],
)
TRAINING = {"validation_split": 0.2, "seed": 1, "validation": False}
VALIDATION = {**TRAINING, "validation": True}
GROUPED = {"validation_split": None, "test_split": 0.1, "groups": ["id"], "seed": 0, "part": "test", "drawn": 77}
BY_VALUE = {"by": "day", "at": ["2024-09-01"], "part": "training", "kinds": {"day": "ISO8601"}}
OF_TRAINING = "the training part of split(validation_split=0.2, seed=1)"
MATRIX, ONE, OTHER = [[None, 0, 3]], [["a", 0, 3]], [["b", 0, 3]]


@pytest.mark.parametrize(
    ("name", "before", "now", "phrase"),
    [
        ("rows left out", ALL, TWO_ROWS, "no rows were left out, now `without` leaves out 2 rows"),
        ("rows left out", ONE_ROW, ALL, "`without` left out 1 row, now no rows are left out"),
        ("rows left out", TWO_ROWS, ONE_ROW, "`without` left out 2 rows, now it leaves out 1 row"),
        ("rows left out", ONE_ROW, [1, "ef"], "`without` left out 1 row, now it leaves out 1 other row"),
        (
            "rows left out",
            [2000, "ef"],
            [2000, "gh"],
            "`without` left out 2,000 rows, now it leaves out 2,000 other rows",
        ),
        (
            "files",
            TABLE,
            OTHER_CELLS,
            "the data was a table of 1 row and 2 columns, is one of the same size with other cells",
        ),
        ("files", FILE, TABLE, "the data was 'a.csv, 9 bytes', is a table of 1 row and 2 columns"),
        ("files", TABLE, None, "the data was a table of 1 row and 2 columns, is None"),
        ("files", FILE, ["b.csv, 9 bytes"], ""),
        ("files", "10 names with CRC-32 00000001", "10 names with CRC-32 00000002", ""),
        ("part", None, TRAINING, f"the rows were all rows, are {OF_TRAINING}"),
        (
            "part",
            VALIDATION,
            TRAINING,
            f"the rows were the validation part of split(validation_split=0.2, seed=1), are {OF_TRAINING}",
        ),
        (
            "part",
            GROUPED,
            BY_VALUE,
            "the rows were the test part of split(test_split=0.1, groups=['id'], seed=0), are the training part of "
            "split(by='day', at=['2024-09-01'])",
        ),
        ("part", GROUPED, {**GROUPED, "drawn": 78}, ""),
        ("inputs", MATRIX, ONE, "the features were one array, are the inputs 'a'"),
        ("inputs", ONE, OTHER, "the features were the inputs 'a', are the inputs 'b'"),
        ("inputs", MATRIX, [[None, 0, 4]], ""),
        # columns that a user calls so, in a dictionary of their kinds or fill values
        ("part", None, "string", ""),
        ("part", {"one": ["a"]}, {"one": ["b"]}, ""),
        ("files", ["a"], ["a", "b"], ""),
        ("files", 1.5, 2.5, ""),
        ("inputs", ["a"], ["b"], ""),
        ("rows left out", "float32", "string", ""),
        ("seed", 1, 2, ""),
    ],
)
def test_values_in_words(name, before, now, phrase):
    assert phrase_about(name, before, now) == phrase
