"""Run contestants in turn in one process and print the median of each, with its ratio to one of them."""

import gc
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

OURS = "keras_oocore"
PAUSE_SECONDS = 1.0  # before each turn, in which threads of the last contestant end


def measure(
    contestants: dict[str, Callable[[], int]],
    runs: int,
    unit: str,
    reference: str = OURS,
    before: Callable[[], None] | None = None,
    save: str | None = None,
) -> dict[str, list[float]]:
    """Items per second of each contestant in each run, A B C, A B C, ..., after one round that is not counted.

    Args:
        contestants: name → function that does the work once and returns how many items it handled.
        runs: counted rounds.
        unit: what an item is, for the table.
        reference: the contestant that the others are compared with.
        before: called before each contestant's turn, outside the time that counts.
        save: a JSON file for the rates of all runs, from which `benchmarks/chart.py` draws.
    """
    rates = {name: [] for name in contestants}
    for run in range(runs + 1):
        for name, work in contestants.items():
            gc.collect()
            if before:
                before()
            time.sleep(PAUSE_SECONDS)
            started = time.perf_counter()
            items = work()
            if run:
                rates[name].append(items / (time.perf_counter() - started))
    report(rates, unit, reference)
    if save:
        Path(save).write_text(
            json.dumps({"unit": f"{unit}/s", "reference": reference, "rates": rates}, indent=1) + "\n"
        )
    return rates


def report(rates: dict[str, list[float]], unit: str, reference: str = OURS) -> None:
    """Print medians, their range, and the reference divided by each; the ratio is taken round by round."""
    table = Table(title=f"{unit}/s, median of {len(next(iter(rates.values())))} runs in turn")
    for column in ("", "median", "min to max", f"{reference} is"):
        table.add_column(column, justify="left" if not column else "right")
    for name, values in sorted(rates.items(), key=lambda item: -statistics.median(item[1])):
        ratios = [compared / value for compared, value in zip(rates.get(reference, ()), values)]
        table.add_row(
            name,
            f"{statistics.median(values):,.0f}",
            f"{min(values):,.0f} to {max(values):,.0f}",
            f"{statistics.median(ratios):.2f} x" if ratios and name != reference else "",
        )
    Console().print(table)
