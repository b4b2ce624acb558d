"""Describes samples that are files: class folders, manifests, file names, and folders without classes."""

import argparse
import os
from collections import Counter
from pathlib import Path

import numpy as np

from keras_oocore.commands.description import Description
from keras_oocore.commands.kinds import Kind, Place
from keras_oocore.commands.recipes import Beside, Outputs, opened, predicting, quoted, training
from keras_oocore.commands.report import WrongUseError, to_type
from keras_oocore.commands.samples import X_COL, Y_COL, holds_arrays, manifest_of
from keras_oocore.core import storage
from keras_oocore.core.errors import SampleError
from keras_oocore.core.text import counted
from keras_oocore.images.reader import ImageReader
from keras_oocore.manifest.files import FILENAMES, LABELS
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.manifest.splits import PARTS
from keras_oocore.sources.npy import NpyReader

LOOKED_AT = 8  # files that are opened
LARGEST_SIDE = 224  # of images in the code; larger ones are resized to it


def describe_files(place: Place, options: argparse.Namespace) -> Description:
    """Describe the files at a path. A few of them are opened."""
    labels = options.labels or _labels_beside(place)
    if labels is not None and not options.no_labels:
        options = argparse.Namespace(**{**vars(options), "labels": labels})
    manifest = manifest_of(place, options, needs_labels=False)
    missing = [path for path in manifest.file_paths if not storage.exists(path)]
    facts = {
        "num_samples": len(manifest),
        "classes": _class_counts(manifest),
        "labels": None if manifest.labels is None else _spec(manifest.labels),
        "directory": None if manifest.directory is None else os.fspath(manifest.directory),
        "formats": Counter(os.path.splitext(name)[1].lower() for name in manifest.filenames.tolist()),
        "columns": list(manifest.columns),
        "features": manifest.feature_cols,
        "missing": len(missing),
        "skipped": manifest.skipped,
    }
    lines = str(manifest.summary()).splitlines()
    if manifest.columns:
        lines.append(f"columns: {', '.join(manifest.columns)}")
    if missing:
        advice = "Some files do not exist. Check the paths above."
        if len(missing) == len(manifest):
            advice = "None of the files exists. To name the folder that the names are relative to: --directory FOLDER"
        return Description(lines, facts, advice=advice, found=True)
    try:
        shape, more, problems = _looked_at(manifest, place.path)
    except WrongUseError as error:  # neither images nor .npy files
        return Description(lines, facts, advice=str(error))
    lines += [more["text"]] if "text" in more else []
    lines += problems
    facts |= {name: value for name, value in more.items() if name != "text"} | {"unreadable": problems}
    if shape is None:
        advice = f"To check all files, type: {to_type('verify', place.path)}"
        return Description(lines, facts, advice=advice, found=True)
    return Description(lines, facts, _code(place, options, manifest, shape), found=bool(problems))


def describe_split(place: Place, options: argparse.Namespace) -> Description:
    """Describe a folder with one manifest per part."""
    folders = {name: os.path.join(place.path, name) for name in PARTS if (Path(place.path) / name).is_dir()}
    manifests = {name: Manifest.load(folder) for name, folder in folders.items()}
    train = manifests["train"]
    shape, _, problems = _looked_at(train, folders["train"])
    lines = [f"{name:<12}{manifest}" for name, manifest in manifests.items()] + problems
    facts = {"parts": {name: {"path": folders[name], "num_samples": len(manifests[name])} for name in folders}}
    if shape is None or train.labels is None:
        return Description(lines, facts, advice="Type the path of one part.", found=shape is None)
    calls = {name: _call(f"ko.Manifest.load({quoted(folder)})", train, shape) for name, folder in folders.items()}
    code = [f"train = {calls['train'][:-1]}, seed=0)"]
    if "validation" in calls:
        code.append(f"val = {calls['validation'][:-1]}, shuffle=False)")
    return Description(
        lines, facts, training(code, shape, outputs_of(train), beside=_beside(train)), found=bool(problems)
    )


def outputs_of(manifest: Manifest) -> Outputs:
    """Return the outputs of a model of these labels."""
    labels = manifest.labels
    if manifest.class_names:
        return Outputs(str(len(manifest.class_names)), len(manifest.class_names))
    if counts := class_counts(manifest):
        return Outputs(str(len(counts)), len(counts))
    return Outputs(str(int(np.prod(labels.shape[1:]))))


def class_counts(manifest: Manifest) -> list[int]:
    """Return the number of samples of each class, or `[]` if the labels are not classes."""
    labels = manifest.labels
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min() < 0:
        return []
    return np.bincount(labels, minlength=len(manifest.class_names or ())).tolist()


def _class_counts(manifest: Manifest) -> dict[str, int] | None:
    return dict(zip(manifest.class_names, class_counts(manifest))) if manifest.class_names else None


def features_beside(manifest: Manifest, rows_name: str) -> Beside | None:
    """Return the features that a manifest has beside its files, for the code of a model."""
    return None if manifest.features is None else Beside(rows_name, manifest.features.shape[1])


def _beside(manifest: Manifest) -> Beside | None:
    return features_beside(manifest, "array" if holds_arrays(manifest, "") else "image")


def _spec(array: np.ndarray) -> dict:
    return {"shape": list(array.shape), "dtype": str(array.dtype)}


def _labels_beside(place: Place) -> str | None:
    """Return the file of labels that seems to belong to an array of file names, such as `y_train.npy`."""
    if place.kind is not Kind.NAMES:
        return None
    folder, name = os.path.split(place.path)
    near = [name.replace("X_", "y_").replace("x_", "y_").replace("_filenames", ""), name.replace("filenames", "labels")]
    return next((path for path in (os.path.join(folder, n) for n in near if n != name) if os.path.isfile(path)), None)


def _looked_at(manifest: Manifest, path: str) -> tuple[tuple[int, ...] | None, dict, list[str]]:
    """Return the shape for the code, what a few files are, and the problems of those that cannot be read."""
    samples = np.unique(np.linspace(0, len(manifest) - 1, LOOKED_AT, dtype=int)).tolist()
    if holds_arrays(manifest, path):
        try:
            reader = NpyReader(manifest.path(0))
        except (SampleError, OSError) as error:
            return None, {}, [f"{manifest.path(0)}: {error}"]
        spec = {"shape": list(reader.shape), "dtype": str(reader.dtype)}
        return reader.shape, {**spec, "text": f"arrays: shape {reader.shape}, {reader.dtype}"}, []
    sizes, modes, problems = [], set(), []
    for sample in samples:
        try:
            size, mode = _image(manifest.path(sample))
        except Exception as error:  # Pillow raises nearly any error for a damaged file
            problems.append(f"{manifest.path(sample)}: {error}")
            continue
        sizes.append(size)
        modes.add(mode)
    if not sizes:
        return None, {}, problems
    low, high, middle = (function(sizes, axis=0).astype(int).tolist() for function in (np.min, np.max, np.median))
    text = f"images: {low[0]}x{low[1]}" + (f" to {high[0]}x{high[1]}" if high != low else "")
    text += f" (height x width), {', '.join(sorted(modes))}; {counted(len(sizes), 'file')} opened"
    sides = (LARGEST_SIDE, LARGEST_SIDE) if min(middle) >= LARGEST_SIDE else tuple(middle)
    return (*sides, 3), {"smallest": low, "largest": high, "modes": sorted(modes), "text": text}, problems


def _image(path: str) -> tuple[tuple[int, int], str]:
    """Return height and width, and the mode, of an image that can be decoded."""
    from PIL import Image

    ImageReader((8, 8)).read_into(path, np.empty((8, 8, 3), np.uint8))
    try:
        with Image.open(path) as image:
            return (image.height, image.width), image.mode
    except OSError:  # a format that Pillow does not know
        return (LARGEST_SIDE, LARGEST_SIDE), "unknown mode"


def _code(place: Place, options: argparse.Namespace, manifest: Manifest, shape: tuple[int, ...]) -> str:
    path = quoted(place.path)
    if place.kind in (Kind.NAMES, Kind.SAVED_ARRAYS):
        names, labels = path, options.labels
        if place.kind is Kind.SAVED_ARRAYS:
            names = quoted(os.path.join(place.path, FILENAMES))
            labels = options.labels or os.path.join(place.path, LABELS)
        labels = "None" if manifest.labels is None else quoted(labels)
        data = f"{names}, {labels}, directory={quoted(options.directory or '.')}"
    elif place.kind is Kind.CSV:
        columns = {"x_col": options.x_col, "y_col": options.y_col, "directory": options.directory}
        chosen = [f"{name}={quoted(value)}" for name, value in columns.items() if value not in (None, X_COL, Y_COL)]
        data = f"ko.Manifest.from_csv({', '.join([path, *chosen, *['y_col=None'] * (manifest.labels is None)])})"
    elif place.kind is Kind.MANIFEST:
        data = f"ko.Manifest.load({path})"
    else:
        labels = options.labels and quoted(options.labels)
        data = f"{path}, {labels}" if labels else path if manifest.labels is not None else f"{path}, labels=None"
    call = _call(data, manifest, shape)
    if manifest.labels is None:
        return predicting(f"{call[:-1]}, shuffle=False)", "batches.served_paths[i]")
    lines = opened(f"{call[:-1]}, seed=0)", len(manifest), class_counts(manifest))
    return training(lines, shape, outputs_of(manifest), beside=_beside(manifest))


def _call(data: str, manifest: Manifest, shape: tuple[int, ...]) -> str:
    """Return the code of a Sequence."""
    raw = manifest.labels is not None and not class_counts(manifest)
    if holds_arrays(manifest, ""):
        return f"ko.NpyManifestSequence({data})"
    return f"ko.ImageFolderSequence({data}, image_size={shape[:2]}{', label_mode=' + quoted('raw') if raw else ''})"
