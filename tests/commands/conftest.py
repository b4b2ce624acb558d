"""Runs a command in this process, as if it was typed."""

import pytest

from keras_oocore import cli
from keras_oocore.commands import opening


@pytest.fixture
def run(capsys, monkeypatch):
    """A function that runs a command. It returns the exit status, what it printed, and its errors and progress."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setattr(opening, "prefer_installed", lambda: None)  # Keras is imported already

    def run(*words):
        capsys.readouterr()
        status = cli.main([*map(str, words)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run
