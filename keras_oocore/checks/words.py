"""Writes the report of files in words: what was found, and what to do next."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from keras_oocore.core.text import counted


def in_words(report: Any) -> str:
    """Return a `CheckReport` as a short text.

    Args:
        report: The report.
    """
    lines = [_headline(report)]
    lines += _bad(report) + _copies(report) + _leaks(report) + _unusual(report)
    if not report.found:
        lines.append("  nothing was found")
    lines += [f"  not checked: {note}" for note in report.not_checked]
    return "\n".join([*lines, *_next(report)])


def _headline(report: Any) -> str:
    what = counted(report.num_files, "file")
    if report.class_counts:
        what += f" of {counted(len(report.class_counts), 'class')}"
    against = "" if report.against is None else f" against {report.against!r}"
    facts = [f"{count:,} {name}" for name, count in report.formats.items()]
    if report.sizes:
        heights, widths = zip(*report.sizes)
        if len(report.sizes) == 1:
            facts.append(f"all {heights[0]}x{widths[0]} pixels")
        else:
            facts.append(f"{min(heights)}x{min(widths)} to {max(heights)}x{max(widths)} pixels")
    detail = f" ({', '.join(facts)})" if facts else ""
    return f"Check of {report.data!r}{against}: {what}{detail}, in {report.seconds:.1f} s"


def _bad(report: Any) -> list[str]:
    if not report.bad:
        return []
    name, reason = next(iter(report.bad.items()))
    verb = "cannot be read or is damaged" if len(report.bad) == 1 else "cannot be read or are damaged"
    return [f"  {counted(len(report.bad), 'file')} {verb}: {_example(name, report.bad)} ({reason})"]


def _copies(report: Any) -> list[str]:
    lines = []
    for kind, words in (
        ("exact", "of equal content"),
        ("near", "of the same picture"),
        ("mirrored", "of the same picture, some mirrored"),
        ("blank", "of one color"),
    ):
        groups = [copies for copies in report.duplicates if copies.kind == kind]
        if groups:
            num_files = sum(len(copies.files) for copies in groups)
            first = " and ".join(map(repr, groups[0].files[:2]))
            what = f"{counted(len(groups), 'group')} with {counted(num_files, 'file')} {words}"
            lines.append(f"  {what}: such as {first}")
    if report.conflicts:
        first = report.conflicts[0]
        of_class = {}
        for file, name in zip(first.files, first.classes):
            of_class.setdefault(name, file)
        pair = " and ".join(f"{file!r} ({name})" for name, file in list(of_class.items())[:2])
        has = "has" if len(report.conflicts) == 1 else "have"
        lines.append(f"  {counted(len(report.conflicts), 'group')} of copies {has} different classes: such as {pair}")
    return lines


def _leaks(report: Any) -> list[str]:
    if not report.leaks:
        return []
    leak, kinds = report.leaks[0], Counter(leak.kind for leak in report.leaks)
    how = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    has = "has a copy" if len(report.leaks) == 1 else "have copies"
    where = f"in {report.against!r}"
    lines = [f"  {counted(len(report.leaks), 'file')} {has} {where} ({how}): such as {leak.file!r} and {leak.other!r}"]
    conflicts = [leak for leak in report.leaks if leak.is_conflict]
    if conflicts:
        leak = conflicts[0]
        pair = " and ".join(f"{file!r} ({name})" for file, name in zip((leak.file, leak.other), leak.classes))
        has = "has" if len(conflicts) == 1 else "have"
        lines.append(f"  {len(conflicts):,} of them {has} another class there: such as {pair}")
    return lines


def _unusual(report: Any) -> list[str]:
    return [
        f"  {counted(len(files), 'file')}, {kind}: {_example(next(iter(files)), files)} ({next(iter(files.values()))})"
        for kind, files in report.unusual.items()
        if files
    ]


def _next(report: Any) -> list[str]:
    steps = []
    if report.bad:
        steps.append("manifest = manifest.without(report.bad)")
    if len(report.duplicates) > len(report.conflicts):
        steps.append("manifest = manifest.without(report.duplicates)  # keeps one of each group")
    if report.conflicts:
        steps.append("report.conflicts  # look at them: which class is right?")
    if report.leaks:
        steps.append("train = train.without(report.leaks)")
    if report.duplicates:
        steps.append("manifest.split(groups=report.groups, ...)  # or keep copies on the same side")
    return [f"{'next:' if k == 0 else '     '} {step}" for k, step in enumerate(steps)]


def _example(name: str, files: Iterable[str]) -> str:
    return repr(name) if len([*files]) == 1 else f"such as {name!r}"
