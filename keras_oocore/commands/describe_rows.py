"""Describes rows of arrays on disk: one array, packed stores, and the caches of CSV files."""

import argparse
import os
from pathlib import Path

import numpy as np

from keras_oocore.commands.describe_files import class_counts, features_beside, outputs_of
from keras_oocore.commands.description import Description
from keras_oocore.commands.kinds import Kind, Place, subfolders_with
from keras_oocore.commands.recipes import opened, predicting, quoted, training
from keras_oocore.commands.table_recipes import cached_code
from keras_oocore.core.npy import load_array
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.text import counted
from keras_oocore.manifest import files as manifest_files
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sources.arrays import ArrayRows
from keras_oocore.sources.layout import RowSpec, described, fields_of, image_field, stored_spec
from keras_oocore.sources.stored import rows_name
from keras_oocore.store.format import RECORD, StoreRecord

TRAINING, VALIDATION = ("training", "train"), "validation"  # names of the parts of a cache, and of a split


def describe_array(place: Place, options: argparse.Namespace) -> Description:
    """Describe a `.npy` file of numbers."""
    rows = ArrayRows(place.path)
    shape, dtype, size_bytes = rows.spec.shape, rows.spec.dtype, os.path.getsize(place.path)
    facts = {"num_samples": len(rows), "shape": list(shape), "dtype": str(dtype), "size_bytes": size_bytes}
    lines = [f"array: {counted(len(rows), 'row')} of shape {shape}, {dtype}, {format_bytes(size_bytes)}"]
    if not len(rows):
        return Description(lines, facts, advice="The file has no rows.", found=True)
    if dtype.kind not in "biufc":
        advice = "A model requires numbers: convert them, and save them again with numpy.save."
        return Description(lines, facts, advice=advice, found=True)
    path = options.labels or _labels_beside(place.path, len(rows))
    if path is None or options.no_labels:
        code = predicting(f"ko.ArraySequence({quoted(place.path)}, labels=None, shuffle=False)", "row i of the file")
        return Description([*lines, "labels: none found beside it; type --labels FILE.npy"], facts, code)
    labels = load_array(path)
    lines.append(f"labels: {path}, shape {labels.shape}, {labels.dtype}")
    manifest = Manifest(np.array([""] * len(labels), dtype="U1"), labels)
    call = f"ko.ArraySequence({quoted(place.path)}, {quoted(path)}, seed=0)"
    code = training(opened(call, len(rows), class_counts(manifest)), shape, outputs_of(manifest))
    return Description(lines, {**facts, "labels": path}, code)


def describe_store(place: Place, options: argparse.Namespace) -> Description:
    """Describe a packed store, or the cache of CSV files."""
    line, facts, complete = _store(place.path)
    if not complete:
        again = "Type the same keras-oocore pack again, or train with the same cache= again, which completes it."
        return Description([line], facts, advice=again, found=True)
    if place.kind is Kind.TABLE_CACHE:
        return Description([line], facts, cached_code(place.path, place.path), advice=_same_arguments(place.path))
    manifest = Manifest.load(place.path)
    lines = [line, str(manifest)]
    call = f"ko.open_packed({quoted(place.path)}{', on_error=' + quoted('skip') if facts['unreadable'] else ''}"
    if manifest.labels is None:
        return Description(lines, facts, predicting(f"{call}, shuffle=False)", "batches.served_paths[i]"))
    facts["classes"] = dict(zip(manifest.class_names or (), class_counts(manifest))) or None
    lines_of_code = opened(f"{call}, seed=0)", len(manifest), class_counts(manifest))
    beside = features_beside(manifest, _rows_name(place.path))
    return Description(lines, facts, training(lines_of_code, facts["shape"], outputs_of(manifest), beside=beside))


def describe_stores(place: Place, options: argparse.Namespace) -> Description:
    """Describe a folder with one packed store per subset."""
    folders = [os.path.join(place.path, name) for name in subfolders_with(place.path, RECORD)]
    found = {folder: _store(folder) for folder in folders}
    lines = [f"{folder}: {line}" for folder, (line, _, _) in found.items()]
    facts = {"stores": {folder: facts for folder, (_, facts, _) in found.items()}}
    if not all(complete for *_, complete in found.values()):
        return Description(lines, facts, advice="A store is unfinished: train with the same cache= again.", found=True)
    if not (Path(folders[0]) / manifest_files.RECORD).exists():
        return Description(lines, facts, cached_code(folders[0], place.path), advice=_same_arguments(place.path))
    by_name = {os.path.basename(folder): folder for folder in folders}
    first = next((by_name[name] for name in TRAINING if name in by_name), folders[0])
    manifest = Manifest.load(first)
    if manifest.labels is None:
        return Description(lines, facts, predicting(f"ko.open_packed({quoted(first)}, shuffle=False)", "its file i"))
    code = [f"train = ko.open_packed({quoted(first)}, seed=0)"]
    if VALIDATION in by_name:
        code.append(f"val = ko.open_packed({quoted(by_name[VALIDATION])}, shuffle=False)")
    beside = features_beside(manifest, _rows_name(first))
    return Description(lines, facts, training(code, found[first][1]["shape"], outputs_of(manifest), beside=beside))


def _rows_name(directory: str) -> str:
    return rows_name(StoreRecord.load(Path(directory)).fingerprint)


def _same_arguments(cache: str) -> str:
    """Return what to do with a cache whose fingerprint does not determine the code, such as one of several inputs."""
    return f"To train from it, make the Sequence with the arguments it was stored with, and cache={cache!r}."


def _store(directory: str) -> tuple[str, dict, bool]:
    """Return a line, the facts, and whether the store is complete."""
    record = StoreRecord.load(Path(directory))
    spec = stored_spec(record.fields, record.fingerprint) or RowSpec(*next(iter(record.fields.values())))
    arrays = fields_of(spec)
    shape, dtype = arrays[image_field(spec) or next(iter(arrays))]
    facts = {
        "complete": record.complete,
        "num_samples": record.num_rows,
        "shape": list(shape),
        "dtype": str(dtype),
        "size_bytes": record.size_bytes,
        "unreadable": {str(row): reason for row, reason in record.unreadable.items()},
    }
    if len(arrays) > 1:
        facts["arrays"] = {
            name: {"shape": list(array.shape), "dtype": str(array.dtype)} for name, array in arrays.items()
        }
        line = f"{counted(record.num_rows, 'row')} of {described(arrays)}, {format_bytes(record.size_bytes)}"
    else:
        line = f"{counted(record.num_rows, 'row')} of shape {shape}, {dtype}, {format_bytes(record.size_bytes)}"
    if record.unreadable:
        line += f", {counted(len(record.unreadable), 'unreadable file')} remembered"
    return line + ("" if record.complete else ", unfinished"), facts, record.complete


def _labels_beside(path: str, num_rows: int) -> str | None:
    """Return the file of labels that seems to belong to an array, such as `y_train.npy` beside `X_train.npy`."""
    folder, name = os.path.split(path)
    names = [name.replace("X", "y"), name.replace("x", "y"), "y.npy", "labels.npy"]
    for other in (os.path.join(folder, other) for other in names if other != name):
        if os.path.isfile(other) and len(ArrayRows(other)) == num_rows:
            return other
    return None
