"""Defines the command line: its options, how results and errors are printed, and the exit status."""

import argparse
import contextlib
import json
import os
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

from keras_oocore.commands import check, demo, flatten, info, pack, predict, profile, split, verify
from keras_oocore.commands.flags import in_flags
from keras_oocore.commands.report import Report, WrongUseError
from keras_oocore.core.errors import MissingExtraError, OptionError, OutOfCoreError
from keras_oocore.core.text import did_you_mean
from keras_oocore.core.version import __version__

PROGRAM = "keras-oocore"
COMMANDS = (info, check, flatten, split, pack, verify, profile, predict, demo)  # in the order of a whole job
DONE, FOUND, WRONG_USE, STOPPED = 0, 1, 2, 130
EPILOG = """
a whole job:
  keras-oocore info plant_seedlings
  keras-oocore check plant_seedlings --html report.html
  keras-oocore split plant_seedlings split --validation-split 0.2
  keras-oocore pack split/train packed/train --image-size 224
  keras-oocore profile packed/train
  keras-oocore predict model.keras test --to submission.csv

exit status:
  0    done
  1    something is wrong with the data or the disk
  2    the command was typed wrong, or a package is missing
  130  stopped with Ctrl-C

To list the options of a command: keras-oocore COMMAND --help
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and what to type, and exit."""
        hint = ""
        if message.startswith("the following arguments are required"):
            hint = " (before the options, which may take several words)"
        if unknown := re.match("unrecognized arguments: (--[^ =]+)", message):
            near = did_you_mean(unknown[1].replace("_", "-"), self._option_string_actions)
            hint = f".{near}" if near else ""
        if re.match("unrecognized arguments: [^-]", message):
            hint = ' (to pass several CSV files, quote a pattern: "part-*.csv")'
        if misspelt := re.match(r"argument COMMAND: invalid choice: '(.*?)'", message):
            hint = did_you_mean(misspelt[1], [command.__name__.rpartition(".")[2] for command in COMMANDS])
        self.exit(WRONG_USE, f"{PROGRAM}: {message}{hint}. Type: {self.prog} --help\n".replace("?.", "?"))


def build_parser() -> Parser:
    """Return the parser of all commands."""
    parser = Parser(
        PROGRAM,
        description="Train Keras models on data larger than memory.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    with contextlib.suppress(AttributeError):  # a name that the terminal cannot show is escaped
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = build_parser()
    try:
        options, unknown = parser.parse_known_args(arguments)
        if unknown:  # here, because argparse would name the options of all commands
            getattr(options, "parser", parser).error(f"unrecognized arguments: {' '.join(unknown)}")
    except SystemExit as stop:  # help, the version, or wrong use
        return int(stop.code or DONE)
    if options.command is None:
        parser.print_help(sys.stderr)
        return WRONG_USE
    try:
        with _one_line_warnings(options.parser):
            report = options.run(options)
        return DONE if report is None else _print(report, options.json)
    except WrongUseError as error:  # in the words of the command line already
        return _fail(str(error), WRONG_USE)
    except (OptionError, MissingExtraError) as error:
        return _fail(in_flags(str(error), options.parser), WRONG_USE)
    except OutOfCoreError as error:
        return _fail(in_flags(str(error), options.parser), FOUND)
    except KeyboardInterrupt:
        return _fail(f"stopped. {options.after_stop}".strip(), STOPPED)
    except BrokenPipeError:
        return _close_stdout(DONE)
    except MemoryError:
        return _fail("not enough memory. Close other programs, or pass fewer --workers.", FOUND)
    except OSError as error:
        where = f"{error.filename!r}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", FOUND)


def _print(report: Report, as_json: bool) -> int:
    """Print the result, and return the exit status."""
    status = FOUND if report.found else DONE
    try:
        print(json.dumps(report.facts, indent=2, default=_plain) if as_json else report.text, flush=True)
    except BrokenPipeError:  # such as `| head`, which has what it wanted
        _close_stdout(status)
    return status


def _plain(value: Any) -> Any:
    """Return a number of NumPy as one of Python, and a path as a string."""
    try:
        return value.item()
    except AttributeError:
        return str(value)


def _fail(message: str, status: int) -> int:
    with contextlib.suppress(BrokenPipeError):
        print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)
    return status


def _close_stdout(status: int) -> int:
    """Drop what is left to print, which Python would try to print at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError), open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return status


@contextlib.contextmanager
def _one_line_warnings(parser: argparse.ArgumentParser) -> Iterator[None]:
    """Print each warning as one line on stderr, once."""
    shown = set()

    def show(message, category, filename, lineno, file=None, line=None) -> None:
        text = in_flags(" ".join(str(message).split()), parser)
        if issubclass(category, UserWarning) and text not in shown:
            shown.add(text)
            print(f"{PROGRAM}: warning: {text}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


if __name__ == "__main__":
    sys.exit(main())
