"""Categories that differ only in how they are written."""

import warnings

import pytest

import keras_oocore as ko
from keras_oocore.core.errors import DataError
from keras_oocore.tables.lookalikes import sense_of

NUMBERS = {"a": [1.0, 2, 3]}


def of(**columns):
    return ko.TableSequence({**NUMBERS, **columns}, "a", categorical=list(columns), shuffle=False)


@pytest.mark.parametrize(
    ("known", "cell"), [("1", "1.0"), ("007", "7"), ("True", "true"), ("Rome", " rome"), ("5.0", "5"), ("-1", "-1.00")]
)
def test_an_unknown_category_written_in_another_way_is_warned_of_once(tmp_path, known, cell):
    (tmp_path / "june.csv").write_text(f'zip\n"{cell}"\nnew\n"{cell}"\n')
    later = of(zip=[known, "other", "other"]).like(tmp_path / "june.csv", target=None)

    with pytest.warns(UserWarning, match="is not a category") as warned:
        codes = [later[0].tolist() for _ in range(2)]

    assert codes == [[[1], [1], [1]]] * 2
    assert [str(warning.message).partition("june.csv: ")[2].partition(". It has")[0] for warning in warned] == [
        f"row 0 (line 2), column 'zip': {cell!r} is not a category of the training rows, though {known!r} is"
    ]


def test_only_numbers_are_written_in_another_way_by_pandas():
    for known, cell, advised in (("Rome", "rome", False), ("7", "7.0", True)):
        with pytest.warns(UserWarning, match="write both in one way") as warned:
            of(city=[known, "other", "other"]).like({"city": [cell]}, target=None)[0]
        assert ("pandas.read_csv" in str(warned[0].message)) == advised


def test_other_unknown_categories_are_not_warned_of():
    later = of(zip=["1", "2", "word"]).like({"zip": ["1.5", "3", "words", "1e0"]}, target=None)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert later[0].tolist() == [[1], [1], [1], [1]]


def test_large_integers_are_not_compared_as_floats():
    assert sense_of("9007199254740993") != sense_of("9007199254740992")


def test_categories_with_and_without_a_fraction_of_zero_are_warned_of():
    with pytest.warns(UserWarning, match=r"Column 'zip' has the categories '1' and '1.0', which have different codes"):
        assert of(zip=["1", "1.0", "2"]).vocabulary("zip") == ["1", "1.0", "2"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert of(zip=["1.0", "2.0", "2.5"]).vocabulary("zip") == ["1.0", "2.0", "2.5"]


def test_an_unknown_class_written_in_another_way_is_named():
    flags = ko.TableSequence({**NUMBERS, "sold": ["True", "False", "True"]}, "sold")

    with pytest.raises(DataError, match="'true' is not one of the 2 classes of the training rows, though 'True' is"):
        flags.like({**NUMBERS, "sold": ["False", "true", "True"]})[0]
