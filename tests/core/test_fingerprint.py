import inspect

import pytest

from keras_oocore.core import fingerprint
from keras_oocore.core.fingerprint import described


def a_reader(path):
    return path


def test_a_parser_that_another_thread_disturbed_is_asked_again(monkeypatch):
    expected, find, raised = described(a_reader), inspect.getsource, []

    def disturbed(value):
        if not raised:
            raised.append(SystemError("AST constructor recursion depth mismatch"))
            raise raised[0]
        return find(value)

    monkeypatch.setattr(fingerprint.inspect, "getsource", disturbed)
    assert described(a_reader) == expected
    assert raised


def test_a_parser_that_always_fails_is_an_error(monkeypatch):
    def failing(value):
        raise SystemError("AST constructor recursion depth mismatch")

    monkeypatch.setattr(fingerprint.inspect, "getsource", failing)
    with pytest.raises(SystemError, match="depth"):
        described(a_reader)
