"""Prints which tests ran on which backend, from the record that tests/conftest.py wrote: the end of `make test`."""

import json
import sys

COLUMNS = ("passed", "skipped", "failed", "error")


def table(runs):
    """A line per run of pytest, and a line with the sums.

    >>> print(table([{"backend": "jax", "tests": "backend", "passed": 7, "skipped": 1, "failed": 0, "error": 0}]))
    backend       passed  skipped   failed    error  tests
    jax                7        1        0        0  backend
    together           7        1        0        0
    """
    sums = {"backend": "together", "tests": "", **{name: sum(run[name] for run in runs) for name in COLUMNS}}
    lines = ["backend     " + "".join(f"{name:>9}" for name in COLUMNS) + "  tests"]
    for run in [*runs, sums]:
        lines.append(f"{run['backend']:<12}" + "".join(f"{run[name]:>9,}" for name in COLUMNS) + f"  {run['tests']}")
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        print(table([json.loads(line) for line in file]))
