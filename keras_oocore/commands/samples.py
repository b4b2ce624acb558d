"""Makes a manifest of the files at a path, with the labels that the options name."""

import argparse
import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from keras_oocore.commands.arguments import FILES, given
from keras_oocore.commands.kinds import ARRAY_EXTENSIONS, FILE_KINDS, Kind, Place
from keras_oocore.commands.report import WrongUseError
from keras_oocore.core.errors import DataError
from keras_oocore.core.text import counted, did_you_mean, listed
from keras_oocore.manifest.extensions import IMAGE_EXTENSIONS
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.prepare import load_arrays

X_COL, Y_COL = "filename", "class"  # of `Manifest.from_csv`


def names_files(place: Place, options: argparse.Namespace) -> bool:
    """Whether the samples at a path are files, also those that a column of a CSV file names."""
    if place.kind is Kind.CSV:
        is_table = bool(given(options, ("target", "features")))
        return options.x_col is not None or (not is_table and X_COL in _header(place.path))
    return place.kind in FILE_KINDS


def manifest_of(place: Place, options: argparse.Namespace, needs_labels: bool = True) -> Manifest:
    """Return the files at a path.

    Args:
        place: The path, for which `names_files` is true.
        options: Options of `add_files`.
        needs_labels: Whether files without labels are an error, unless `--no-labels` says so.

    Raises:
        WrongUseError: If an option is missing, or has no effect on these files.
        DataError: If files or labels are missing or do not match.
    """
    labels = None if options.no_labels else options.labels
    if options.no_labels and options.labels:
        raise WrongUseError("--labels and --no-labels exclude each other. Type one of them.")
    if labels is not None and not Path(labels).is_file():
        raise WrongUseError(f"--labels should be a .npy file with one label per file. Received: {labels!r}")
    if place.kind is Kind.CSV:
        return _of_csv(place.path, options, needs_labels)
    if place.kind is Kind.MANIFEST:
        _refuse(options, place, ("labels", "x_col", "y_col", "class_names", "directory", "follow_links"))
        manifest = Manifest.load(place.path)
        if not options.no_labels:
            return manifest
        return Manifest(
            manifest.filenames,
            None,
            None,
            manifest.directory,
            columns=manifest.columns,
            indices=manifest.indices,
            features=manifest.features,
            feature_cols=manifest.feature_cols,
        )
    if place.kind in (Kind.NAMES, Kind.SAVED_ARRAYS):
        return _of_arrays(place, options, labels, needs_labels)
    _refuse(options, place, ("x_col", "y_col", "directory"))
    inferred = place.kind is Kind.CLASS_FOLDERS and not options.no_labels and labels is None
    if labels is None and not inferred and needs_labels and not options.no_labels:
        raise WrongUseError(
            f"{place.path!r} has files but no class folders. Put each class into a separate folder, or type "
            "--no-labels, or --labels FILE.npy."
        )
    return Manifest.from_directory(
        place.path,
        "inferred" if inferred else labels,
        extensions=options_extensions(options) or place.extensions or IMAGE_EXTENSIONS,
        **given(options, ("class_names", "follow_links")),
    )


def options_extensions(options: argparse.Namespace) -> Sequence[str] | None:
    """Return the option `--extensions` of the commands that have it."""
    return vars(options).get("extensions")


def holds_arrays(manifest: Manifest, path: str) -> bool:
    """Whether the files of a manifest are `.npy` files, and not images.

    Raises:
        WrongUseError: If they are neither.
    """
    suffix = os.path.splitext(str(manifest.filenames[0]))[1].lower()
    if suffix in ARRAY_EXTENSIONS:
        return True
    if suffix in IMAGE_EXTENSIONS:
        return False
    raise WrongUseError(
        f"{path!r} has files such as {str(manifest.filenames[0])!r}, which are neither images nor .npy files. Read "
        "them in Python: ko.NpyManifestSequence(manifest, reader=function)."
    )


def _of_csv(path: str, options: argparse.Namespace, needs_labels: bool) -> Manifest:
    _refuse(options, Place(path, Kind.CSV), ("labels", "follow_links"))
    header = _header(path)
    x_col = options.x_col or X_COL
    default = Y_COL if needs_labels or Y_COL in header else None
    y_col = None if options.no_labels else options.y_col or default
    columns = [name for name in [vars(options).get("groups")] if name is not None]
    for flag, name in (("--x-col", x_col), ("--y-col", y_col), *(("--groups", name) for name in columns)):
        if header and name is not None and name not in header:
            also = ", or --no-labels" if flag == "--y-col" else ""
            raise WrongUseError(
                f"{path}: there is no column {name!r}.{did_you_mean(name, header)} Columns: {listed(header)}. Type "
                f"{flag} COLUMN{also}."
            )
    return Manifest.from_csv(path, x_col, y_col, columns=columns, **given(options, ("directory", "class_names")))


def _of_arrays(place: Place, options: argparse.Namespace, labels: str | None, needs_labels: bool) -> Manifest:
    _refuse(options, place, ("x_col", "y_col", "follow_links"))
    filenames, found = (place.path, None) if place.kind is Kind.NAMES else load_arrays(place.path)
    chosen = None if options.no_labels else found if labels is None else labels
    if chosen is None and needs_labels and not options.no_labels:
        raise WrongUseError(f"{place.path!r} has file names without labels. Type --labels FILE.npy, or --no-labels.")
    manifest = Manifest.from_arrays(filenames, chosen, **given(options, ("directory", "class_names")))
    if not os.path.exists(manifest.path(0)):
        raise WrongUseError(
            f"{place.path!r} names {counted(len(manifest), 'file')}, and the first one, {manifest.path(0)!r}, does not "
            "exist. File names are relative to --directory, by default the working directory. Type --directory DIR."
        )
    return manifest


def _refuse(options: argparse.Namespace, place: Place, names: Sequence[str]) -> None:
    """Raise for options of files that have no effect on this kind of data."""
    for name in given(options, [name for name in names if name in FILES]):
        raise WrongUseError(
            f"--{name.replace('_', '-')} has no effect on {place.path!r} ({place.kind}). Type the command without it."
        )


def _header(path: str) -> Sequence[str]:
    """Return the names of the columns of a CSV file with commas, or `[]` if its first line cannot be read here."""
    from keras_oocore.csv.compression import first_text  # imports pyarrow

    try:
        text = first_text(path).decode("utf-8-sig", errors="replace")
        return next(csv.reader(io.StringIO(text, newline="")), [])
    except (DataError, csv.Error):  # the function that reads the file reports the error
        return []
