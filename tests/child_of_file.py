"""Child processes that run a function of a test file."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import hidden_packages

TIMEOUT_SECONDS = 600  # of a child process, far beyond its work


def child(function, *arguments, **options):
    """A process that runs a function of a test file as a script; it ends after `TIMEOUT_SECONDS` in any case."""
    command = [sys.executable, function.__code__.co_filename, function.__name__, *map(str, arguments)]
    paths = [str(Path(__file__).parent), *sys.path]  # where the helpers of tests are
    environment = hidden_packages.environment()
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [environment["PYTHONPATH"], *paths]))
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return subprocess.Popen(command, env=environment, **pipes, **options)


def output(function, *arguments, returncode=0):
    """Run a function of a test file in a process, and return what it prints."""
    with child(function, *arguments, stderr=subprocess.PIPE) as process:
        said, complaints = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == returncode, complaints
    return said, complaints


def say(word):
    print(word, flush=True)


def run_as_script(functions):
    """Run the function that the command line names, in a test file that is started as a script."""
    signal.alarm(TIMEOUT_SECONDS)
    functions[sys.argv[1]](*map(lambda a: Path(a) if "/" in a else int(a) if a.isdigit() else a, sys.argv[2:]))
