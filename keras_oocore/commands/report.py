"""What a command returns: the same result as text and as plain JSON, and whether it found something wrong."""

import contextlib
import dataclasses
import os
import shlex
import sys
from collections.abc import Iterator
from typing import Any

from keras_oocore.core.errors import OptionError


class WrongUseError(OptionError):
    """The command cannot work as it was typed. The message says what to type instead."""


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of a command.

    Attributes:
        text: Lines for a person.
        facts: The same for a program, as plain JSON.
        found: Whether the command found something wrong with the data. The exit status is then 1.
    """

    text: str
    facts: dict[str, Any]
    found: bool = False


@contextlib.contextmanager
def printing_to_stderr() -> Iterator[None]:
    """Send what is printed during the work to stderr, so that stdout has the result alone."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def to_type(*words: str | os.PathLike[str]) -> str:
    """Return a command to type, with quotes around words that need them.

    >>> to_type("info", "my photos")
    "keras-oocore info 'my photos'"
    """
    return shlex.join(["keras-oocore", *map(os.fspath, words)])
