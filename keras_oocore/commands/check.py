"""`keras-oocore check`: finds bad files and rows, copies, wrong labels and leaks before training."""

import argparse
import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_oocore.commands.arguments import (
    FILES,
    add_command,
    add_files,
    add_json,
    add_processes,
    add_tables,
    executor_of,
    refuse_others,
)
from keras_oocore.commands.flags import in_flags
from keras_oocore.commands.kinds import TABLE_KINDS, WHAT, Kind, Place, place_of
from keras_oocore.commands.opening import why_not
from keras_oocore.commands.report import Report, WrongUseError, printing_to_stderr, to_type
from keras_oocore.commands.samples import manifest_of, names_files
from keras_oocore.core.text import counted
from keras_oocore.manifest.manifest import Manifest

if TYPE_CHECKING:
    from keras_oocore.checks.report import CheckReport, Copies
    from keras_oocore.checks.sections import Group, Section
    from keras_oocore.checks.tables.report import TableReport

MOST_LISTED = 5  # groups of each kind of finding, in the text; the JSON has all
MOST_FILES = 4  # of a group


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = add_command(
        commands,
        "check",
        run,
        "find bad files and rows, copies, wrong labels, leaks and unusual images",
        """
        Decode every image, or parse every cell of a table, and find what harms a training: files and rows that
        cannot be read, copies, copies in different classes, copies in two data sets (--against), and blank, dark,
        blurred or oddly sized images. Of a table, also features that tell the target, columns that say nothing, and
        columns that differ from those of the other table. No file changes. The exit status is 1 if something was found.
        In Python: ko.check(...)
        """,
        """
        keras-oocore check plant_seedlings --html report.html
        keras-oocore check parts/train --against parts/validation
        keras-oocore check houses.csv --against test.csv --target price --html report.html
        """,
    )
    command.add_argument(
        "path", help="class folders, a manifest, file names, a packed store, a table, or a CSV file of file names"
    )
    command.add_argument(
        "--against", metavar="PATH", help="other data, such as those for validation: find copies in both"
    )
    command.add_argument("--mirrored", action="store_true", help="find mirrored copies, too")
    add_processes(command)
    command.add_argument("--html", metavar="FILE", help="write a page that shows what was found")
    command.add_argument("--target", nargs="+", metavar="COLUMN", help="of a table: column to predict")
    command.add_argument(
        "--columns", nargs="+", metavar="COLUMN", help="of a table: columns that are equal in copies of a row"
    )
    add_files(command)
    add_tables(command, features=False)
    add_json(command)


def run(options: argparse.Namespace) -> Report:
    """Run the command."""
    from keras_oocore.checks.check import check  # imports decoders

    with contextlib.ExitStack() as stack:
        stack.enter_context(printing_to_stderr())
        place = place_of(options.path)
        if place.kind in TABLE_KINDS and not names_files(place, options):
            report = _check_table(place, options, stack)
            facts, shown = report.to_dict(), "page"
        else:
            _refuse_tables(options)
            data = _data(options.path, options)
            against = None if options.against is None else _data(options.against, options)
            executor = stack.enter_context(executor_of(options))
            report = check(data, against, mirrored=options.mirrored, **executor)
            facts, shown = _facts(report), "pictures"
    if options.html:
        facts["html"] = str(report.to_html(options.html))
    return Report("\n".join(_lines(report, options, shown)), facts, found=report.found)


def _check_table(place: Place, options: argparse.Namespace, stack: contextlib.ExitStack) -> "TableReport":
    """Return the report of a table."""
    from keras_oocore.checks.check import check
    from keras_oocore.commands.tables import open_table, reading_options

    places = [place] if options.against is None else [place, place_of(options.against)]
    reading = [name for one in places for name in reading_options(one)]
    refuse_others(
        options, ("target", *reading), place.path, "a CSV file of rows" if place.kind is Kind.CSV else WHAT[place.kind]
    )
    for name, value in (("--mirrored", options.mirrored), ("--processes", options.processes)):
        if value:
            raise WrongUseError(
                f"{name} is an option of files, and {place.path!r} is a table. Type the command without it."
            )
    if places[-1].kind not in TABLE_KINDS:
        raise WrongUseError(f"{place.path!r} is a table, and {options.against!r} is not. Type --against FILE.csv")
    tables = []
    for one in places:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="keras_oocore-"))  # for the text of zip files
        tables.append(open_table(one, options, cache=Path(folder), on_bad_row="skip"))
    return check(*tables, target=options.target, columns=options.columns)


def _refuse_tables(options: argparse.Namespace) -> None:
    """Check that no option of tables was typed for files."""
    refuse_others(options, FILES, options.path, "not a table")
    if options.columns is not None:
        raise WrongUseError(f"--columns is an option of tables, and {options.path!r} is not one.")


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
    if place.kind in TABLE_KINDS:
        raise WrongUseError(f"{path!r} is a table, and {options.path!r} is not. Type --against DIRECTORY")
    if place.kind is Kind.ARRAY:
        raise WrongUseError(f"{path!r} has rows and not files. To read all of them, type: {to_type('verify', path)}")
    raise WrongUseError(why_not(place))


def _lines(report: "CheckReport | TableReport", options: argparse.Namespace, shown: str) -> list[str]:
    """Return the result as text. `shown` is what a page would show."""
    sections = report.sections(MOST_LISTED, MOST_FILES)
    against = f" against {report.against}" if report.against is not None else ""
    found = ", ".join(section.count for section in sections) or "nothing found"
    lines = [f"{report.data}{against}: {report.amount} checked, {found}"]
    for section in sections:
        is_named = section.key in ("conflicts", "leaks") and section.noun == "file"
        title = f": {section.title.lower()}" if is_named else ""
        lines += ["", f"{section.count}{title}", *_findings(section)]
    if report.not_checked:
        lines += ["", *(f"not checked: {in_flags(note, options.parser)}" for note in report.not_checked)]
    if options.html:
        lines += ["", f"{shown}: {options.html}"]
    elif sections:
        lines += ["", f"To see the {shown}, add: --html report.html"]
    return lines


def _findings(section: "Section") -> list[str]:
    """Return a line per group of copies, or per file with what was found in it."""
    if section.as_list or not section.is_problem:
        lines = []
        for group in section.groups:
            title = f"{group.title}: " if group.title else ""
            lines += [f"  {title}{file.name}: {file.detail}" for file in group.files]
            lines += _more(group.num_files - len(group.files), f"{group.title} {section.noun}".strip())
        return lines
    return [*map(_alike, section.groups), *_more(section.num_groups - len(section.groups), "group")]


def _alike(group: "Group") -> str:
    """Return a line such as `  a.png = b.png (identical files)`."""
    more = group.num_files - len(group.files)
    names = [*(file.name for file in group.files), *([f"{more:,} more"] * (more > 0))]
    return f"  {' = '.join(names)} ({group.title})"


def _more(number: int, noun: str) -> list[str]:
    return [f"  and {counted(number, f'more {noun}')}; --json lists all"] * (number > 0)


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
