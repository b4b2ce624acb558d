"""The command line as a whole: help, the exit status, errors and warnings of one line, and what is imported."""

import os
import subprocess
import sys

import pytest
from PIL import Image

import keras_oocore.__main__
from keras_oocore import cli
from keras_oocore.commands import opening
from keras_oocore.core.errors import (
    BusyError,
    DataError,
    DestinationError,
    MissingExtraError,
    OptionError,
    ResourceError,
    SampleError,
)
from keras_oocore.core.version import __version__
from keras_oocore.core.warn import warn_user
from keras_oocore.csv import cells
from keras_oocore.demo import images as demo
from keras_oocore.demo import table as demo_csv

COMMANDS = ("info", "flatten", "split", "pack", "verify", "profile", "demo")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Reset the environment variables that a command sets."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setattr(opening, "prefer_installed", lambda: None)  # Keras is imported already


# Help


def test_help_lists_all_commands_and_the_exit_status(capsys):
    assert cli.main(["--help"]) == 0
    output = capsys.readouterr().out
    for text in (*COMMANDS, "a whole job:", "exit status:", "130  stopped with Ctrl-C"):
        assert text in output


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_ends_with_an_example(command, capsys):
    assert cli.main([command, "--help"]) == 0
    output = capsys.readouterr().out
    assert f"example:\n  keras-oocore {command}" in output
    assert output.startswith(f"usage: keras-oocore {command} [-h]")


def test_the_examples_of_all_commands_are_valid(capsys):
    parser = cli.build_parser()
    (commands,) = parser._subparsers._group_actions
    for text in (parser.epilog, *(command.epilog for command in commands.choices.values())):
        lines = [line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith("  keras-oocore ")]
        assert lines
        for line in lines:
            parser.parse_args([word.strip('"') for word in line.split()])


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"keras-oocore {__version__}\n"


# Wrong use


def test_no_command_prints_the_help(capsys):
    assert cli.main([]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("usage: keras-oocore ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["verfiy", "photos"], "invalid choice: 'verfiy' (choose from "),
        (["verfiy", "photos"], ") Did you mean 'verify'? Type: keras-oocore --help"),
        (["verify"], "the following arguments are required: path (before the options"),
        (["verify", "a.csv", "b.csv"], 'unrecognized arguments: b.csv (to pass several CSV files, quote a pattern: "'),
        (
            ["verify", "photos", "--jsn"],
            "unrecognized arguments: --jsn. Did you mean '--json'? Type: keras-oocore verify",
        ),
        (
            ["pack", "a", "b", "--image_size", "9"],
            " --image_size 9. Did you mean '--image-size'? Type: keras-oocore pack",
        ),
        (["pack", "a", "b", "--imagesize=9"], "Did you mean '--image-size'?"),
        (["flatten", "photos", "--mode", "copie"], "argument --mode: invalid choice: 'copie' (choose from "),
    ],
)
def test_wrong_words_are_one_line(words, message, capsys):
    assert cli.main(words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("keras-oocore: ")
    assert message in output.err
    assert output.err.endswith(" --help\n")
    assert output.err.count("\n") == 1


# The exit status


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (
            OptionError("`epochs` should be positive. Received: epochs=-1"),
            2,
            "--epochs should be positive. Received: --epochs -1",
        ),
        (MissingExtraError("install this"), 2, "install this"),
        (DataError("a file is\ndamaged"), 1, "a file is damaged"),
        (SampleError.of(3, "a.png", "truncated"), 1, "Cannot read sample 3, 'a.png': truncated."),
        (DestinationError("disk is full"), 1, "disk is full"),
        (BusyError("wait"), 1, "wait"),
        (ResourceError("too many open files"), 1, "too many open files"),
        (PermissionError(13, "Permission denied", "photos"), 1, "'photos': Permission denied"),
        (MemoryError(), 1, "not enough memory. Close other programs, or pass fewer --workers."),
        (KeyboardInterrupt(), 130, "stopped. To continue, run the same command again."),
    ],
)
def test_error_is_one_line_and_an_exit_status(error, status, message, monkeypatch, capsys):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(demo, "run_demo", fail)
    assert cli.main(["demo"]) == status
    assert capsys.readouterr().err == f"keras-oocore: {message}\n"


def test_an_error_of_the_program_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(demo, "run_demo", lambda _: {}["missing"])
    with pytest.raises(KeyError):
        cli.main(["demo"])


def test_each_warning_is_one_line_and_printed_once(monkeypatch, capsys):
    def warn(_):
        for number in (1, 1, 2):
            warn_user(f"Pass epochs={number}\nor not.")

    monkeypatch.setattr(demo, "run_demo", warn)
    assert cli.main(["demo"]) == 0
    assert capsys.readouterr().err == "".join(
        f"keras-oocore: warning: Pass --epochs {number} or not.\n" for number in (1, 2)
    )


def test_an_unknown_backend_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "tensorfow")
    assert cli.main(["demo"]) == 2
    assert capsys.readouterr().err == (
        "keras-oocore: The environment variable KERAS_BACKEND should be one of 'tensorflow', 'jax', 'torch'. "
        "Received: 'tensorfow'\n"
    )


def test_ctrl_c_while_it_imports_is_one_line(monkeypatch, capsys):
    class Interrupted:
        @staticmethod
        def find_spec(name, path=None, target=None):
            raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "keras_oocore.cli")
    monkeypatch.setattr(sys, "meta_path", [Interrupted])
    assert keras_oocore.__main__.main() == 130
    assert capsys.readouterr().err == "keras-oocore: stopped.\n"


# demo


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ([], ("images", "keras_oocore_demo", {})),
        (["--epochs", "2"], ("images", "keras_oocore_demo", {"epochs": 2})),
        (["--csv"], ("rows", "keras_oocore_demo", {})),
        (["--csv", "--epochs", "0", "--directory", "folder"], ("rows", "folder", {"epochs": 0})),
    ],
)
def test_demo_options(typed, expected, monkeypatch):
    ran = []
    monkeypatch.setattr(demo, "run_demo", lambda directory, **options: ran.append(("images", directory, options)))
    monkeypatch.setattr(demo_csv, "run_demo_csv", lambda directory, **options: ran.append(("rows", directory, options)))
    assert cli.main(["demo", *typed]) == 0
    assert ran == [expected]


def test_demo_csv_without_pyarrow_prints_how_to_install_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cells, "pa", None)
    assert cli.main(["demo", "--csv", "--directory", str(tmp_path)]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("keras-oocore: CSV files ")
    assert output.err.endswith("pyarrow: pip install 'keras_oocore[csv]'\n")
    assert not output.out
    assert not list(tmp_path.iterdir())


# Processes

WITHOUT_KERAS = """
import sys
from keras_oocore import cli

assert cli.main(["--help"]) == 0
for name in ("pyarrow", "cv2"):
    print(name, name in sys.modules, file=sys.stderr)
for words in ("info --versions", "flatten photos flat", "split flat --no-stratify", "info photos", "verify photos"):
    assert cli.main(words.split()) == 0, words
assert "keras" not in sys.modules
assert "tensorflow" not in sys.modules
"""


def environment_of_a_child():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.fixture
def photos(in_tmp_path):
    for name in ("a/1", "a/2", "b/3", "b/4", "b/5"):
        path = in_tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 6)).save(path)


def test_commands_that_train_nothing_import_no_keras(photos):
    child = subprocess.run(
        [sys.executable, "-c", WITHOUT_KERAS],
        env=environment_of_a_child(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert child.returncode == 0, child.stderr
    for name in ("pyarrow", "cv2"):
        assert f"{name} False" in child.stderr, "help is printed before this package is imported"


def test_a_closed_pipe_is_no_error(photos):
    read, write = os.pipe()
    os.close(read)  # as `| true` does
    with os.fdopen(write, "w") as pipe:
        child = subprocess.run(
            [sys.executable, "-m", "keras_oocore", "verify", "photos", "--json"],
            env=environment_of_a_child(),
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
        )
    assert (child.returncode, child.stderr) == (0, "")
