"""Arguments that Sequences share: signatures, defaults, docstrings, and errors for unknown keywords."""

import dataclasses
import inspect

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import OptionError
from keras_oocore.csv.dialect import CellOptions, Dialect
from keras_oocore.sequences import arguments, table_arguments
from keras_oocore.sequences.arguments import DEFAULTS, DESCRIPTIONS, documented, require_known, shares
from keras_oocore.sequences.packed import PackedSequence
from keras_oocore.sequences.synonyms import SYNONYMS
from keras_oocore.sequences.table_arguments import COLUMN_DEFAULTS, ROW_DEFAULTS

ALL = [
    (ko.ImageFolderSequence, arguments.FileArguments, {}),
    (ko.NpyManifestSequence, arguments.FileArguments, {}),
    (ko.ArraySequence, arguments.ArrayArguments, {"max_queue_size": None}),
    (ko.CSVChunkSequence, table_arguments.TableArguments, {**COLUMN_DEFAULTS, **ROW_DEFAULTS}),
    (ko.TableSequence, table_arguments.TableArguments, {**COLUMN_DEFAULTS, **ROW_DEFAULTS}),
    (PackedSequence, arguments.SampleArguments, {}),
    (ko.open_packed, arguments.SampleArguments, {}),
    (ko.image_dataset_from_directory, arguments.LoadingArguments, {}),
]
names = [thing.__name__ for thing, _, _ in ALL]
DOCUMENTED = [row for row in ALL if row[0] is not PackedSequence]
every = pytest.mark.parametrize(("thing", "shared", "defaults"), ALL, ids=names)
every_documented = pytest.mark.parametrize(
    ("thing", "shared", "defaults"), DOCUMENTED, ids=[row[0].__name__ for row in DOCUMENTED]
)


class Options(arguments.LoadingArguments, total=False):
    """For tests of the decorators."""

    batch_size: int


@shares(Options, batch_size=7)
def load(path, workers=3, **shared):
    """Load a file.

    Args:
        path: Path of the file.
        workers: Own description.
        {shared}

    Returns:
        The arguments.
    """
    return path, workers, shared


# Signatures


@every
def test_signature_has_every_shared_argument_with_its_default(thing, shared, defaults):
    parameters = inspect.signature(thing).parameters

    assert not [p for p in parameters.values() if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    for name in shared.__annotations__:
        assert parameters[name].default == {**DEFAULTS, **defaults}[name]
        assert parameters[name].annotation is not inspect.Parameter.empty


def test_shared_arguments_follow_own_arguments():
    assert str(inspect.signature(load)).startswith("(path, workers=3, *, batch_size: ")
    assert load.__name__ == "load"


def test_function_receives_all_shared_arguments():
    _, workers, shared = load("here", max_queue_size=4)

    assert workers == 3
    assert shared == {"batch_size": 7, "memory_limit": None, "max_queue_size": 4, "use_multiprocessing": False}


def test_signature_of_a_subclass_is_its_own():
    class Mine(ko.ArraySequence):
        def __init__(self, path):
            super().__init__(np.zeros((3, 2)), labels=None, batch_size=2)
            self.path = path

    assert list(inspect.signature(Mine).parameters) == ["path"]
    assert Mine("here").batch_size == 2


def test_every_shared_argument_has_a_default_and_a_description():
    assert set(DEFAULTS) == set(DESCRIPTIONS)
    assert set(arguments.FileArguments.__annotations__) <= set(DEFAULTS)
    assert set(COLUMN_DEFAULTS) == set(table_arguments.COLUMN_DESCRIPTIONS)
    assert set(ROW_DEFAULTS) == set(table_arguments.ROW_DESCRIPTIONS)


def test_arguments_of_columns_precede_those_of_files_and_of_batches():
    parameters = list(inspect.signature(ko.CSVChunkSequence).parameters)

    assert parameters[:4] == ["data", "target", "features", "exclude"]
    assert parameters.index("indicator") < parameters.index("delimiter") < parameters.index("on_bad_row")


def test_defaults_of_reading_are_those_of_dialect_and_cells():
    parameters = inspect.signature(ko.CSVChunkSequence).parameters

    for options in (Dialect, CellOptions):
        for field in dataclasses.fields(options):
            assert parameters[field.name].default == ("auto" if field.name == "header" else field.default)


# Docstrings


@every_documented
def test_docstring_describes_every_argument_once(thing, shared, defaults):
    described = thing.__doc__.partition("Args:")[2].partition("\n\n")[0]
    for name in inspect.signature(thing).parameters:
        assert described.count(f"\n        {name}: ") == 1
    assert "{" + "shared}" not in thing.__doc__
    assert "{default}" not in thing.__doc__
    assert max(map(len, thing.__doc__.splitlines())) <= 120


@every_documented
def test_docstring_states_the_default_batch_size(thing, shared, defaults):
    default = inspect.signature(thing).parameters["batch_size"].default

    assert f"batch_size: Size of the batches of data. Defaults to `{default}`." in thing.__doc__


def test_documented_keeps_own_descriptions():
    documented(load)

    assert (
        "        workers: Own description.\n        batch_size: Size of the batches of data. Defaults to `7`."
        in load.__doc__
    )
    assert load.__doc__.count("workers: ") == 1
    assert "\n\n    Returns:" in load.__doc__


# Unknown keywords


@pytest.mark.parametrize(("keyword", "name"), SYNONYMS.items())
def test_synonyms_name_the_argument(keyword, name):
    with pytest.raises(OptionError) as caught:
        require_known({keyword: 4}, [name, "other"], "Sequence")
    remedy = name if " " in name else f"Use `{name}` instead."
    assert str(caught.value) == f"Sequence has no argument `{keyword}`. {remedy} Received: {keyword}=4"


def test_synonym_is_not_suggested_where_it_is_no_argument():
    with pytest.raises(OptionError, match=r"^Sequence has no argument `sep`\. Received: sep=';'$"):
        require_known({"sep": ";"}, ["batch_size"], "Sequence")


def test_synonyms_are_arguments():
    known = {name for thing, _, _ in ALL for name in inspect.signature(thing).parameters}

    assert {name for name in SYNONYMS.values() if " " not in name} <= known


def test_y_is_the_target_of_a_table():
    with pytest.raises(OptionError, match="Use `target` instead"):
        require_known({"y": "price"}, ["target", "features"], "CSVChunkSequence")


def test_similar_name_is_suggested():
    with pytest.raises(OptionError, match=r"`bach_size`\. Did you mean 'batch_size'\? Received: bach_size=4"):
        require_known({"bach_size": 4}, ["batch_size", "seed"], "Sequence")


def test_long_values_are_shortened():
    with pytest.raises(OptionError) as caught:
        require_known({"rows": list(range(1000))}, ["seed"], "Sequence")
    assert len(str(caught.value)) < 150


def test_known_keywords_are_accepted():
    require_known({"seed": 1}, ["seed"], "Sequence")
    require_known({}, [], "Sequence")


@every
def test_unknown_keyword_is_an_error_that_names_the_class_or_function(thing, shared, defaults):
    with pytest.raises(OptionError, match=rf"^{thing.__name__} has no argument `sead`\. Did you mean "):
        thing("nowhere", sead=1)
