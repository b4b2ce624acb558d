"""Checks a table: one pass over its rows, one over the rows it is compared with, and what both tell."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_oocore.checks.tables import useless
from keras_oocore.checks.tables.chance import is_by_chance, pairs_by_chance, shared_by_chance
from keras_oocore.checks.tables.chunk import SHARED
from keras_oocore.checks.tables.drift import (
    drift_of,
    mean_difference,
    missing_drift,
    stability_index,
    unseen_categories,
)
from keras_oocore.checks.tables.equal_rows import RowGroups, RowLeaks, equal_rows, no_groups, no_leaks, shared_rows
from keras_oocore.checks.tables.examples import examples_of
from keras_oocore.checks.tables.inputs import TableInput, open_table, with_equal_floats
from keras_oocore.checks.tables.measured import (
    FEATURES,
    TARGET,
    MeasuredColumn,
    MeasuredTable,
    shared_strings,
)
from keras_oocore.checks.tables.notes import not_checked
from keras_oocore.checks.tables.report import CheckedColumn, TableReport
from keras_oocore.checks.tables.target_leaks import is_class, tells
from keras_oocore.checks.tables.verified import MOST_SHOWN, read_rows, shown_rows, verified_groups, verified_leaks
from keras_oocore.core.text import counted
from keras_oocore.csv.dates import ISO
from keras_oocore.tables.feature_checks import as_names


def check_table(data: Any, against: Any, target: Any, columns: Sequence[str] | None, workers: int) -> TableReport:
    """Return what is wrong with a table. See `ko.check`.

    Args:
        data: The table.
        against: Another one, or `None`.
        target: Name of the target, a list of names, or `None`.
        columns: Names of the columns that are equal in copies, or `None` for all but the targets and ids.
        workers: Number of threads.

    Raises:
        OptionError: If a column does not exist.
        DataError: If a file is missing, or cannot be read.
    """
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        mine = open_table(data, target, workers, stack)
        theirs = None if against is None else open_table(against, None, workers, stack, like=mine)
        compared = _compared(mine, columns)
        shared = [] if theirs is None else [name for name in compared if _same_kind(mine, theirs, name)]
        if theirs is not None:
            mine, theirs = with_equal_floats(mine, theirs, shared)
        has_own = shared != compared or bool(mine.rounded)  # hashes that are not those of all features
        kinds = {FEATURES: compared, TARGET: [*mine.targets], SHARED: shared if has_own else []}
        measured = MeasuredTable(mine, {kind: names for kind, names in kinds.items() if names}, 0, stack)
        measured.run(workers, "checking", {})
        other = None
        if theirs is not None:
            other = MeasuredTable(theirs, {SHARED: shared} if shared else {}, 1, stack)
            other.run(workers, "checking against", shared_strings(measured))
        by_target = columns is None or bool({*columns} & {*mine.targets})
        duplicates, conflicts = _equal(measured, by_target)
        leaks = _leaks(measured, other, shared)
        named = [*shown_rows(duplicates), *shown_rows(conflicts), *leaks.rows[:MOST_SHOWN].tolist()]
        cells = read_rows(mine, None, named, workers)
        duplicates = verified_groups(duplicates, mine, [*compared, *(mine.targets if by_target else ())], cells)
        conflicts = verified_groups(conflicts, mine, compared, cells)
        if theirs is not None and leaks:
            there = read_rows(theirs, shared, leaks.others[:MOST_SHOWN].tolist(), workers)
            leaks = verified_leaks(leaks, shared, cells, there, mine.rounded)
        examples = examples_of(mine, duplicates, conflicts, leaks, cells)
    by_chance = _by_chance(measured, other, compared, shared, duplicates, leaks)
    for equal in (duplicates, conflicts, leaks):
        equal.num_rows_of_table = mine.table.num_rows
    found = _of_columns(measured, bool(duplicates) and "duplicates" not in by_chance)
    return TableReport(
        data=mine.name,
        against=None if theirs is None else theirs.name,
        targets=[*mine.targets],
        num_rows=measured.num_rows,
        num_rows_against=None if other is None else other.num_rows,
        columns={name: _checked(measured, other, name) for name in measured.columns},
        compared=[*compared, *(mine.targets if by_target else ())],
        compared_against=shared,
        bad=measured.bad,
        num_bad=measured.num_bad,
        duplicates=duplicates,
        conflicts=conflicts,
        leaks=leaks,
        by_chance=by_chance,
        **found,
        **_of_both(measured, other, found["ids"]),
        examples=examples,
        not_checked=not_checked(measured, other, compared, shared, by_chance, columns is None),
        seconds=time.perf_counter() - started,
    )


def _compared(data: TableInput, columns: Sequence[str] | None) -> list[str]:
    """Return the names of the columns that are equal in copies, without targets."""
    if columns is None:
        return [column.name for column in data.compared]
    names = [data.table.column(name, "columns").name for name in as_names(columns, "columns")]
    known = {column.name for column in data.columns}
    data_names = [name for name in names if name in known]
    return [name for name in data_names if name not in data.targets] or data_names


def _same_kind(mine: TableInput, theirs: TableInput, name: str) -> bool:
    """Return whether both tables have a column, of one kind."""
    kinds = [{column.name: (column.kind, column.format) for column in data.columns} for data in (mine, theirs)]
    return name in kinds[1] and kinds[0][name] == kinds[1][name]


def _equal(measured: MeasuredTable, by_target: bool) -> tuple[RowGroups, RowGroups]:
    """Return groups of equal rows, and of rows that are equal but for their classes."""
    if FEATURES not in measured.hashes:
        return no_groups(), no_groups()
    targets = measured.hashes.get(TARGET)
    duplicates, conflicts = equal_rows(measured.hashes[FEATURES], targets)
    if not by_target:
        duplicates, _ = equal_rows(measured.hashes[FEATURES], None)
    has_classes = all(is_class(measured.columns[name]) for name in measured.data.targets)
    return duplicates, conflicts if has_classes else no_groups()


def _leaks(measured: MeasuredTable, other: MeasuredTable | None, shared: list[str]) -> RowLeaks:
    if other is None or not shared:
        return no_leaks()
    return shared_rows(measured.hashes.get(SHARED, measured.hashes[FEATURES]), other.hashes[SHARED])


def _by_chance(
    measured: MeasuredTable,
    other: MeasuredTable | None,
    compared: list[str],
    shared: list[str],
    duplicates: RowGroups,
    leaks: RowLeaks,
) -> tuple[str, ...]:
    """Return which of the equal rows may be equal by chance."""
    found = []
    if duplicates:
        expected = pairs_by_chance({name: measured.columns[name] for name in compared}, measured.num_rows)
        found += ["duplicates"] * is_by_chance(duplicates.num_pairs, expected)
    if leaks:
        mine, theirs = ({name: table.columns[name] for name in shared} for table in (measured, other))
        expected = shared_by_chance(mine, theirs, measured.num_rows, other.num_rows)
        found += ["leaks"] * is_by_chance(leaks.num_pairs, expected)
    return tuple(found)


def _of_columns(measured: MeasuredTable, has_copies: bool) -> dict[str, dict[str, str]]:
    """Return what was found in single columns, and in pairs of a feature and a target."""
    rows = measured.distinct_rows() if has_copies else slice(None)  # the name of a copied row tells its target
    columns, targets = measured.columns, measured.data.targets
    features = {name: column for name, column in columns.items() if name not in targets}
    suspects, num_rows = measured.data.table.suspects, measured.num_rows
    told = {name: _told(column, [columns[target] for target in targets], rows) for name, column in features.items()}
    return {
        "constant": _said({name: useless.constant(column, num_rows) for name, column in columns.items()}),
        "ids": _said(
            {
                name: useless.unique(column, num_rows, suspects.get(name, ""), measured.is_complete)
                for name, column in features.items()
            }
        ),
        "target_leaks": _said(told),
        "missing": {
            name: f"{counted(column.missing, 'cell')} of {num_rows:,} ({column.missing / num_rows:.2%})"
            for name, column in columns.items()
            if 0 < column.missing < num_rows
        },
    }


def _told(feature: MeasuredColumn, targets: Sequence[MeasuredColumn], rows: np.ndarray | slice) -> str:
    """Return which targets a feature tells, as a phrase, or `""`."""
    phrases = {target.column.name: tells(feature, target, rows) for target in targets}
    if len(targets) == 1:
        return next(iter(phrases.values()))
    return ", ".join(f"{name!r}: {phrase}" for name, phrase in phrases.items() if phrase)


def _said(phrases: Mapping[str, str]) -> dict[str, str]:
    return {name: phrase for name, phrase in phrases.items() if phrase}


def _of_both(measured: MeasuredTable, other: MeasuredTable | None, ids: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return how the columns of two tables differ."""
    if other is None:
        return {"drift": {}, "unseen": {}, "differing": {}}
    drift, unseen = {}, {}
    for name, mine, theirs in _pairs(measured, other):
        if name in ids:
            continue
        values = "" if mine.column.kind == "date" else drift_of(mine, theirs)
        gaps = missing_drift(mine.missing, measured.num_rows, theirs.missing, other.num_rows)
        drift[name] = ", ".join(filter(None, (values, gaps)))
        unseen[name] = unseen_categories(mine, theirs, other.num_rows)
    return {"drift": _said(drift), "unseen": _said(unseen), "differing": _differing(measured, other)}


def _pairs(measured: MeasuredTable, other: MeasuredTable) -> list[tuple[str, MeasuredColumn, MeasuredColumn]]:
    return [
        (name, column, other.columns[name])
        for name, column in measured.columns.items()
        if name in other.columns and _same_kind(measured.data, other.data, name)
    ]


def _differing(measured: MeasuredTable, other: MeasuredTable) -> dict[str, str]:
    found, names = {}, (measured.data.name, other.data.name)
    here, there = ("`data`", "`against`") if names[0] == names[1] else names
    for name, column in measured.columns.items():
        if name not in other.columns:
            if name not in measured.data.targets:
                found[name] = f"{there} has no such column"
            continue
        theirs = other.columns[name]
        empty = column.missing == measured.num_rows or theirs.missing == other.num_rows
        if not empty and not _same_kind(measured.data, other.data, name):
            kinds = [_kind(one) for one in (column, theirs)]
            found[name] = f"{kinds[0]} in {here}, and {kinds[1]} in {there}"
    others = [name for name in other.columns if name not in measured.columns]
    return found | dict.fromkeys(others, f"{here} has no such column")


def _kind(column: MeasuredColumn) -> str:
    if column.column.kind == "date":
        return "dates" if column.column.format == ISO else f"dates such as {column.column.format}"
    return {"float32": "numbers", "bool": "yes or no"}.get(column.column.kind, "strings")


def _checked(measured: MeasuredTable, other: MeasuredTable | None, name: str) -> CheckedColumn:
    """Return the figures of a column."""
    mine = measured.columns[name]
    theirs = None if other is None else other.columns.get(name)
    both = theirs is not None and _same_kind(measured.data, other.data, name)
    has_numbers = mine.column.kind != "string" and mine.moments.count > 0
    has_index = both and mine.column.kind != "date"
    knows = has_index and mine.column.kind == "string" and mine.distinct.is_exact
    return CheckedColumn(
        name=name,
        kind=mine.column.kind,
        is_target=name in measured.data.targets,
        missing=mine.missing,
        distinct=min(mine.distinct.count, measured.num_rows - mine.missing),  # it may be estimated
        is_exact=mine.distinct.is_exact,
        mean=float(mine.moments.mean) if has_numbers else None,
        std=float(np.sqrt(mine.moments.variance)) if has_numbers else None,
        smallest=mine.smallest if has_numbers else None,
        largest=mine.largest if has_numbers else None,
        kind_against=None if theirs is None else theirs.column.kind,
        missing_against=None if theirs is None else theirs.missing,
        mean_against=float(theirs.moments.mean) if both and theirs.moments.count else None,
        mean_difference=mean_difference(mine, theirs) if has_index and mine.column.kind != "string" else None,
        stability_index=stability_index(mine, theirs)[0] if has_index else None,
        unseen=dict(theirs.unseen) if knows else None,
    )
