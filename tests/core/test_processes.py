"""`ProcessPool`: workers that are killed are started again, and none outlives the process that started them."""

import contextlib
import os
import signal
import sys
import time
from concurrent.futures import BrokenExecutor
from subprocess import DEVNULL, PIPE, Popen

import pytest

from keras_oocore.core import processes
from keras_oocore.core.processes import ProcessPool
from keras_oocore.core.tasks import on_executor

TIMEOUT_SECONDS = 500


def killed_once(path):
    """Kill this process, unless the file exists, which is created."""
    try:
        with open(path, "x"):
            os.kill(os.getpid(), signal.SIGKILL)
    except FileExistsError:
        return os.path.basename(path)


def test_calls_that_a_killed_worker_lost_are_made_again(tmp_path):
    results = []
    with ProcessPool(2) as executor:
        on_executor(executor, killed_once, [(tmp_path / str(number),) for number in range(3)], results.append, "")
    assert sorted(results) == ["0", "1", "2"]


def test_workers_that_are_killed_again_and_again_are_an_error(monkeypatch):
    monkeypatch.setattr(processes, "MOST_RESTARTS", 1)
    with ProcessPool(1) as executor:
        for _ in range(2):
            with pytest.raises(BrokenExecutor):
                executor.submit(os._exit, 1).result()
        with pytest.raises(BrokenExecutor):
            executor.submit(os.getpid)


def test_an_error_ends_the_workers_at_once(capfd):
    with contextlib.suppress(KeyboardInterrupt), ProcessPool(1) as executor:
        worker = executor.submit(os.getpid).result()
        for call in [executor.submit(time.sleep, 10_000) for _ in range(5)]:
            call.cancel()  # not the first one, which runs
        raise KeyboardInterrupt
    wait_for_end(worker)
    assert "Traceback" not in capfd.readouterr().err


def test_workers_end_with_a_process_that_is_killed():
    code = """
import os, time
from keras_oocore.core.processes import ProcessPool
if __name__ == "__main__":
    pool = ProcessPool(1)
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(1000)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = Popen([sys.executable, "-c", code], env=environment, stdout=PIPE, stderr=DEVNULL, text=True)
    try:
        worker = int(parent.stdout.readline())
    finally:
        parent.kill()
        parent.wait(TIMEOUT_SECONDS)
        parent.stdout.close()
    wait_for_end(worker)


def wait_for_end(process):
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while is_running(process):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
