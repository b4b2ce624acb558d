"""The words of other libraries for arguments."""

import csv
import inspect

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import OptionError
from keras_oocore.sequences.synonyms import OF_CSV, OF_TABLES, SYNONYMS, answer

KNOWN = set(inspect.signature(ko.CSVChunkSequence).parameters)
NOT_OF_READING = {"self", "mangle_dupe_cols", "squeeze", "prefix", "verbose", "cache_dates", "date_format"}


def words_of(function):
    return set(inspect.signature(function).parameters) - KNOWN - NOT_OF_READING


def test_every_word_of_pandas_has_an_answer():
    assert words_of(pd.read_csv) - set(OF_TABLES) - set(SYNONYMS) == set()


def test_every_word_of_pyarrow_and_of_python_has_an_answer():
    words = {name for name in dir(pa.csv.ParseOptions) if not name.startswith(("_", "equals", "validate"))}
    words |= {name for name in vars(csv.excel) if not name.startswith("_")}
    assert words - KNOWN - set(OF_TABLES) - {"ignore_empty_lines"} == set()


def test_answers_name_arguments_that_exist():
    for word in {**SYNONYMS, **OF_TABLES}.values():
        if word.isidentifier() and word not in SYNONYMS.values():
            assert word in KNOWN, word


@pytest.mark.parametrize(
    ("word", "value", "expected"),
    [
        ("sep", ";", "Use `delimiter` instead. Received: sep=';'"),
        ("usecols", ["a"], "Use `features` instead. Received: usecols=['a']"),
        ("index_col", 0, "Use `index_column` instead. Received: index_col=0"),
        ("nrows", 9, "Use `num_rows` instead. Received: nrows=9"),
        ("validation_split", 0.2, "Split the rows: train, val = rows.split(validation_split=0.2). Received: "
         "validation_split=0.2"),
        ("parse_dates", True, "The usual formats of dates are recognized. For another one: dtypes={COLUMN: '%d %B "
         "%Y'}. Received: parse_dates=True"),
        ("compression", "gzip", "Compressed files are recognized by their content, and require a `cache`. Received: "
         "compression='gzip'"),
        ("low_memory", False, "Memory is limited by `memory_limit`. Leave it out. Received: low_memory=False"),
        ("storage_options", pd.DataFrame({"a": [1]}), "Files are read from this machine. Download them first. "
         "Received: storage_options=DataFrame of shape (1, 1)"),
        ("qqq", 1, "Received: qqq=1"),
    ],
)  # fmt: skip
def test_unknown_argument_is_answered_with_what_to_type(word, value, expected):
    with pytest.raises(OptionError) as caught:
        ko.CSVChunkSequence("houses.csv", target="y", **{word: value})
    assert str(caught.value) == f"CSVChunkSequence has no argument `{word}`. {expected}"


@pytest.mark.parametrize(("word", "value"), [("delimiter", ";"), ("sep", ";"), ("skiprows", 1)])
def test_options_of_csv_files_are_not_of_other_tables(word, value):
    with pytest.raises(OptionError) as caught:
        ko.TableSequence("houses.csv", target="y", **{word: value})
    assert str(caught.value) == (
        f"TableSequence has no argument `{word}`. It describes CSV files: use ko.CSVChunkSequence for them. "
        f"Received: {word}={value!r}"
    )


def test_options_of_csv_files_are_those_of_the_class():
    assert KNOWN >= OF_CSV
    assert OF_CSV & set(inspect.signature(ko.TableSequence).parameters) == set()


def test_words_of_tables_are_only_for_tables():
    assert answer("nrows", ["num_rows", "data"]) == ""
    assert answer("y", ["labels", "data"]) == " Use `labels` instead."
    assert answer("y", ["target", "data"]) == " Use `target` instead."
