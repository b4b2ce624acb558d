"""How many rows of a table would be equal by chance, if its columns were independent.

A table of few columns with few values has equal rows that are not copies.
"""

from collections.abc import Mapping

import numpy as np

from keras_oocore.checks.tables.measured import MeasuredColumn

MOST_BY_CHANCE = 0.5  # share of the pairs of equal rows; from here on, they may be no copies


def pairs_by_chance(columns: Mapping[str, MeasuredColumn], num_rows: int) -> float:
    """Return how many pairs of equal rows to expect within a table.

    Args:
        columns: The columns that are compared.
        num_rows: Number of rows.
    """
    share = 1.0
    for column in columns.values():
        _, counts = np.unique(column.sample, return_counts=True)
        total = counts.sum()
        share *= float((counts * (counts - 1.0)).sum() / max(1.0, total * (total - 1.0)))
    return share * num_rows * (num_rows - 1) / 2


def shared_by_chance(
    columns: Mapping[str, MeasuredColumn], others: Mapping[str, MeasuredColumn], num_rows: int, num_others: int
) -> float:
    """Return how many pairs of a row and an equal row of another table to expect.

    Args:
        columns: The columns that are compared.
        others: The same columns of the other table.
        num_rows: Number of rows.
        num_others: Number of rows of the other table.
    """
    share = 1.0
    for name, column in columns.items():
        mine, theirs = (np.unique(one.sample, return_counts=True) for one in (column, others[name]))
        _, of_mine, of_theirs = np.intersect1d(mine[0], theirs[0], assume_unique=True, return_indices=True)
        pairs = float((mine[1][of_mine] * theirs[1][of_theirs].astype(float)).sum())
        share *= pairs / max(1.0, float(mine[1].sum()) * float(theirs[1].sum()))
    return share * num_rows * num_others


def is_by_chance(num_pairs: int, expected: float) -> bool:
    """Return whether so many pairs of equal rows may be no copies."""
    return num_pairs > 0 and expected >= MOST_BY_CHANCE * num_pairs
