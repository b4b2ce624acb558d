"""The report of a table as plain JSON, with all rows that were found."""

import math
from dataclasses import asdict
from typing import Any


def as_plain(report: Any) -> dict[str, Any]:
    """Return a `TableReport` as plain JSON.

    Args:
        report: The report.
    """
    return {
        "data": report.data,
        "against": report.against,
        "targets": [*report.targets],
        "num_rows": report.num_rows,
        "num_rows_against": report.num_rows_against,
        "found": report.found,
        "compared": [*report.compared],
        "compared_against": [*report.compared_against],
        "num_bad": report.num_bad,
        "bad": {str(row): reason for row, reason in report.bad.items()},
        "duplicates": [[*rows] for rows in report.duplicates],
        "conflicts": [[*rows] for rows in report.conflicts],
        "leaks": [[*pair] for pair in report.leaks],
        "by_chance": [*report.by_chance],
        **{name: dict(getattr(report, name)) for name in ("constant", "ids", "target_leaks", "missing")},
        **{name: dict(getattr(report, name)) for name in ("drift", "unseen", "differing")},
        "columns": {name: _finite(asdict(column)) for name, column in report.columns.items()},
        "not_checked": [*report.not_checked],
        "seconds": report.seconds,
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Return values with strings for what JSON has no number for."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
