"""Writes the report of a table in words: what was found, and what to do next."""

from typing import Any

from keras_oocore.core.text import counted

MOST_COLUMNS = 5  # that a line names


def in_words(report: Any) -> str:
    """Return a `TableReport` as a short text.

    Args:
        report: The report.
    """
    lines = [_headline(report), *_rows(report)]
    for columns, what in (
        (report.target_leaks, "tells the target"),
        (report.constant, "is constant"),
        (report.ids, "has another value in nearly every row"),
        (report.differing, "does not match"),
        (report.drift, "has other values there"),
        (report.unseen, "has new categories there"),
        (report.missing, "has missing cells"),
    ):
        lines += _columns(columns, what)
    if not report.found:
        lines.append("  nothing was found" if not report.missing else "  nothing else was found")
    lines += [f"  not checked: {note}" for note in report.not_checked]
    return "\n".join([*lines, *_next(report)])


def _headline(report: Any) -> str:
    against = "" if report.against is None else f" against {report.against!r}"
    return f"Check of {report.data!r}{against}: {report.extent}, in {report.seconds:.1f} s"


def _rows(report: Any) -> list[str]:
    lines = []
    if report.num_bad:
        reason = f": {next(iter(report.bad.values()))}" if report.bad else ""
        lines.append(f"  {counted(report.num_bad, 'row')} cannot be read{reason}")
    if report.duplicates:
        repeated = len(report.duplicates.rows) - len(report.duplicates)
        chance = " (probably by chance)" if "duplicates" in report.by_chance else ""
        verb = "is a copy" if repeated == 1 else "are copies"
        first = _first(report.duplicates)
        lines.append(f"  {counted(repeated, 'row')} {verb} of an earlier row{chance}: such as rows {first}")
    if report.conflicts:
        verb = "has" if len(report.conflicts) == 1 else "have"
        first = _first(report.conflicts)
        groups = counted(len(report.conflicts), "group")
        lines.append(f"  {groups} of equal rows {verb} different classes: such as rows {first}")
    if report.leaks:
        chance = " (probably by chance)" if "leaks" in report.by_chance else ""
        verb = "is" if len(report.leaks) == 1 else "are"
        row, other = report.leaks[0]
        there = "`against`" if report.against == report.data else repr(report.against)
        leaks = f"{counted(len(report.leaks), 'row')} {verb} in {there}, too{chance}"
        lines.append(f"  {leaks}: such as row {row}, which is row {other} there")
    return lines


def _first(groups: Any) -> str:
    return " and ".join(map(str, groups[0][:2]))


def _columns(columns: dict[str, str], what: str) -> list[str]:
    shown = [f"  {name!r} {what}: {reason}" for name, reason in [*columns.items()][:MOST_COLUMNS]]
    more = len(columns) - len(shown)
    return shown + ([f"  and {counted(more, 'more column')}: {what}"] if more else [])


def _next(report: Any) -> list[str]:
    steps = []
    left_out = [*dict.fromkeys([*report.target_leaks, *report.constant, *report.ids])]
    if left_out:
        steps.append(f"rows = ko.TableSequence(..., exclude={left_out})")
    if report.duplicates and "duplicates" not in report.by_chance:
        steps.append("rows = rows.without(report.duplicates)  # keeps the first of each group")
    if report.conflicts:
        steps.append("report.conflicts  # look at them: which class is right?")
    if report.leaks and "leaks" not in report.by_chance:
        steps.append("rows = rows.without(report.leaks)")
    return [f"{'next:' if k == 0 else '     '} {step}" for k, step in enumerate(steps)]
