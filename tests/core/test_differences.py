"""`differences`: what a message says about two descriptions of data."""

import re

import pytest

from keras_oocore.core.differences import differences

COLUMNS = [[f"column {i}", i, "float32", None, "feature"] for i in range(20)]


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({}, {}, []),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"a": 1}, {"b": None}, ["a was 1, is None"]),
        (
            {"a": "x" * 200 + "(CRC-32 1)"},
            {"a": "x" * 200 + "(CRC-32 2)"},
            [r"a was 'x{39} \.\.\. x*\(CRC-32 1\)', .* 2\)'"],
        ),
        ({"order": None}, {"order": {"seed": 1}}, ["order was None, is {'seed': 1}"]),
        ({"order": {"seed": 1, "of": 2}}, {"order": {"seed": 3}}, ["order: seed was 1, is 3, of was 2, is None"]),
        ({"files": ["a"]}, {"files": ["a", "b"]}, [r"files was \['a'\], is \['a', 'b'\]"]),
        (
            {"files": [*"abcdefghijklmnopqrstuv"]},
            {"files": [*"abcdefghijklmnopqrstuw"]},
            ["files: without 'v', with 'w'"],
        ),
        ({"rows": list(range(99))}, {"rows": list(range(98))}, ["rows: without '98'"]),
        ({"columns": COLUMNS}, {"columns": COLUMNS[1:]}, ["columns: without 'column 0'"]),
        ({"columns": COLUMNS[:5]}, {"columns": COLUMNS}, ["columns: with 'column 5', .*, 'column 14' and 5 more"]),
        (
            {"columns": COLUMNS},
            {"columns": [["column 0", 0, "date", "%Y", "target"], *COLUMNS[1:]]},
            ["columns: 'column 0' was float32 feature, is date %Y target"],
        ),
        (
            {"columns": COLUMNS},
            {"columns": [*COLUMNS, *([*column[:4], "missing"] for column in COLUMNS)]},
            ["columns: 'column 0', .* and 10 more was float32 feature, is float32 feature missing"],
        ),
        ({"columns": COLUMNS}, {"columns": COLUMNS[::-1]}, ["columns: the same, at other positions"]),
        ({"inputs": [[None, 0, 3]], "a": 1}, {"inputs": [[None, 0, 4]], "a": 2}, ["a was 1, is 2"]),
        ({"inputs": [[None, 0, 3]]}, {"inputs": [["a", 0, 2], ["b", 2, 3]]}, ["the features were one array, .*"]),
        ({"size": [[1, 2], []]}, {"size": [[1, 3]]}, [r"size was \[\[1, 2\], \[\]\], is \[\[1, 3\]\]"]),
    ],
)
def test_differences(before, now, said):
    phrases = differences(before, now)
    assert len(phrases) == len(said)
    assert all(map(re.fullmatch, said, phrases)), phrases
