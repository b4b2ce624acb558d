"""Strings of typed tables that look like numbers or dates are named with what to type; codes are not doubted."""

import pyarrow as pa
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import OptionError

NUM_ROWS = 300
DAYS = [f"2024-01-{1 + row % 28:02}" for row in range(NUM_ROWS)]
NUMBERS = [str(row * 0.5) for row in range(NUM_ROWS)]
CONVERT = "convert the column to numbers before, and pass the converted one"


def doubted(cells, **options):
    """The warnings of a feature."""
    with pytest.warns(UserWarning, match="Column") as caught:
        ko.TableSequence({"q": cells, "y": [0.0] * len(cells)}, "y", features=["q"], **options)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    ("cells", "looks", "example", "fix"),
    [
        (DAYS, "dates", "2024-01-01", "dtypes={'q': '%Y-%m-%d'}"),
        (NUMBERS, "numbers", "0.0", "dtypes={'q': 'float32'}"),
        ([f"{row * 7:,}" for row in range(NUM_ROWS)], "numbers", "1,001", CONVERT),
        ([f"${row % 150}" for row in range(NUM_ROWS)], "numbers", "$0", CONVERT),
        (["?" if row % 5 == 0 else str(row % 150 * 3) for row in range(NUM_ROWS)], "numbers", "3",
         "dtypes={'q': 'float32'}, null_values=[..., '?']"),
        ([f"{1 + row % 12}/{1 + row % 12}/2024" for row in range(NUM_ROWS)], "dates", "1/1/2024",
         "give their format in dtypes, such as '%m/%d/%Y' or '%d/%m/%Y'"),
    ],
    ids=["days", "numbers", "thousands", "money", "marks of missing cells", "two formats"],
)  # fmt: skip
def test_strings_that_look_like_numbers_or_dates_are_named(cells, looks, example, fix):
    note = f"Column 'q' is read as strings, though its cells look like {looks}, such as {example!r}. Fix: {fix}"
    assert doubted(cells) == [f"{note}, or categorical=['q']."]


@pytest.mark.parametrize(
    ("cells", "options"),
    [
        ([f"{row % 50:05}" for row in range(NUM_ROWS)], {}),
        ([str(row % 9) for row in range(NUM_ROWS)], {}),
        (["yes", "no", "yes"] * 100, {}),
        (["Rome", "Oslo", "12"] * 100, {}),
        ([None] * NUM_ROWS, {}),
        (DAYS, {"dtypes": {"q": "string"}}),
        (DAYS, {"categorical": ["q"]}),
        (pa.array(DAYS).dictionary_encode(), {}),
    ],
    ids=["leading zeros", "few integers", "yes and no", "names", "nothing", "dtypes", "categorical", "categories"],
)
def test_codes_and_what_the_user_chose_are_not_doubted(cells, options, recwarn):
    ko.TableSequence({"q": cells, "y": [0.0] * len(cells)}, "y", features=["q"], **options)
    assert [str(warning.message) for warning in recwarn] == []


def test_the_fix_reads_them():
    marks = ["?" if row % 5 == 0 else str(row * 3) for row in range(NUM_ROWS)]
    options = dict(features=["q"], shuffle=False, missing={"q": -1}, null_values=[..., "?"], dtypes={"q": "float32"})
    assert ko.TableSequence({"q": marks, "y": range(NUM_ROWS)}, "y", **options)[0][0][:3].tolist() == [[-1], [3], [6]]


def test_a_target_of_dates_or_numbers_does_not_become_classes():
    for cells, looks in ((DAYS, "dates"), (NUMBERS, "numbers")):
        data = {"x": range(NUM_ROWS), "y": cells}
        with pytest.raises(OptionError, match=rf"Target 'y' is read as strings, .* look like {looks}.*categorical="):
            ko.TableSequence(data, "y")
        assert ko.TableSequence(data, "y", categorical=["y"]).class_names[0] == min(cells)
    digits = ko.TableSequence({"x": range(NUM_ROWS), "y": [str(row % 26) for row in range(NUM_ROWS)]}, "y")
    assert len(digits.class_names) == 26


def test_integers_that_are_days_are_named_as_for_csv():
    found = doubted([20240101 + row % 28 for row in range(NUM_ROWS)])
    assert "integers beyond 2^24, which float32 rounds, such as 20240101. If they are dates, give their" in found[0]
    assert len(found) == 1


def test_other_rows_are_read_as_those_of_the_training_without_doubt(recwarn):
    train = ko.TableSequence({"q": DAYS, "y": range(NUM_ROWS)}, "y", features=["q"], categorical=["q"])
    train.like({"q": DAYS[:30]}, target=None)
    assert [str(warning.message) for warning in recwarn] == []
