"""`keras-oocore check`: finds unreadable files, copies, wrong labels and unusual images before training."""

import argparse
import os
from typing import TYPE_CHECKING, Any

from keras_oocore.commands.arguments import add_command, add_files, add_json, add_processes, executor_of, refuse_others
from keras_oocore.commands.flags import in_flags
from keras_oocore.commands.kinds import Kind, place_of
from keras_oocore.commands.opening import why_not
from keras_oocore.commands.report import Report, WrongUseError, counted, printing_to_stderr, to_type
from keras_oocore.commands.samples import manifest_of, names_files
from keras_oocore.manifest.manifest import Manifest

if TYPE_CHECKING:
    from keras_oocore.check.content import Group, Section
    from keras_oocore.check.report import CheckReport, Copies

MOST_LISTED = 5  # groups of each kind of finding, in the text; the JSON has all
MOST_FILES = 4  # of a group


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = add_command(
        commands,
        "check",
        run,
        "find unreadable files, copies, wrong labels and unusual images",
        """
        Decode every image, and find what harms a training: files that cannot be read, copies, copies in different
        classes, copies in two data sets (--against), and blank, dark, blurred or oddly sized images. No file changes.
        The exit status is 1 if something was found. In Python: ko.check(...)
        """,
        """
        keras-oocore check plant_seedlings --html report.html
        keras-oocore check parts/train --against parts/validation
        """,
    )
    command.add_argument(
        "path", help="class folders, a manifest, file names, a CSV file of file names, or a packed store"
    )
    command.add_argument(
        "--against", metavar="PATH", help="other files, such as those for validation: find copies in both"
    )
    command.add_argument("--mirrored", action="store_true", help="find mirrored copies, too")
    add_processes(command)
    command.add_argument("--html", metavar="FILE", help="write a page with the pictures of what was found")
    add_files(command)
    add_json(command)


def run(options: argparse.Namespace) -> Report:
    """Run the command."""
    from keras_oocore.check.check import check  # imports decoders

    data = _data(options.path, options)
    against = None if options.against is None else _data(options.against, options)
    with printing_to_stderr(), executor_of(options) as executor:
        report = check(data, against, mirrored=options.mirrored, **executor)
    facts = _facts(report)
    if options.html:
        facts["html"] = str(report.to_html(options.html))
    return Report("\n".join(_lines(report, options)), facts, found=report.found)


def _data(path: str, options: argparse.Namespace) -> "Manifest | str":
    """Return the files at a path, or the path of a packed store."""
    place = place_of(path)
    if names_files(place, options):
        return manifest_of(place, options, needs_labels=False)
    if place.kind is Kind.STORE:
        refuse_others(options, (), path, "a packed store")
        return path
    if place.kind is Kind.SPLIT:
        train, validation = os.path.join(path, "train"), os.path.join(path, "validation")
        raise WrongUseError(
            f"{path!r} contains one manifest per part. Type: {to_type('check', train, '--against', validation)}"
        )
    if place.kind in (Kind.ARRAY, Kind.CSV):
        raise WrongUseError(f"{path!r} has rows and not files. To read all of them, type: {to_type('verify', path)}")
    raise WrongUseError(why_not(place))


def _lines(report: "CheckReport", options: argparse.Namespace) -> list[str]:
    """Return the result as text."""
    from keras_oocore.check.content import sections_of

    sections = sections_of(report, MOST_LISTED, MOST_FILES)
    against = f" against {report.against}" if report.against is not None else ""
    found = ", ".join(section.count for section in sections) or "nothing found"
    lines = [f"{report.data}{against}: {counted(report.num_files, 'file')} checked, {found}"]
    for section in sections:
        title = f": {section.title.lower()}" if section.key in ("conflicts", "leaks") else ""
        lines += ["", f"{section.count}{title}", *_findings(section)]
    if report.not_checked:
        lines += ["", *(f"not checked: {in_flags(note, options.parser)}" for note in report.not_checked)]
    if options.html:
        lines += ["", f"pictures: {options.html}"]
    elif sections:
        lines += ["", "To see the pictures, add: --html report.html"]
    return lines


def _findings(section: "Section") -> list[str]:
    """Return a line per group of copies, or per file with what was found in it."""
    if section.as_list or not section.is_problem:
        lines = []
        for group in section.groups:
            title = f"{group.title}: " if group.title else ""
            lines += [f"  {title}{file.name}: {file.detail}" for file in group.files]
            lines += _more(group.num_files - len(group.files), f"{group.title} file".strip())
        return lines
    return [*map(_alike, section.groups), *_more(section.num_groups - len(section.groups), "group")]


def _alike(group: "Group") -> str:
    """Return a line such as `  a.png = b.png (identical files)`."""
    more = group.num_files - len(group.files)
    names = [*(file.name for file in group.files), *([f"{more:,} more"] * (more > 0))]
    return f"  {' = '.join(names)} ({group.title})"


def _more(number: int, noun: str) -> list[str]:
    return [f"  and {number:,} more {noun}{'s' * (number != 1)}; --json lists all"] * (number > 0)


def _facts(report: "CheckReport") -> dict[str, Any]:
    """Return the result for a program."""
    return {
        "data": report.data,
        "against": report.against,
        "num_files": report.num_files,
        "found": report.found,
        "bad": report.bad,
        "conflicts": [*map(_copies, report.conflicts)],
        "leaks": [{"file": leak.file, "other": leak.other, "kind": leak.kind} for leak in report.leaks],
        "duplicates": [*map(_copies, report.duplicates)],
        "unusual": report.unusual,
        "class_counts": report.class_counts,
        "formats": report.formats,
        "sizes": [
            {"height": height, "width": width, "count": count} for (height, width), count in report.sizes.items()
        ],
        "not_checked": [*report.not_checked],
        "seconds": report.seconds,
    }


def _copies(copies: "Copies") -> dict[str, Any]:
    return {"files": [*copies.files], "classes": [*copies.classes], "kind": copies.kind}
