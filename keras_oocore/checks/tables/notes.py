"""Says what the check of a table could not find out, and how to find it out."""

from collections.abc import Sequence

from keras_oocore.checks.tables.measured import MeasuredTable
from keras_oocore.checks.tables.target_leaks import FEWEST_ROWS
from keras_oocore.core.text import listed


def not_checked(
    measured: MeasuredTable,
    other: MeasuredTable | None,
    compared: Sequence[str],
    shared: Sequence[str],
    by_chance: Sequence[str],
    are_all: bool,
) -> tuple[str, ...]:
    """Return what could not be checked, in sentences.

    Args:
        measured: The table.
        other: The table it was compared with, or `None`.
        compared: The columns that are equal in copies.
        shared: Those that both tables have.
        by_chance: Which equal rows may be so by chance.
        are_all: Whether the user did not choose the columns.
    """
    data = measured.data
    notes = []
    notes += [why.removeprefix("Not a feature: ") or f"Column {name!r}." for name, why in data.refused.items()]
    left_out = [name for name in data.ids if name not in compared]
    if left_out and are_all:
        notes.append(
            f"Whether copies differ in {listed(left_out)}: rows are compared without columns that number them. To use "
            "these, too, pass columns=[COLUMN, ...]."
        )
    if not data.targets:
        notes.append("Features that tell the target, and equal rows of different classes. Pass target='COLUMN'.")
    elif measured.num_rows < FEWEST_ROWS:
        notes.append(f"Features that tell the target: there are fewer than {FEWEST_ROWS} rows.")
    if by_chance:
        notes.append(
            "Whether the equal rows are copies: the columns have so few values that about as many are equal by chance. "
            "Compare a column that tells samples apart, such as a time, with columns=[COLUMN, ...]."
        )
    if other is not None and not shared:
        notes.append(f"Rows in both tables: {other.data.name} has no column of the same name and kind.")
    if other is not None and shared and len(shared) < len(compared):
        missing = [name for name in compared if name not in shared]
        notes.append(f"Whether rows of both tables differ in {listed(missing)}, which are not the same kind in both.")
    if not measured.is_complete and data.targets:
        num_drawn = len(next(iter(measured.columns.values())).sample)
        notes.append(f"Features that tell the target in all rows: {num_drawn:,} rows were drawn for it.")
    return tuple(notes)
