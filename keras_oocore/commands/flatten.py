"""`keras-oocore flatten`: all images of class folders in one folder, and a manifest of their labels beside them."""

import argparse
import contextlib
import io
import os
import shlex
from typing import Any

from keras_oocore.commands.arguments import add_command, add_json, given
from keras_oocore.commands.kinds import TABLE_KINDS, Kind, place_of
from keras_oocore.commands.report import Report, WrongUseError, to_type
from keras_oocore.core.text import counted
from keras_oocore.prepare import flatten_images
from keras_oocore.prepare.transfer import MODES

ARGUMENTS = ("mode", "extensions", "class_names", "follow_links")


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = add_command(
        commands,
        "flatten",
        run,
        "collect the images of all class folders in one folder",
        """
        Collect the images of all class folders in one folder, and save their labels beside them as filenames.npy,
        labels.npy and manifest.json. Files are copied, and no file is overwritten. If it was stopped, type it again.
        In Python: ko.flatten_images(...).save(...)
        """,
        """
        keras-oocore flatten plant_seedlings all_images
        keras-oocore split all_images --validation-split 0.2
        """,
    )
    command.add_argument("directory", help="directory with one folder per class")
    command.add_argument("destination", nargs="?", default="all_images", help="new folder (default: all_images)")
    command.add_argument("--mode", choices=tuple(MODES), help="how to bring in each file (default: copy)")
    command.add_argument("--extensions", nargs="+", metavar=".EXT", help="files to use (default: images)")
    command.add_argument("--class-names", nargs="+", metavar="NAME", help="classes in the order of their indices")
    command.add_argument(
        "--follow-links", action="store_true", default=None, help="visit directories that symbolic links point to"
    )
    command.add_argument("--manifest", metavar="DIR", help="where to save the manifest (default: in the new folder)")
    add_json(command)
    command.set_defaults(after_stop="To continue, run the same command again.")


def run(options: argparse.Namespace) -> Report:
    """Run the command."""
    if not os.path.isdir(options.directory) and not os.path.isdir(options.destination):
        kind = place_of(options.directory).kind
        advice = {
            Kind.ZIP: f" Unpack it first: unzip {shlex.quote(options.directory)}",
            **dict.fromkeys(
                TABLE_KINDS, f" A table needs no flatten. See what it holds: {to_type('info', options.directory)}"
            ),
        }.get(kind, "")
        raise WrongUseError(f"{options.directory!r} is a file, but it should be a directory of class folders.{advice}")
    with contextlib.redirect_stdout(io.StringIO()):  # this report says the same
        manifest = flatten_images(options.directory, options.destination, **given(options, ARGUMENTS))
    folder = manifest.save(options.manifest or options.destination)
    facts = {
        "destination": options.destination,
        "manifest": os.fspath(folder),
        "num_samples": len(manifest),
        "class_names": manifest.class_names,
        "skipped": manifest.skipped,
    }
    skipped = ", ".join(f"{count:,} {reason}" for reason, count in manifest.skipped.items())
    lines = [
        f"{counted(len(manifest), 'file')} of {counted(len(manifest.class_names), 'class')} in {options.destination}",
        *([f"skipped: {skipped}"] if skipped else []),
        f"labels in {os.path.join(folder, 'manifest.json')}",
        "",
        f"next: {to_type('split', folder)}",
    ]
    return Report("\n".join(lines), facts)
