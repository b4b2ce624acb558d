"""Child processes that are forked from a server which has imported Keras and never computed anything.

A new interpreter imports Keras and its backend for many seconds. Forking the test process itself is unsafe, because the
threads of JAX and TensorFlow do not survive a fork. The server of `multiprocessing` does neither.
"""

import contextlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

TIMEOUT_SECONDS = 300  # far beyond the work of any child, for a busy machine
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["fork_server"])


def _start_server() -> None:
    """Start the server, if it is not running. Python 3.11 does not pass it `sys.path`, where the preloads are."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


class ForkedChild:
    """A running child process.

    Attributes:
        process: The process.
        stdout: A text file, connected to the standard output of the child.
    """

    def __init__(self, function, arguments: tuple, options: dict):
        _start_server()
        child_stdin, self._stdin = _context.Pipe(duplex=False)
        self._stdout, child_stdout = _context.Pipe(duplex=False)
        with tempfile.NamedTemporaryFile(delete=False) as file:
            self._stderr = Path(file.name)
        streams = (child_stdin, child_stdout, self._stderr)
        self.process = _context.Process(target=_run, args=(streams, function, arguments, options))
        self.process.start()
        child_stdin.close()
        child_stdout.close()
        self.stdout = os.fdopen(os.dup(self._stdout.fileno()))

    def send(self, text: str) -> None:
        """Write to the standard input of the child."""
        os.write(self._stdin.fileno(), text.encode())

    def signal(self, number: int) -> None:
        """Send the child a signal."""
        os.kill(self.process.pid, number)

    def finish(self, timeout_seconds=TIMEOUT_SECONDS) -> tuple[int, str, str]:
        """Wait for the child to end, and return its exit code and the rest of its standard output and error."""
        self.process.join(timeout_seconds)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        return self.process.exitcode, self.stdout.read(), self._stderr.read_text()

    def close(self) -> None:
        """Kill the child if it is running, and close the pipes."""
        self.process.kill()
        self.process.join()
        self.process.close()
        for stream in (self.stdout, self._stdin, self._stdout):
            stream.close()
        self._stderr.unlink()


@contextlib.contextmanager
def forked_child(function, *arguments, **options) -> Iterator[ForkedChild]:
    """Run a function in a child process, which is killed at the end of the block.

    Args:
        function: A function of a module that the child can import.
        *arguments, **options: Its arguments.
    """
    child = ForkedChild(function, arguments, options)
    try:
        yield child
    finally:
        child.close()


def _run(streams, function, arguments, options) -> None:
    stdin, stdout, stderr = streams
    os.dup2(stdin.fileno(), 0)
    os.dup2(stdout.fileno(), 1)
    os.dup2(os.open(stderr, os.O_WRONLY), 2)
    stdin.close()
    stdout.close()  # standard output ends with the process
    sys.stdin = os.fdopen(0, closefd=False)  # multiprocessing had replaced it
    function(*arguments, **options)
