"""What the report of a table shows in a browser and in a notebook: sections with rows or columns, and all columns."""

import math
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from keras_oocore.checks.sections import Grid, Group, Overview, Section, ShownFile
from keras_oocore.core.text import counted, listed
from keras_oocore.csv.dates import as_moment

MOST_COLUMNS = 200  # in the table of all columns
COPIES, IN_BOTH = "duplicates", "leaks"


def sections_of_table(report: Any, max_groups: int, max_files: int) -> list[Section]:
    """Return what was found, without sections that would be empty.

    Args:
        report: The `TableReport`.
        max_groups: Number of rows, groups and columns per section.
        max_files: Number of rows of a group that are named.
    """
    made = [
        _bad(report, max_groups),
        _target_leaks(report, max_groups),
        _leaks(report, max_groups),
        _conflicts(report, max_groups, max_files),
        _duplicates(report, max_groups, max_files),
        _differing(report, max_groups),
        _drift(report, max_groups),
        _useless(report, max_groups),
        _missing(report, max_groups),
    ]
    return [section for section in made if section.num_groups]


def overview_of_table(report: Any) -> Overview:
    """Return the table of all columns.

    Args:
        report: The `TableReport`.
    """
    against = ("missing there", "mean there", "SMD", "PSI") if report.against is not None else ()
    titles = ("column", "kind", "missing", "distinct", "mean", "std", "range", *against)
    rows = [_figures(column, bool(against)) for column in islice(report.columns.values(), MOST_COLUMNS)]
    more = len(report.columns) - len(rows)
    notes = [f"and {counted(more, 'more column')}"] if more else []
    if against:
        notes.append(
            "SMD is the standardized mean difference, and PSI the population stability index. Of both, 0 is for equal "
            "distributions, and 0.25 or more is large."
        )
    return Overview("All columns", [], Grid(titles, rows, notes) if rows else None)


def _bad(report: Any, most: int) -> Section:
    return _section(
        "bad",
        "Rows that cannot be read",
        "Training stops at such a row. Fix it, say how to read it, or leave these rows out with the line below.",
        "rows = ko.CSVChunkSequence(..., on_bad_row='skip')",
        [
            Group(
                "",
                [ShownFile(f"row {row}", None, detail=why) for row, why in _first(report.bad, most)],
                report.num_bad,
            )
        ],
        counted(report.num_bad, "row") + " that cannot be read",
        "row",
    )


def _target_leaks(report: Any, most: int) -> Section:
    return _section(
        "target_leaks",
        "Features that tell the target",
        f"Will they be known when the model predicts {listed(report.targets)}? If not, leave them out: a model that "
        "sees the answer learns nothing else.",
        f"rows = ko.TableSequence(..., exclude={[*report.target_leaks]})",
        [_of_columns("", report.target_leaks, most)],
        _of(len(report.target_leaks), "feature that tells the target", "features that tell the target"),
        "column",
    )


def _leaks(report: Any, most: int) -> Section:
    by_chance = IN_BOTH in report.by_chance
    shown = [
        ShownFile(f"row {row}, and row {other} there", None, detail=report.examples.get(row, ""))
        for row, other in report.leaks[:most]
    ]
    return _section(
        "leaks",
        "Rows in both tables",
        f"These rows are also in {report.against}{_compared(report.compared_against, report)}. "
        + (
            "The columns have few values, so that they may be equal by chance."
            if by_chance
            else "A model that was trained on them gets a score that is too high."
        ),
        "rows = rows.without(report.leaks)",
        [Group("", shown, len(report.leaks))],
        f"{counted(len(report.leaks), 'row')} in both",
        "row",
        not by_chance,
    )


def _conflicts(report: Any, most: int, max_rows: int) -> Section:
    return _section(
        "conflicts",
        "Equal rows of different classes",
        "At most one of the classes is right, or a feature is missing that would tell them apart. Decide which row to "
        "keep: these are never removed for you.",
        "rows = rows.without([7])  # the numbers of the wrong rows",
        [_of_groups(report.conflicts, report, most, max_rows)],
        counted(len(report.conflicts), "conflict"),
        "group",
    )


def _duplicates(report: Any, most: int, max_rows: int) -> Section:
    by_chance = COPIES in report.by_chance
    removed = counted(len(report.duplicates.rows) - len(report.duplicates), "row")
    return _section(
        "duplicates",
        "Copies of rows",
        f"The rows of each line are equal{_compared(report.compared, report)}. "
        + ("The columns have few values, so that they may be equal by chance. " if by_chance else "")
        + f"The line below keeps the first row of each group and removes {removed}.",
        "rows = rows.without(report.duplicates)",
        [_of_groups(report.duplicates, report, most, max_rows)],
        f"{counted(len(report.duplicates), 'group')} of copies",
        "group",
        not by_chance,
    )


def _differing(report: Any, most: int) -> Section:
    return _section(
        "differing",
        "Columns that do not match",
        f"A model that is trained on {report.data} cannot read {report.against} in the same way.",
        "",
        [_of_columns("", report.differing, most)],
        _of(len(report.differing), "column that does not match", "columns that do not match"),
        "column",
    )


def _drift(report: Any, most: int) -> Section:
    groups = [_of_columns("other values", report.drift, most), _of_columns("new categories", report.unseen, most)]
    return _section(
        "drift",
        "Columns with other values in the other table",
        "If both tables should be samples of the same rows, the split is not random. If one is later, the world has "
        "changed, and the score of the other one is too optimistic.",
        "",
        [group for group in groups if group.num_files],
        f"{counted(len({*report.drift, *report.unseen}), 'column')} with other values",
        "column",
        is_problem=False,
    )


def _useless(report: Any, most: int) -> Section:
    groups = [_of_columns("one value", report.constant, most), _of_columns("nearly unique", report.ids, most)]
    names = [*dict.fromkeys([*report.constant, *report.ids])]
    return _section(
        "useless",
        "Columns that say nothing about other rows",
        "A model learns nothing from a constant, and learns rows by heart from ids. Ids can be carried beside the "
        "predictions: ids=[...].",
        f"rows = ko.TableSequence(..., exclude={names})",
        [group for group in groups if group.num_files],
        counted(len(names), "constant or nearly unique column"),
        "column",
        is_problem=False,
    )


def _missing(report: Any, most: int) -> Section:
    return _section(
        "missing",
        "Missing cells",
        "Training stops at a missing number, unless you say how to handle it.",
        "rows = ko.TableSequence(..., missing='mean')",
        [_of_columns("", report.missing, most)],
        f"{counted(len(report.missing), 'column')} with missing cells",
        "column",
        any(name in report.targets for name in report.missing),
    )


def _section(
    key: str, title: str, meaning: str, code: str, groups: list[Group], count: str, noun: str, is_problem: bool = True
) -> Section:
    groups = [group for group in groups if group.num_files]
    return Section(key, title, meaning, code, groups, len(groups), count, is_problem, as_list=True, noun=noun)


def _of(number: int, one: str, several: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else several}"


def _of_columns(title: str, found: Mapping[str, str], most: int) -> Group:
    return Group(title, [ShownFile(name, None, detail=why) for name, why in _first(found, most)], len(found))


def _of_groups(groups: Any, report: Any, most: int, max_rows: int) -> Group:
    shown = []
    for rows in groups[:most]:
        more = f" and {len(rows) - max_rows:,} more" if len(rows) > max_rows else ""
        names = ", ".join(f"{row}" for row in rows[:max_rows])
        shown.append(ShownFile(f"rows {names}{more}", None, detail=report.examples.get(rows[0], "")))
    return Group("", shown, len(groups))


def _compared(names: list[str], report: Any) -> str:
    """Return in which columns rows are equal, unless it is in all."""
    others = [name for name in report.columns if name not in names and name not in report.targets]
    return (
        f" in all columns but {listed(others)}"
        if others and len(others) <= len(names)
        else (f" in {listed(names)}" if others else "")
    )


def _first(found: Mapping[Any, str], most: int) -> Iterable[tuple[Any, str]]:
    return islice(found.items(), most)


def _figures(column: Any, against: bool) -> list[str]:
    """Return the row of a column in the table of all columns."""
    about = "" if column.is_exact else "about "
    is_date = column.kind == "date"
    mean, mean_there, *extremes = (
        _number(value, is_date) for value in (column.mean, column.mean_against, column.smallest, column.largest)
    )
    cells = [
        f"{column.name} (target)" if column.is_target else column.name,
        {"float32": "number", "bool": "yes or no"}.get(column.kind, column.kind),
        f"{column.missing:,}" if column.missing else "",
        f"{about}{column.distinct:,}",
        mean,
        _number(column.std) + (" days" if is_date and column.std is not None else ""),
        f"{extremes[0]} to {extremes[1]}" if all(extremes) else "",
    ]
    if against:
        missing, measures = column.missing_against, (column.mean_difference, column.stability_index)
        cells += [f"{missing:,}" if missing else "", mean_there]
        cells += ["" if value is None else f"{round(value, 2) + 0.0:.2f}" for value in measures]
    return cells


def _number(value: float | None, is_date: bool = False) -> str:
    """Return a number with four digits, or all digits of its integer part; or a date."""
    if value is None or not math.isfinite(value):
        return ""
    if is_date and value >= 1:  # others are times of the day
        return as_moment(math.floor(value))
    return f"{value:,.0f}" if 1000 <= abs(value) < 10**12 else f"{value:.4g}"
