"""BatchLoader in processes: forked and spawned children, Ctrl-C, and exit while threads work."""

import multiprocessing
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from loader_jobs import Gate, Rows

from keras_oocore.batches.loader import BatchLoader

pytestmark = pytest.mark.timeout(300)


def read_in_child(loader, pipe):
    pipe.send([loader.get(ticket) for ticket in (5, 6, 0, 1)])


@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_child_process_reads_while_the_threads_of_its_parent_work(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    gate = Gate(1) if method == "fork" else Rows
    loader = BatchLoader(gate, num_workers=2, max_ahead=3)
    assert loader.get(0) == 0  # now its threads are working
    if method == "fork":
        assert gate.arrived[1].wait(30)
        gate.opened[1].set()
    context = multiprocessing.get_context(method)
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=read_in_child, args=(loader, sender), daemon=True)
    child.start()
    sender.close()
    assert receiver.poll(250), "the child process hangs"
    assert receiver.recv() == [5, 6, 0, 1]
    child.join(30)

    assert child.exitcode == 0
    assert [loader.get(ticket) for ticket in (1, 2)] == [1, 2]


def all_threads_sleep(pid):
    try:
        stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:  # a thread has ended meanwhile
        return False
    return all(stat.rpartition(")")[2].split()[0] == "S" for stat in stats)


def run_script(script, interrupt_at=None):
    """Exit code and stderr of a child process. Ctrl-C is sent when it prints `interrupt_at`."""
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        if interrupt_at is not None:
            while (line := child.stdout.readline().strip()) != interrupt_at:
                assert line or child.poll() is None, child.stderr.read()
            while not all_threads_sleep(child.pid):  # CPython misses Ctrl-C if it comes just before a wait
                assert child.poll() is None, child.stderr.read()
            child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=250)
    finally:
        child.kill()
    return child.returncode, stderr


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads from /proc when to send Ctrl-C")
@pytest.mark.parametrize("ask", ["get", "load"])
def test_ctrl_c_interrupts_waiting_at_once(ask):
    """Ctrl-C comes while the batch is being made. Its gate opens only when the process exits."""
    code, stderr = run_script(
        f"""
        import atexit, os, signal, threading
        from keras_oocore.batches.loader import BatchLoader

        signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with SIGINT ignored
        opened = threading.Event()

        class Job:
            num_rows, rows_per_task = 4, 1
            def __init__(self, ticket): pass
            def fill(self, start, stop):
                os.write(1, b"waiting\\n")
                opened.wait()
            def finish(self): pass

        atexit.register(opened.set)  # runs before the loader is closed
        BatchLoader(Job, num_workers=2, max_ahead=2).{ask}(0)
        """,
        interrupt_at="waiting",
    )

    assert code == -signal.SIGINT
    assert stderr.rstrip().endswith("KeyboardInterrupt")
    assert stderr.count("Traceback") == 1


BUSY = """
    import atexit, sys, threading

    def print_remaining_threads():
        remaining = [thread.name for thread in threading.enumerate() if "loader" in thread.name]
        print(*remaining, sep="", end="", file=sys.stderr)

    atexit.register(print_remaining_threads)  # first, so it runs last

    import numpy as np
    from keras_oocore.batches.loader import BatchLoader

    class Job:
        num_rows, rows_per_task = 64, 1
        def __init__(self, ticket): self.ticket = ticket
        def fill(self, start, stop): np.sort(np.random.default_rng(start).random(20_000))  # C code, without the GIL
        def finish(self): return self.ticket

    loader = BatchLoader(Job, num_workers=4, max_ahead=8)
"""


@pytest.mark.parametrize(
    "ending",
    [
        "loader.get(0)",
        "loader.get(0); del loader",
        "loader.get(0); loader.abandon(); del loader",  # as if a Sequence was deleted while its threads work
        "loader.get(0); sys.exit(0)",
        "loader.close(); loader.get(3)",
        "atexit.register(loader.get, 5); loader.get(0)",
        """
    from keras_oocore.batches import loader as batch_loader
    atexit.unregister(batch_loader.close_all)
    atexit.register(lambda: print(loader.get(1)))  # registered again below, so it runs after this
    atexit.register(batch_loader.close_all)
    loader.get(0)
    """,
    ],
)
def test_interpreter_exits_cleanly_while_threads_work(ending):
    assert run_script(BUSY + "\n    " + ending.strip()) == (0, "")


def test_interpreter_exits_while_another_thread_reads():
    code, stderr = run_script(
        BUSY
        + """
    started = threading.Event()

    def read():
        for ticket in range(10**9):
            loader.get(ticket)
            started.set()

    threading.Thread(target=read, daemon=True).start()
    started.wait()
    """
    )
    assert (code, stderr) == (0, "")
