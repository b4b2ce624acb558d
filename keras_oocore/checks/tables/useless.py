"""Columns that say nothing about other rows: one value for all rows, or another one for nearly every row."""

import numpy as np

from keras_oocore.checks.tables.chunk import shown_cell
from keras_oocore.checks.tables.measured import MeasuredColumn
from keras_oocore.tables.csv.suspects import FREE_TEXT, ID_NAME, LISTS, LONG_RUN, MANY_ROWS, NEARLY_ALL

FEWEST_ROWS = 20
ESTIMATED = 0.1  # by which an estimated number of distinct values may be too small


def constant(column: MeasuredColumn, num_rows: int) -> str:
    """Return that a column has one value, as a phrase, or `""`."""
    if num_rows < 2:
        return ""
    if column.missing == num_rows:
        return "all cells are missing"
    if column.missing or column.distinct.count != 1 or not column.distinct.is_exact:
        return ""
    if column.column.kind == "string":
        value = repr(next(iter(column.names.values()), ""))
    else:
        value = shown_cell(column.column, column.smallest if np.isfinite(column.smallest) else float(column.sample[0]))
    return f"all cells are {value}"


def unique(column: MeasuredColumn, num_rows: int, suspicion: str, is_complete: bool) -> str:
    """Return that a column has another value in nearly every row, as ids have, as a phrase, or `""`.

    Numbers that are measured, such as prices and sizes, may all differ, too. So a column of numbers must have integers,
    and the name of an id, consecutive numbers, or no number twice.

    Args:
        column: The column.
        num_rows: Number of rows.
        suspicion: What the first look at the file said about it.
        is_complete: Whether the sample has all rows.
    """
    num_present = num_rows - column.missing
    if num_present < FEWEST_ROWS or column.column.kind not in ("string", "float32") or suspicion == LISTS:
        return ""
    share = min(1.0, column.distinct.count / num_present)
    if share < NEARLY_ALL - (0 if column.distinct.is_exact else ESTIMATED):
        return ""
    about = f"{share:.1%}" if column.distinct.is_exact else f"about {share:.0%}"
    detail = f"{about} of its cells are distinct"
    if column.column.kind == "string":
        return f"free text, {detail}" if suspicion == FREE_TEXT else f"a different string per row: {detail}"
    if not _numbers_rows(column, share, is_complete):
        return ""
    return f"a different number per row: {detail}"


def _numbers_rows(column: MeasuredColumn, share: float, is_complete: bool) -> bool:
    values = column.sample[np.isfinite(column.sample)]
    if not len(values) or not (values == np.floor(values)).all() or values.min() < 0:
        return False
    if ID_NAME.fullmatch(column.column.name):
        return True
    if is_complete and len(values) >= LONG_RUN and np.mean(np.diff(values) == 1) > NEARLY_ALL:
        return True
    all_differ = len(np.unique(values)) == len(values) and share >= 1 - (0 if column.distinct.is_exact else ESTIMATED)
    return all_differ and len(values) >= MANY_ROWS
