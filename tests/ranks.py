"""Several processes of one training: forked from one child that has imported everything, with a hard limit.

On torch, the child itself is forked from the server of forked_child.py, which has imported torch.

A mistake in a training of several processes does not fail: it hangs, and survives SIGTERM.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import hidden_packages
import training_child
from forked_child import forked_child

SECONDS = 240  # for all processes together, on a busy machine

FORK = """
import faulthandler, json, os, signal, socket, sys, time, traceback

GRACE = 60  # seconds that the others have once a process failed

def held_ports(number):
    # Sockets that do not listen, so that a process of the group may, but no other program is given these ports.
    held = [socket.socket() for _ in range(number)]
    for one in held:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
    return held

def group(main, world, folder, seconds, options={}):
    # Run `main` in processes, end all once one is killed, and return their exit codes: minus the number of a signal.
    os.makedirs(folder, exist_ok=True)
    global PORTS  # one for each process, if `main` needs more than the first
    held = held_ports(world)
    PORTS, pids = [one.getsockname()[1] for one in held], []
    for rank in range(world):
        pid = os.fork()
        if pid == 0:
            code = 1
            faulthandler.dump_traceback_later(0.9 * seconds)  # where it hangs
            try:
                result = main(rank, world, PORTS[0], **options)
                with open(f"{folder}/{rank}.json", "w") as file:
                    json.dump(result, file)
                code = 0
            except SystemExit as error:
                code = error.code
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush(), sys.stderr.flush()
                os._exit(code)
        pids.append(pid)
    end, codes = time.monotonic() + seconds, {}
    while len(codes) < world and -signal.SIGKILL not in codes.values() and time.monotonic() < end:
        for pid in {*pids} - codes.keys():
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                codes[pid] = os.waitstatus_to_exitcode(status)
                if codes[pid] == 1:  # it printed its error, for which the others may wait in vain
                    end = min(end, time.monotonic() + GRACE)
        time.sleep(0.01)
    for one in held:
        one.close()
    left = {*pids} - codes.keys()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if left and -signal.SIGKILL not in codes.values():
        failed = [rank for rank, pid in enumerate(pids) if codes.get(pid) == 1]
        sys.exit(f"{len(left)} of {world} processes hang" + f", since {failed} failed" * bool(failed))
    return [codes.get(pid) for pid in pids]

def run(main, world, folder, seconds):
    sys.exit(any(group(main, world, folder, seconds)))

def run_attempts(main, attempts, folder, seconds):
    for number, (world, options) in enumerate(attempts):
        codes = group(main, world, f"{folder}/{number}", seconds, options)
        with open(f"{folder}/{number}/codes", "w") as file:
            json.dump(codes, file)
"""


def run_ranks(code, world, folder, backend="torch"):
    """Run `main(rank, world, port)` of `code` in `world` processes.

    Returns:
        The list of what `main` returned, as JSON.
    """
    output = run_script(f"{code}\nrun(main, {world}, {str(folder)!r}, {SECONDS})\n", backend)
    return results(folder, world, output)


def run_attempts(code, attempts, folder, backend):
    """Run `main(rank, world, port, **options)` of `code` in one group of processes after another.

    Args:
        code: Python code.
        attempts: List of the number of processes and the `options` of each group. If a process is killed, the others
            of its group are, too, as by any program that starts several processes.
        folder: Receives the results.
        backend: The backend of Keras.

    Returns:
        What was printed. `codes` and `results` of `folder / str(number)` have the rest.
    """
    return run_script(f"{code}\nrun_attempts(main, {attempts!r}, {str(folder)!r}, {SECONDS})\n", backend, len(attempts))


def run_script(code, backend, num_groups=1):
    """Run code after `FORK`, and return what it printed."""
    seconds = (1 + num_groups) * SECONDS
    if backend == "torch" == os.environ.get("KERAS_BACKEND"):
        with forked_child(run_code, f"{FORK}\n{code}") as child:
            exitcode, _, printed = child.finish(seconds)
        assert exitcode == 0, printed
        return printed
    environment = {**hidden_packages.environment(backend), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", f"{FORK}\n{code}"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def run_code(code):
    """Run code in a child that has imported Keras, with one thread. Standard output goes where the errors go."""
    os.dup2(2, 1)
    next(training_child.one_thread(), None)
    exec(compile(code, "<ranks>", "exec"), {"__name__": "__main__"})


def codes(folder):
    """Return the exit codes of the processes of a group, `None` for those that were ended because another one was."""
    return json.loads((Path(folder) / "codes").read_text())


def results(folder, world, output=""):
    """Return what `main` returned in each process."""
    paths = [Path(folder) / f"{rank}.json" for rank in range(world)]
    assert all(path.exists() for path in paths), output
    return [json.loads(path.read_text()) for path in paths]
