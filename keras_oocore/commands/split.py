"""`keras-oocore split`: manifests of the training, validation and test samples, each in a separate folder."""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.commands.arguments import add_command, add_files, add_json
from keras_oocore.commands.kinds import TABLE_KINDS, Kind, Place, place_of
from keras_oocore.commands.opening import why_not
from keras_oocore.commands.report import Report, WrongUseError, to_type
from keras_oocore.commands.samples import manifest_of, names_files
from keras_oocore.core.errors import DataError, DestinationError
from keras_oocore.core.locks import LOCK_NAME, write_lock
from keras_oocore.core.npy import load_array
from keras_oocore.core.text import counted, listed
from keras_oocore.manifest.files import FILENAMES, LABELS, RECORD
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.manifest.splits import PARTS

SAVED = {FILENAMES, LABELS, RECORD, LOCK_NAME}
DEFAULT_SPLIT = 0.2


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = add_command(
        commands,
        "split",
        run,
        "divide files into training, validation and test parts",
        """
        Divide the samples of class folders, a manifest, arrays of file names, or a CSV file with a column of file
        names. Each part is saved as a manifest in DESTINATION/train, DESTINATION/validation and DESTINATION/test. No
        file is copied. The same seed gives the same parts. In Python: Manifest.split(...)
        """,
        """
        keras-oocore split plant_seedlings split --validation-split 0.2 --test-split 0.1 --seed 0
        keras-oocore split train.csv split --x-col image --y-col species --groups patient
        """,
    )
    command.add_argument("path", help="class folders, a manifest, arrays of file names, or a CSV file of file names")
    command.add_argument("destination", nargs="?", help="folder for the parts (default: NAME_split)")
    command.add_argument(
        "--validation-split", type=number, metavar="N", help="fraction or number of samples (default: 0.2)"
    )
    command.add_argument("--test-split", type=number, metavar="N", help="fraction or number of samples")
    command.add_argument(
        "--stratify",
        action=argparse.BooleanOptionalAction,
        help="keep the proportions of the classes (default: with labels)",
    )
    command.add_argument(
        "--groups", metavar="COLUMN", help="samples of one group stay together: a column, or a .npy file"
    )
    command.add_argument("--seed", type=int, default=0, help="seed of the split (default: 0)")
    command.add_argument(
        "--no-shuffle", dest="shuffle", action="store_false", help="split off the last samples, in order"
    )
    command.add_argument("--extensions", nargs="+", metavar=".EXT", help="files to use (default: images)")
    add_files(command)
    add_json(command)


def run(options: argparse.Namespace) -> Report:
    """Run the command."""
    place = place_of(options.path)
    if not names_files(place, options):
        raise WrongUseError(_table(place) if place.kind in TABLE_KINDS else _not_files(place))
    manifest = manifest_of(place, options)
    if options.validation_split is None and options.test_split is None:
        options.validation_split = DEFAULT_SPLIT
    stratify = _stratifies(manifest) and options.shuffle if options.stratify is None else options.stratify
    groups = None if options.groups is None else _groups(manifest, options.groups)
    made = manifest.split(
        options.validation_split, options.test_split, stratify, groups, options.seed, shuffle=options.shuffle
    )
    wanted = (True, options.validation_split is not None, options.test_split is not None)
    parts = dict(zip([name for name, is_wanted in zip(PARTS, wanted) if is_wanted], made))
    destination = Path(options.destination or f"{Path(place.path).resolve().stem}_split")
    with write_lock(destination):
        _require_same(destination, parts)
        for name, part in parts.items():
            part.save(destination / name)
    return _report(parts, destination, options.seed)


def number(text: str) -> int | float:
    """Return a number of samples, or a fraction."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def _stratifies(manifest: Manifest) -> bool:
    """Whether the labels are classes, so that the parts can have the same proportions of them."""
    return manifest.class_names is not None or (manifest.labels is not None and manifest.labels.dtype.kind in "iuU")


def _groups(manifest: Manifest, groups: str) -> np.ndarray:
    if groups in manifest.columns:
        return manifest.columns[groups]
    if Path(groups).suffix == ".npy" and Path(groups).is_file():
        return load_array(groups)
    columns = f", one of {listed(manifest.columns)}" if manifest.columns else ""
    raise WrongUseError(
        f"--groups should be a column{columns}, or a .npy file with one group per sample. Received: {groups!r}"
    )


def _require_same(destination: Path, parts: dict[str, Manifest]) -> None:
    """Check that the folders of the parts are new, or have these parts: parts of two splits would overlap.

    Raises:
        DestinationError: If one has other files, or a part of another split.
    """
    for name in PARTS:
        folder = destination / name
        try:
            others = sorted({entry for entry in os.listdir(folder) if not entry.startswith(".")} - SAVED)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DestinationError(f"Cannot use {os.fspath(folder)!r}: {error.strerror or error}.") from error
        if others:
            raise DestinationError(
                f"{os.fspath(folder)!r} contains other files ({', '.join(others[:3])}). Choose another DESTINATION."
            )
        if (folder / RECORD).exists() and not (name in parts and _is_same(folder, parts[name])):
            raise DestinationError(
                f"{os.fspath(folder)!r} contains a part of another split, which would overlap with this one. Remove "
                f"{os.fspath(destination)!r}, or choose another DESTINATION."
            )


def _is_same(folder: Path, part: Manifest) -> bool:
    try:
        saved = Manifest.load(folder)
    except DataError:
        return False
    same_labels = (saved.labels is None) == (part.labels is None) and (
        part.labels is None or np.array_equal(saved.labels, part.labels)
    )
    return same_labels and np.array_equal(saved.filenames, part.filenames) and saved.class_names == part.class_names


def _report(parts: dict[str, Manifest], destination: Path, seed: int) -> Report:
    folders = {name: os.path.join(destination, name) for name in parts}
    lines = [f"{name:<12}{counted(len(part), 'sample'):<16} {folders[name]}" for name, part in parts.items()]
    facts = {
        "seed": seed,
        "parts": {name: {"path": folders[name], "num_samples": len(part)} for name, part in parts.items()},
    }
    return Report("\n".join([*lines, "", f"next: {to_type('info', destination)}"]), facts)


def _table(place: Place) -> str:
    path, is_csv = place.path, place.kind is Kind.CSV
    return (
        f"{path!r} is a table, which is split in Python without writing files: train, val = "
        f"ko.{'CSVChunkSequence' if is_csv else 'TableSequence'}({path!r}, target=...).split(validation_split=0.2, "
        "seed=0). To store both parts, type keras-oocore pack with --validation-split."
        f"{' If a column has file names, type --x-col COLUMN.' * is_csv}"
    )


def _not_files(place: Place) -> str:
    if place.kind in (Kind.STORE, Kind.ARRAY):
        call = f"ko.open_packed({place.path!r})" if place.kind is Kind.STORE else f"ko.ArraySequence({place.path!r}, y)"
        return (
            f"{place.path!r} has rows and not files. Split them in Python: train, val = {call}.split("
            "validation_split=0.2, seed=0)"
        )
    return why_not(place)
