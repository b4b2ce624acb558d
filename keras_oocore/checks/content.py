"""What the report of files shows in a browser and in a notebook: sections with groups of files, and all files."""

import os
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

from keras_oocore.checks.sections import TIMES, Group, Overview, Section, ShownFile
from keras_oocore.core.text import counted

MAX_CLASSES = 30
MAX_SIZES = 8
KINDS = {"exact": "identical files", "near": "same picture", "mirrored": "mirrored", "blank": "one color"}


def sections_of(report: Any, max_groups: int, max_files: int) -> list[Section]:
    """Return what was found, without sections that would be empty.

    Args:
        report: The `CheckReport`.
        max_groups: Number of groups per section, and of bad or unusual files.
        max_files: Number of files per group of copies.
    """
    made = [
        _bad(report, max_groups),
        _conflicts(report, max_groups, max_files),
        _leaks(report, max_groups, max_files),
        _duplicates(report, max_groups, max_files),
        _unusual(report, max_groups),
    ]
    return [section for section in made if section.num_groups]


def overview_of(report: Any) -> Overview:
    """Return classes, sizes and formats of files.

    Args:
        report: The `CheckReport`.
    """
    sizes = sorted(report.sizes.items(), key=lambda item: -item[1])
    named_sizes = [(f"{height} {TIMES} {width}", count) for (height, width), count in sizes]
    formats = sorted(report.formats.items(), key=lambda item: -item[1])
    bars = [
        ("Classes", [*report.class_counts.items()], MAX_CLASSES),
        (f"Sizes, height {TIMES} width", named_sizes, MAX_SIZES),
        ("Formats", formats, MAX_SIZES),
    ]
    return Overview("All files", bars)


def _bad(report: Any, max_files: int) -> Section:
    return Section(
        "bad",
        "Unreadable and doubtful files",
        "Training stops at an unreadable file. A doubtful one can be read, but its pixels may be damaged.",
        "manifest = manifest.without(report.bad)",
        [_explained("", report.bad, report.paths, max_files)] * bool(report.bad),
        int(bool(report.bad)),
        counted(len(report.bad), "bad file"),
        as_list=True,
    )


def _conflicts(report: Any, max_groups: int, max_files: int) -> Section:
    return Section(
        "conflicts",
        "Copies in different classes",
        "The same picture has more than one label, and at most one is right. Decide which file to keep: these are "
        "never removed for you.",
        "manifest = manifest.without(report.conflicting_files)  # removes all of them",
        list(islice(_copies(report.conflicts, report.paths, max_files), max_groups)),
        len(report.conflicts),
        counted(len(report.conflicts), "conflict"),
    )


def _leaks(report: Any, max_groups: int, max_files: int) -> Section:
    by_file = [(file, [*leaks]) for file, leaks in groupby(report.leaks, lambda leak: leak.file)]
    groups = [_leak(report, leaks, max_files) for _, leaks in by_file[:max_groups]]
    return Section(
        "leaks",
        "Copies in both data sets",
        f"These pictures are also in {report.against}. A model that was trained on them gets a score that is too high.",
        "manifest = manifest.without(report.leaks)",
        groups,
        len(by_file),
        counted(len(by_file), "leak"),
    )


def _leak(report: Any, leaks: list[Any], max_files: int) -> Group:
    name = leaks[0].file
    data, against = (os.path.basename(os.path.normpath(called)) for called in (report.data, str(report.against)))
    if data == against:
        data, against = report.data, str(report.against)
    differ = any(leak.is_conflict for leak in leaks)
    files = [ShownFile(name, report.paths.get(name), data, _class(leaks[0].classes[0], differ))]
    for leak in leaks[: max_files - 1]:
        path = report.paths_against.get(leak.other)
        files.append(ShownFile(leak.other, path, against, _class(leak.classes[1], differ)))
    return Group(KINDS.get(leaks[0].kind, leaks[0].kind), files, 1 + len(leaks))


def _class(name: str | None, shown: bool) -> str:
    return f"class {name}" if shown and name is not None else ""


def _duplicates(report: Any, max_groups: int, max_files: int) -> Section:
    conflicts = set(report.conflicts)
    others = [copies for copies in report.duplicates if copies not in conflicts]
    further = " Those in different classes are listed above." if conflicts and others else ""
    removed = counted(sum(len(copies.files) - 1 for copies in others), "file")
    return Section(
        "duplicates",
        "Copies",
        f"Each group shows one picture. The line below keeps the first file of each group and removes {removed}. To "
        f"keep all and put each group on one side of a split, pass groups=report.groups to manifest.split.{further}",
        "manifest = manifest.without(report.duplicates)",
        list(islice(_copies(others, report.paths, max_files), max_groups)),
        len(others),
        f"{counted(len(others), 'group')} of copies",
    )


def _copies(groups: Iterable[Any], paths: dict[str, str], max_files: int) -> Iterator[Group]:
    for copies in groups:
        files = [
            ShownFile(name, paths.get(name), label or "")
            for name, label in islice(zip(copies.files, copies.classes), max_files)
        ]
        yield Group(KINDS.get(copies.kind, copies.kind), files, len(copies.files))


def _unusual(report: Any, max_files: int) -> Section:
    found = {what: files for what, files in report.unusual.items() if files}
    num_files = sum(map(len, found.values()))
    return Section(
        "unusual",
        "Unusual images",
        "They may be right. Look at them: a model learns little from an image without contents.",
        "",
        [_explained(what, files, report.paths, max_files) for what, files in found.items()],
        len(found),
        counted(num_files, "unusual image"),
        is_problem=False,
    )


def _explained(title: str, found: dict[str, str], paths: dict[str, str], max_files: int) -> Group:
    """Return files with what was found in each."""
    files = [ShownFile(name, paths.get(name), detail=detail) for name, detail in islice(found.items(), max_files)]
    return Group(title, files, len(found))
