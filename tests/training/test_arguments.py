"""The shared arguments of the training functions are visible to `inspect.signature`, `help()` and type checkers."""

import inspect

import keras
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import OptionError
from keras_oocore.training.arguments import DEFAULTS, DOCUMENTATION, TrainingArguments, check_names

FUNCTIONS = [ko.fit_resumable, ko.fit_partitions, ko.fit_phases]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_signature_shows_every_argument_and_its_default(function):
    parameters = inspect.signature(function).parameters
    assert list(parameters)[-len(DEFAULTS) :] == list(DEFAULTS)
    assert {name: parameters[name].default for name in DEFAULTS} == DEFAULTS
    assert parameters["checkpoint"].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_docstring_describes_every_argument(function):
    assert DOCUMENTATION in function.__doc__
    for name in inspect.signature(function).parameters:
        assert f" {name}" in function.__doc__


def test_defaults_have_the_types_of_the_typed_dict():
    assert list(DEFAULTS) == list(TrainingArguments.__annotations__)


@pytest.mark.one_backend
def test_arguments_of_fit_have_the_defaults_of_keras():
    theirs = inspect.signature(keras.Model.fit).parameters
    ours = {name: default for name, default in DEFAULTS.items() if name in theirs}
    assert len(ours) >= 7
    assert ours == {name: theirs[name].default for name in ours}


@pytest.mark.one_backend
def test_unknown_argument_names_the_nearest():
    message = r"^`fit_phases` has no argument `clas_weight`\. Did you mean 'class_weight'\? Received: clas_weight={}$"
    with pytest.raises(OptionError, match=message):
        check_names({"clas_weight": {}}, ko.fit_phases)


@pytest.mark.one_backend
def test_argument_of_a_newer_keras_is_passed_on(monkeypatch):
    def fit(self, x=None, new_option=None): ...

    monkeypatch.setattr(keras.Model, "fit", fit)
    check_names({"new_option": 1}, ko.fit_resumable)
