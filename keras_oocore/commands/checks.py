"""Reads everything that is stored at a path, and lists what is wrong."""

import argparse
import dataclasses
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_oocore.commands.checkpoints import latest_checkpoint
from keras_oocore.commands.kinds import TABLE_KINDS, Kind, Place, subfolders_with
from keras_oocore.commands.reading import in_threads
from keras_oocore.commands.samples import holds_arrays, manifest_of
from keras_oocore.core import storage
from keras_oocore.core.errors import DataError, SampleError
from keras_oocore.core.text import counted
from keras_oocore.images.reader import ImageReader
from keras_oocore.manifest.files import RECORD as MANIFEST_RECORD
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.manifest.splits import PARTS
from keras_oocore.sources.arrays import ArrayRows
from keras_oocore.sources.cache import open_samples
from keras_oocore.sources.files import FileSamples
from keras_oocore.sources.npy import NpyReader
from keras_oocore.store.format import RECORD as STORE_RECORD
from keras_oocore.store.reader import PackedStore

IMAGE_SIZE = (32, 32)  # all bytes are decoded for any size
FILES_PER_TASK, ROW_BYTES_PER_TASK = 32, 2**24


@dataclasses.dataclass
class Checked:
    """The result of a check.

    Attributes:
        num_samples: How much was read.
        noun: What was read, such as `"file"`.
        problems: What is wrong: the file, row or store → the reason.
        notes: What may be of interest, in words.
    """

    num_samples: int
    noun: str
    problems: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)

    def add(self, other: "Checked") -> None:
        """Add the result of another check."""
        self.num_samples += other.num_samples
        self.problems |= other.problems
        self.notes += other.notes


def check_files(place: Place, options: argparse.Namespace) -> Checked:
    """Read all files of class folders, a manifest or file names."""
    return _read_files(manifest_of(place, options, needs_labels=False), place.path, bool(options.strict))


def check_split(place: Place, options: argparse.Namespace) -> Checked:
    """Read all files of the parts of a split, and compare the parts: they should not overlap."""
    checked, owners = Checked(0, "file"), {}
    for name in [name for name in PARTS if (Path(place.path) / name / MANIFEST_RECORD).exists()]:
        folder = os.path.join(place.path, name)
        manifest = Manifest.load(folder)
        for path in map(os.path.abspath, manifest.file_paths):
            if owners.setdefault(path, name) != name:
                checked.problems[path] = f"it is in two parts: {owners[path]} and {name}"
        checked.add(_read_files(manifest, folder, bool(options.strict)))
    return checked


def check_store(place: Place, _: argparse.Namespace) -> Checked:
    """Compare all rows of packed stores with their checksums."""
    folders = [place.path]
    if place.kind is Kind.STORES:
        folders = [os.path.join(place.path, name) for name in subfolders_with(place.path, STORE_RECORD)]
    checked = Checked(0, "row")
    for folder in folders:
        try:
            store = PackedStore(folder)
            checked.num_samples += store.record.num_rows
            store.verify()
            if (Path(folder) / MANIFEST_RECORD).exists():
                open_samples(folder)
        except DataError as error:
            checked.problems[folder] = str(error)
            continue
        for row, reason in store.unreadable.items():
            checked.notes.append(f"row {row} of {folder} has no values, because its file could not be read: {reason}")
    return checked


def check_array(place: Place, _: argparse.Namespace) -> Checked:
    """Read all rows of a `.npy` file."""
    rows = ArrayRows(place.path)
    checked = Checked(len(rows), "row")
    array = rows.rows.array
    if rows.spec.dtype.kind not in "biufc":
        checked.problems[place.path] = f"its dtype is {rows.spec.dtype}, and not one of numbers"
        return checked
    step = max(1, ROW_BYTES_PER_TASK // max(1, array[:1].nbytes))

    def count(start: int) -> int:
        part = array[start : start + step]
        return int((~np.isfinite(part)).sum())

    not_finite = sum(in_threads(count, range(0, len(array), step), "parts", "reading"))
    if not_finite:
        checked.notes.append(f"{counted(not_finite, 'value')} are NaN or infinite")
    return checked


def check_table(place: Place, options: argparse.Namespace) -> Checked:
    """Parse all cells of a table."""
    from keras_oocore.commands.tables import open_table, refuse_dialect
    from keras_oocore.csv.cells import is_missing

    refuse_dialect(place, options)
    try:
        table = open_table(place, options)
    except DataError as error:
        return Checked(0, "row", dict([_named(error, place.path)]))
    columns, checked = list(table.columns.values()), Checked(0, "row")
    missing = dict.fromkeys(table.columns, 0)

    def parse(chunk: int):
        try:
            cells = table.read(chunk, columns)
        except DataError as error:
            return 0, {}, error
        return len(cells.rows), {name: int(is_missing(values).sum()) for name, values in cells.columns.items()}, None

    for num_rows, gaps, error in in_threads(parse, range(table.num_chunks), "parts", "parsing"):
        checked.num_samples += num_rows
        for name, count in gaps.items():
            missing[name] += count
        if error is not None:
            where, reason = _named(error, place.path)
            checked.problems[where] = reason
    skipped = table.num_rows + table.num_bad_rows - checked.num_samples
    if skipped and not checked.problems:
        checked.notes.append(f"{counted(skipped, 'row')} would be left out")
    checked.notes += [f"column {name!r}: {counted(count, 'cell')} missing" for name, count in missing.items() if count]
    return checked


def check_checkpoints(place: Place, _: argparse.Namespace) -> Checked:
    """Read the newest checkpoint, and those after it that are damaged."""
    try:
        _, damaged = latest_checkpoint(place.path)
    except DataError as error:
        return Checked(0, "checkpoint", {place.path: str(error)})
    return Checked(1, "checkpoint", {f"checkpoint {number}": reason for number, reason in enumerate(damaged)})


def check_zip(place: Place, _: argparse.Namespace) -> Checked:
    """Compare all files of a zip file with their checksums."""
    try:
        with zipfile.ZipFile(place.path) as archive:
            damaged = archive.testzip()
            checked = Checked(len(archive.infolist()), "file")
    except Exception as error:  # zipfile raises nearly any error for a damaged file
        return Checked(0, "file", {place.path: f"it is not a complete zip file: {error}"})
    if damaged is not None:
        checked.problems[damaged] = "its content has changed"
    return checked


def _named(error: DataError, path: str) -> tuple[str, str]:
    """Return the place that an error of a table names, such as `houses.csv: row 3 (line 5)`, and the reason."""
    where = re.match(
        r"(.*?: row \d+ \((?:line|row group|record batch) \d+\)(?:, column .*? \(#\d+\))?|.*?): (.*)",
        str(error),
        re.DOTALL,
    )
    return (where[1], where[2]) if where else (path, str(error))


CHECKS: dict[Kind, Callable[[Place, argparse.Namespace], Checked]] = {
    Kind.SPLIT: check_split,
    Kind.STORE: check_store,
    Kind.STORES: check_store,
    Kind.TABLE_CACHE: check_store,
    Kind.ARRAY: check_array,
    **dict.fromkeys(TABLE_KINDS, check_table),
    Kind.CHECKPOINTS: check_checkpoints,
    Kind.ZIP: check_zip,
}


def _read_files(manifest: Manifest, path: str, strict: bool) -> Checked:
    checked = Checked(len(manifest), "file")
    try:
        is_array = holds_arrays(manifest, path)
        reader = NpyReader(_first_readable(manifest)) if is_array else ImageReader(IMAGE_SIZE, strict=strict)
    except SampleError as error:
        checked.problems[path] = str(error)
        return checked
    samples = FileSamples(manifest, reader)

    def read(start: int) -> dict[int, SampleError]:
        numbers = np.arange(start, min(start + FILES_PER_TASK, len(manifest)))
        out = np.empty((len(numbers), *samples.spec.shape), samples.spec.dtype)
        return {int(numbers[row]): error for row, error in samples.read(numbers, out).items()}

    starts = range(0, len(manifest), FILES_PER_TASK)
    for errors in in_threads(read, starts, "files", "reading", len(manifest), FILES_PER_TASK):
        checked.problems |= {manifest.path(sample): error.reason or str(error) for sample, error in errors.items()}
    checked.notes += [f"{manifest.path(i)} may be damaged: {why}" for i, why in sorted(samples.doubtful().items())]
    return checked


def _first_readable(manifest: Manifest) -> str:
    """Return the first `.npy` file that can be opened, which defines the shape of all."""
    for path in manifest.file_paths:
        try:
            NpyReader(path)
        except (SampleError, OSError):
            continue
        return path
    if not any(map(storage.exists, manifest.file_paths)):
        raise SampleError(
            f"none of its files exists, such as {manifest.path(0)!r}. To name their folder, type --directory FOLDER"
        )
    raise SampleError("none of its .npy files can be read")
