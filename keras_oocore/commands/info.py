"""`keras-oocore info`: what is stored at a path, and what to type to train from it."""

import argparse
import os
import zipfile
from collections import Counter
from collections.abc import Callable
from typing import Any

from keras_oocore.commands.arguments import add_command, add_files, add_hdf5, add_json, add_tables
from keras_oocore.commands.description import Description
from keras_oocore.commands.kinds import TABLE_KINDS, Kind, Place, place_of
from keras_oocore.commands.opening import why_not
from keras_oocore.commands.recipes import IMPORTS, quoted
from keras_oocore.commands.report import Report, WrongUseError
from keras_oocore.commands.samples import names_files
from keras_oocore.commands.versions import as_text, versions
from keras_oocore.core.errors import DataError
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.text import counted


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = add_command(
        commands,
        "info",
        run,
        "say what is stored at a path, and what to type to train from it",
        """
        Say what is stored at a path: class folders, a manifest, arrays, a packed store, CSV, Parquet, Arrow or HDF5
        files, checkpoints or a zip file, with the numbers that matter, and print a few lines of Python that train from
        it. A few files are opened.
        """,
        """
        keras-oocore info plant_seedlings
        keras-oocore info "part-*.csv" --delimiter ";"
        keras-oocore info --versions
        """,
    )
    command.add_argument("path", nargs="?", help="a folder or a file, or a quoted pattern of the files of a table")
    command.add_argument("--versions", action="store_true", help="print the versions that a bug report should name")
    add_files(command)
    add_tables(command)
    add_hdf5(command)
    add_json(command)


def run(options: argparse.Namespace) -> Report:
    """Run the command."""
    if options.versions:
        found = versions()
        return Report(as_text(found), found)
    if options.path is None:
        raise WrongUseError("Type a PATH, or --versions. For example: keras-oocore info plant_seedlings")
    place = place_of(options.path)
    described = _describer(place, options)(place, options)
    lines = [f"{place.path}: {place.kind}", *described.lines]
    if described.code:
        lines += [
            "",
            "To train from it, type in Python:" if ".fit(" in described.code else "In Python:",
            "",
            *described.code.splitlines(),
        ]
    elif described.advice:
        lines += ["", described.advice]
    facts = {"path": place.path, "kind": str(place.kind), **described.facts, "python": described.code or None}
    return Report("\n".join(lines), facts, described.found)


def _describer(place: Place, options: argparse.Namespace) -> Callable[[Place, argparse.Namespace], Description]:
    """Return the function that describes this kind of data. Importing them imports decoders."""
    from keras_oocore.commands.checkpoints import describe_checkpoints
    from keras_oocore.commands.describe_files import describe_files, describe_split
    from keras_oocore.commands.describe_rows import describe_array, describe_store, describe_stores

    if names_files(place, options):
        return describe_files
    if place.kind in TABLE_KINDS:
        from keras_oocore.commands.describe_tables import describe_table  # imports pyarrow

        return describe_table
    if place.kind is Kind.HDF5:
        from keras_oocore.commands.describe_hdf5 import describe_hdf5

        return describe_hdf5
    describers = {
        Kind.SPLIT: describe_split,
        Kind.ARRAY: describe_array,
        Kind.STORE: describe_store,
        Kind.TABLE_CACHE: describe_store,
        Kind.STORES: describe_stores,
        Kind.CHECKPOINTS: describe_checkpoints,
        Kind.ZIP: _describe_zip,
    }
    return describers.get(place.kind, _describe_nothing)


def _describe_zip(place: Place, _: argparse.Namespace) -> Description:
    try:
        with zipfile.ZipFile(place.path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{place.path!r} is not a complete zip file: {error}.") from error
    size_bytes = sum(info.file_size for info in infos)
    formats = Counter(os.path.splitext(info.filename)[1].lower() or "without extension" for info in infos)
    named = ", ".join(f"{count:,} {suffix}" for suffix, count in formats.most_common(5))
    code = (
        f"{IMPORTS.splitlines()[1]}\n\nfolder = ko.unzip_folder({quoted(place.path)})  # then keras-oocore info FOLDER"
    )
    facts = {"num_files": len(infos), "size_bytes": size_bytes, "formats": formats}
    return Description([f"{counted(len(infos), 'file')}, {format_bytes(size_bytes)}: {named}"], facts, code)


def _describe_nothing(place: Place, _: argparse.Namespace) -> Description:
    if place.kind is Kind.EMPTY:
        return Description([], {}, advice=why_not(place), found=True)
    if not os.path.isdir(place.path):
        advice = "One file of this kind holds no samples that can be read. Type the path of a folder, or of a table."
    else:
        extension = quoted(next(iter(place.extensions), "") or ".wav")
        advice = (
            "There are no images, arrays or tables. Files of any other kind can be read with a function of yours: "
            f"ko.NpyManifestSequence(ko.Manifest.from_directory({quoted(place.path)}, extensions={extension}), "
            "reader=function)"
        )
    return Description([place.detail] if place.detail else [], {}, advice=advice, found=True)
