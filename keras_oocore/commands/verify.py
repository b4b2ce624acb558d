"""`keras-oocore verify`: reads everything that is stored at a path, and lists what cannot be read."""

import argparse
from typing import Any

from keras_oocore.commands.arguments import add_command, add_files, add_json, add_tables
from keras_oocore.commands.flags import in_flags
from keras_oocore.commands.kinds import place_of
from keras_oocore.commands.opening import why_not
from keras_oocore.commands.report import Report, WrongUseError, printing_to_stderr
from keras_oocore.commands.samples import names_files
from keras_oocore.core.text import counted

MOST_LISTED = 20  # in the text; the JSON has all


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = add_command(
        commands,
        "verify",
        run,
        "read everything that is stored at a path, and list what is damaged",
        """
        Decode every image, parse every cell, or compare every row of a packed store and every checkpoint with its
        checksums. The exit status is 1 if something is damaged, missing or unreadable.
        """,
        """
        keras-oocore verify plant_seedlings
        keras-oocore verify packed --json
        """,
    )
    command.add_argument(
        "path", help="class folders, a manifest, arrays, a packed store, a table, checkpoints or a zip"
    )
    command.add_argument(
        "--strict", action="store_true", help="count a JPEG that its decoder warns about as unreadable"
    )
    add_files(command)
    add_tables(command, features=False)
    add_json(command)


def run(options: argparse.Namespace) -> Report:
    """Run the command."""
    from keras_oocore.commands.checks import CHECKS, check_files  # imports decoders

    place = place_of(options.path)
    check = check_files if names_files(place, options) else CHECKS.get(place.kind)
    if check is None:
        raise WrongUseError(why_not(place))
    with printing_to_stderr():
        checked = check(place, options)
    problems = [f"{name}: {in_flags(reason, options.parser)}" for name, reason in checked.problems.items()]
    total = counted(checked.num_samples, checked.noun)
    headline = f"{place.path}: {total} read, {counted(len(problems), 'problem') if problems else 'no problem'}"
    lines = [headline, *_first(problems), *_first(checked.notes)]
    facts = {
        "path": place.path,
        "kind": str(place.kind),
        "num_samples": checked.num_samples,
        "problems": checked.problems,
        "notes": checked.notes,
    }
    return Report("\n".join(lines), facts, found=bool(problems))


def _first(lines: list[str]) -> list[str]:
    """Return the first lines, indented, and how many more there are."""
    more = [f"  and {len(lines) - MOST_LISTED:,} more; --json lists all"] * (len(lines) > MOST_LISTED)
    return [*(f"  {line}" for line in lines[:MOST_LISTED]), *more]
