"""The scripts of examples/: they are a few lines longer than the one for one process, and train the same model."""

import ast
import difflib
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import hidden_packages
import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
TRAINING = ("torchrun", "jax_hosts", "ray_train", "dask_train")
TIMEOUT = 400  # seconds for all processes of a training, on a busy machine: a mistake hangs
ENGINES = {"ray", "dask", "distributed"}


def lines_of(name):
    """The lines of a script below its docstring, without empty ones."""
    text = (EXAMPLES / f"{name}.py").read_text()
    return [line for line in text.split('"""\n', 1)[1].splitlines() if line]


@pytest.mark.parametrize("name", TRAINING)
def test_a_script_has_ten_lines_at_most_that_the_one_for_one_process_has_not(name):
    difference = difflib.ndiff(lines_of("one_machine"), lines_of(name))
    assert 0 < len([line for line in difference if line.startswith("+ ")]) <= 10


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_script_is_valid_and_says_how_to_start_it(path):
    tree = ast.parse(path.read_text())
    commands = ast.get_docstring(tree).split("\n\n", 1)[1]
    assert f"examples/{path.name}" in commands


def test_the_package_imports_no_engine():
    for path in (ROOT / "keras_oocore").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not ENGINES & {name.partition(".")[0] for name in names}, path


@pytest.fixture(scope="module")
def start():
    """A function that starts a script of examples/, or a module of Python, in a process."""
    started = []

    def start(*command, backend, folder):
        trains = backend != "numpy"
        environment = {**hidden_packages.environment(backend, optional=trains), "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment["PYTHONPATH"]])
        started.append(
            subprocess.Popen(
                [sys.executable, *map(str, command)],
                env=environment,
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()  # torchrun then ends its own processes, and those of JAX do not end
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def losses(*processes):
    """The losses of the validation images, epoch by epoch, that each process prints."""
    outputs = [process.communicate(timeout=TIMEOUT)[0] for process in processes]
    for process, output in zip(processes, outputs):
        assert process.returncode == 0, output
    return [[float(loss) for loss in re.findall(r"val_loss: ([\d.]+)", output)] for output in outputs]


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def folder(start, tmp_path_factory):
    """A function that returns a new folder with the data."""
    data = tmp_path_factory.mktemp("data")
    assert start(EXAMPLES / "make_digits.py", backend="numpy", folder=data).wait(TIMEOUT) == 0

    def folder():
        new = tmp_path_factory.mktemp("training")
        (new / "digits").symlink_to(data / "digits")
        return new

    return folder


def test_two_processes_of_torchrun_train_as_one(start, folder):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2)

    alone, both = losses(
        start(EXAMPLES / "one_machine.py", backend="torch", folder=folder()),
        start(*launcher, EXAMPLES / "torchrun.py", backend="torch", folder=folder()),
    )

    assert len(alone) == 5
    assert alone[-1] < 0.5 * alone[0]
    assert both == pytest.approx(alone, abs=2e-4)


@pytest.mark.soak
def test_two_processes_of_jax_train_as_one(start, folder):
    job, shared = (f"127.0.0.1:{free_port()}", 2), folder()

    alone, first, second = losses(
        start(EXAMPLES / "one_machine.py", backend="jax", folder=folder()),
        *(start(EXAMPLES / "jax_hosts.py", *job, rank, backend="jax", folder=shared) for rank in range(2)),
    )

    assert first == pytest.approx(alone, abs=2e-4)
    assert second == []  # process 0 prints
