"""Describes an HDF5 file: its datasets, and how to train from the rows of one of them."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_oocore.commands.describe_files import class_counts, outputs_of
from keras_oocore.commands.description import Description
from keras_oocore.commands.kinds import Place
from keras_oocore.commands.recipes import opened, predicting, quoted, training
from keras_oocore.commands.report import WrongUseError
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.text import counted, did_you_mean, listed
from keras_oocore.manifest.inputs import as_label_array, as_labels
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sources.hdf5_file import open_hdf5, read_labels

LISTED = 20
LABELS = ("labels", "label", "targets", "target", "classes", "y")  # usual names, in this order


class Dataset(NamedTuple):
    """What is written about a dataset."""

    shape: tuple[int, ...]
    dtype: str
    chunks: tuple[int, ...] | None
    size_bytes: int
    has_rows: bool


def describe_hdf5(place: Place, options: argparse.Namespace) -> Description:
    """Describe an HDF5 file."""
    found = _datasets(Path(place.path))
    facts: dict[str, Any] = {"datasets": {name: dataset._asdict() for name, dataset in found.items()}}
    lines = [_line(name, dataset) for name, dataset in [*found.items()][:LISTED]]
    if len(found) > LISTED:
        lines.append(f"and {len(found) - LISTED:,} more")
    name = _chosen(found, options.dataset, place.path)
    if name is None:
        some = [name for name, dataset in found.items() if dataset.has_rows]
        if not some:
            return Description(lines, facts, advice="The file has no dataset with rows of numbers.", found=True)
        advice = f"To see how to train from one of them, type --dataset NAME: {listed(some[:LISTED])}"
        return Description(lines, facts, advice=advice)
    return _with_rows(place.path, name, found, options, lines, {**facts, "dataset": name})


def _datasets(path: Path) -> dict[str, Dataset]:
    found = {}

    def add(name: str, thing: Any) -> None:
        if hasattr(thing, "chunks"):
            shape = thing.shape or ()
            has_rows = bool(shape) and thing.dtype.kind in "biufc"
            found[name] = Dataset(shape, str(thing.dtype), thing.chunks, int(thing.nbytes), has_rows)

    with open_hdf5(path) as file:
        file.visititems(add)
    return found


def _line(name: str, dataset: Dataset) -> str:
    layout = f", chunks of {counted(dataset.chunks[0], 'row')}" if dataset.chunks else ""
    return f"{name}: {dataset.dtype} {dataset.shape}, {format_bytes(dataset.size_bytes)}{layout}"


def _chosen(found: Mapping[str, Dataset], typed: str | None, path: str) -> str | None:
    """Return the dataset that was typed, or the only one whose rows may be samples."""
    if typed is not None:
        if typed.strip("/") not in found:
            raise WrongUseError(
                f"{path!r} has no dataset {typed!r}.{did_you_mean(typed, found)} Datasets: {listed([*found][:LISTED])}"
            )
        return typed.strip("/")
    names = [name for name, dataset in found.items() if dataset.has_rows and len(dataset.shape) > 1]
    return names[0] if len(names) == 1 else None


def _with_rows(
    path: str, name: str, found: Mapping[str, Dataset], options: argparse.Namespace, lines: list[str], facts: dict
) -> Description:
    """Describe the rows of one dataset."""
    dataset = found[name]
    num_rows = dataset.shape[0] if dataset.shape else 0
    if not dataset.has_rows or not num_rows:
        return Description(lines, facts, advice=f"The dataset {name!r} has no rows of numbers.", found=True)
    call = f"ko.ArraySequence({quoted(path)}, {{}}, dataset={quoted(name)}, {{}})"
    labels = None if options.no_labels else options.labels or _labels_beside(name, found)
    if labels is None:
        lines = [*lines, "labels: none found; type --labels NAME, another dataset, or --labels FILE.npy"]
        code = predicting(call.format("labels=None", "shuffle=False"), "row i of the dataset")
        return Description(lines, facts, code)
    values = as_label_array(labels if labels.endswith(".npy") else read_labels(path, labels))
    lines = [*lines, f"labels: {labels}, shape {values.shape}, {values.dtype}"]
    mode, class_names = "seed=0", None
    if values.dtype.kind == "U":
        mode, (values, class_names) = 'label_mode="int", seed=0', as_labels(values, None, values)
    manifest = Manifest(np.array([""] * len(values), "U1"), values, class_names)
    code = training(
        opened(call.format(quoted(labels), mode), num_rows, class_counts(manifest)),
        dataset.shape[1:],
        outputs_of(manifest),
    )
    return Description(lines, {**facts, "labels": labels}, code)


def _labels_beside(name: str, found: Mapping[str, Dataset]) -> str | None:
    """Return the dataset of labels that seems to belong to another dataset: of as many rows, in the same group."""
    group = name.rpartition("/")[0]
    for label in LABELS:
        other = f"{group}/{label}".lstrip("/")
        if other != name and other in found and found[other].shape[:1] == found[name].shape[:1]:
            return other
    return None
