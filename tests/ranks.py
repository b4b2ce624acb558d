"""Several processes of one training: forked from one child that has imported everything, with a hard limit.

A mistake in a training of several processes does not fail: it hangs, and survives SIGTERM.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

SECONDS = 240  # for all processes together, on a busy machine

FORK = """
import json, os, signal, socket, sys, time, traceback

def free_ports(number):
    servers = [socket.socket() for _ in range(number)]
    for server in servers:
        server.bind(("127.0.0.1", 0))
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports

def run(main, world, folder, seconds):
    global PORTS  # one for each process, if `main` needs more than the first
    PORTS, pids = free_ports(world), []
    for rank in range(world):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                result = main(rank, world, PORTS[0])
                with open(f"{folder}/{rank}.json", "w") as file:
                    json.dump(result, file)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush(), sys.stderr.flush()
                os._exit(code)
        pids.append(pid)
    end, left = time.monotonic() + seconds, {*pids}
    while left and time.monotonic() < end:
        left -= {pid for pid in left if os.waitpid(pid, os.WNOHANG)[0]}
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if left:
        sys.exit(f"{len(left)} of {world} processes hang")
"""


def run_ranks(code, world, folder, backend="torch"):
    """Run `main(rank, world, port)` of `code` in `world` processes.

    Returns:
        The list of what `main` returned, as JSON.
    """
    script = f"{FORK}\n{code}\nrun(main, {world}, {str(folder)!r}, {SECONDS})\n"
    environment = {**os.environ, "KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=2 * SECONDS,
    )
    paths = [Path(folder) / f"{rank}.json" for rank in range(world)]
    assert done.returncode == 0, done.stdout
    assert all(path.exists() for path in paths), done.stdout
    return [json.loads(path.read_text()) for path in paths]
