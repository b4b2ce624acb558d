"""Run contestants in turn in one process and print the median of each, with its ratio to ours."""

import gc
import statistics
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

OURS = "keras_oocore"


def measure(contestants: dict[str, Callable[[], int]], runs: int, unit: str) -> dict[str, list[float]]:
    """Items a second of each contestant in each run, A B C, A B C, ..., after one round that is not counted.

    Args:
        contestants: name → function that does the work once and returns how many items it handled.
        runs: counted rounds.
        unit: what an item is, for the table.
    """
    rates = {name: [] for name in contestants}
    for run in range(runs + 1):
        for name, work in contestants.items():
            gc.collect()
            started = time.perf_counter()
            items = work()
            if run:
                rates[name].append(items / (time.perf_counter() - started))
    report(rates, unit)
    return rates


def report(rates: dict[str, list[float]], unit: str) -> None:
    """Print medians, their range, and ours divided by each; the ratio is taken round by round."""
    table = Table(title=f"{unit}/s, median of {len(next(iter(rates.values())))} runs in turn")
    for column in ("", "median", "min to max", "keras_oocore is"):
        table.add_column(column, justify="left" if not column else "right")
    for name, values in sorted(rates.items(), key=lambda item: -statistics.median(item[1])):
        ratio = statistics.median(ours / value for ours, value in zip(rates[OURS], values)) if OURS in rates else 0
        table.add_row(
            name,
            f"{statistics.median(values):,.0f}",
            f"{min(values):,.0f} to {max(values):,.0f}",
            "" if name == OURS else f"{ratio:.2f} x",
        )
    Console().print(table)
