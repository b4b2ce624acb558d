"""Converts the arguments of a Sequence into samples with labels and weights, or those of a subset."""

import functools
import operator
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from keras_oocore.batches.options import BatchOptions
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import shown
from keras_oocore.manifest.inputs import as_label_array, as_labels, require_same_length
from keras_oocore.manifest.label_checks import (
    refuse_file_names,
    warn_of_empty_classes,
    warn_of_one_class_per_sample,
)
from keras_oocore.manifest.labels import LabelMode, Labels
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.ordering.permutation import split_order
from keras_oocore.sequences.arguments import Subset
from keras_oocore.sequences.labelled_data import LabelledData
from keras_oocore.sequences.sampling import Sampling
from keras_oocore.sources.arrays import ArrayRows
from keras_oocore.sources.base import Source
from keras_oocore.sources.layout import has_answer

SUBSETS = get_args(Subset)


def as_manifest(
    data: Any,
    labels: Any,
    class_names: Sequence[str] | None,
    directory: str | os.PathLike[str] | None,
    extensions: tuple[str, ...],
    follow_links: bool = False,
    raw: bool = False,
) -> Manifest:
    """Return a manifest of the files of a directory, of another manifest, or of a list of file names.

    Args:
        data: Directory of class folders, `Manifest`, or file names as an array, a list or the path of a `.npy` file.
        labels: `"inferred"` from class folders or the manifest, `None`, or one label per sample.
        class_names: Names of the classes in the order of their indices, or `None`.
        directory: Directory that file names are relative to, or `None`.
        extensions: Suffixes of the files to use from a directory.
        follow_links: Whether to visit directories that symbolic links point to.
        raw: Whether numeric labels stay as they are. Otherwise whole numbers become class indices.
    """
    if raw and labels is not None and not (isinstance(labels, str) and labels == "inferred"):
        values = as_label_array(labels)
        if values.dtype.kind in "biufc":
            files = _manifest(data, None, None, directory, extensions, follow_links)
            return _relabelled(files, values, class_names, files.directory, files.skipped)
    return _manifest(data, labels, class_names, directory, extensions, follow_links)


def _manifest(data, labels, class_names, directory, extensions: tuple[str, ...], follow_links: bool) -> Manifest:
    inferred = isinstance(labels, str) and labels == "inferred"
    if isinstance(data, Manifest):
        if directory is not None:
            data = _relabelled(data, data.labels, data.class_names, directory)
        if inferred and class_names is None:
            return data
        labels = data.labels if inferred else labels
        class_names = None if labels is None else class_names or data.class_names
        made = Manifest.from_arrays(data.filenames, labels, data.current_directory, class_names)
        return _relabelled(data, made.labels, made.class_names, made.directory)
    if is_directory(data):
        if directory is not None:
            if Path(data).suffix.lower() in (".csv", ".tsv"):
                raise OptionError(
                    f"`data` should be file names, a folder or a manifest. Received: data={os.fspath(data)!r}. If it "
                    f"lists files: Manifest.from_csv({os.fspath(data)!r}, directory={os.fspath(directory)!r})"
                )
            raise OptionError(
                "`directory` is for file names. Received: "
                f"data={os.fspath(data)!r}, which is a directory, and directory={os.fspath(directory)!r}"
            )
        return Manifest.from_directory(data, labels, class_names, extensions, follow_links)
    if inferred and _are_directories(data):
        parts = [Manifest.from_directory(folder, "inferred", class_names, extensions, follow_links) for folder in data]
        return functools.reduce(operator.add, parts)
    if inferred:
        if hasattr(data, "columns"):
            raise OptionError(
                "`data` should be a folder, file names or a manifest. For the file names and classes of a table: "
                f'ko.Manifest.from_csv(data, x_col="filename", y_col="class", directory=...). Received: {shown(data)}'
            )
        raise OptionError('File names require labels: pass labels=..., or labels=None. Received: labels="inferred"')
    return Manifest.from_arrays(data, labels, directory, class_names)


def _relabelled(manifest: Manifest, labels: Any, class_names: Any, directory: Any, skipped: Any = None) -> Manifest:
    """Return the samples of a manifest, with their columns and features, and with other labels or another directory."""
    return Manifest(
        manifest.filenames,
        labels,
        class_names,
        directory,
        skipped,
        manifest.columns,
        manifest.indices,
        manifest.features,
        manifest.feature_cols,
    )


def is_directory(data: Any) -> bool:
    """Whether `data` is the path of a directory, for `as_manifest`."""
    return isinstance(data, str | os.PathLike) and Path(data).suffix.lower() != ".npy"


def _are_directories(data: Any) -> bool:
    """Whether `data` is a list of existing directories."""
    names = data if isinstance(data, list | tuple) else ()
    return bool(names) and all(isinstance(name, str | os.PathLike) and os.path.isdir(name) for name in names)


def is_array_of_numbers(data: Any) -> bool:
    """Whether `data` is an array of numbers, or the path of a `.npy` file of numbers."""
    dtype = array_dtype(data)
    return dtype is not None and dtype.kind in "biufc"


def array_dtype(data: Any) -> np.dtype | None:
    """Return the dtype of an array, or of the array in a `.npy` file. `None` if `data` is neither."""
    if isinstance(data, np.ndarray):
        return data.dtype
    if isinstance(data, str | os.PathLike) and Path(data).suffix.lower() == ".npy":
        return ArrayRows(data).spec.dtype
    return None


def row_labels(
    labels: Any, class_names: Sequence[str] | None, num_rows: int
) -> tuple[np.ndarray | None, list[str] | None]:
    """Return the labels of rows of an array, and class names. Strings become class indices."""
    if labels is None:
        return None, class_names
    if isinstance(labels, str) and labels == "inferred":
        raise OptionError(
            'Rows of an array require labels: pass labels=..., or labels=None. Received: labels="inferred"'
        )
    labels = as_label_array(labels)
    require_same_length(np.empty(num_rows, np.uint8), labels, one="row")
    if labels.dtype.kind != "U":
        return labels, class_names
    inferred = class_names is None
    labels, class_names = as_labels(labels, class_names, np.arange(num_rows))
    if inferred:
        refuse_file_names(class_names, directory=None)
    return labels, class_names


def labelled_data(
    source: Source,
    labels: np.ndarray | None,
    label_mode: LabelMode | None,
    class_names: list[str] | None,
    manifest: Manifest | None,
    shared: Mapping[str, Any],
    options: BatchOptions,
    rows_name: str = "array",
) -> LabelledData:
    """Return samples with labels and weights. If the arguments name a subset, return only its samples.

    If the manifest has features, `x` of a batch is a dictionary, and the rows are in it under the name `rows_name`.
    """
    sample_weight = shared["sample_weight"]
    has_y = has_answer(source.spec) or (labels is not None and label_mode is not None)
    if sample_weight is None and manifest is not None and has_y:
        sample_weight = manifest.sample_weight
    sample_weight = as_sample_weight(sample_weight, len(source), manifest)
    labels = Labels(labels, label_mode, class_names)
    _warn_of_labels(labels, named=manifest is not None and class_names is not None)
    sampling = Sampling.of(shared["sampling"], shared["samples_per_epoch"], len(source), options)
    if sampling is not None and shared["subset"] == "validation":
        raise OptionError(
            '`sampling` would distort the metrics of validation. Leave it out with subset="validation". Received: '
            f"sampling={shown(shared['sampling'])}"
        )
    data = LabelledData(source, labels, manifest, sample_weight, shared["class_weight"], sampling, rows_name)
    chosen = subset_samples(len(source), shared["validation_split"], shared["subset"], shared["seed"])
    return data if chosen is None else data.select(chosen)


def _warn_of_labels(labels: Labels, named: bool) -> None:
    """Warn of class indices that are probably a mistake. A manifest with `named` classes has warned of empty ones."""
    if labels.num_classes or (labels.class_names and _are_indices(labels.values)):
        warn_of_one_class_per_sample(labels.values, labels.num_classes or len(labels.class_names))
        if labels.num_classes and not named:
            warn_of_empty_classes(labels.values, labels.num_classes, labels.class_names)


def _are_indices(labels: np.ndarray | None) -> bool:
    return labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu"


def as_sample_weight(sample_weight: Any, num_samples: int, manifest: Manifest | None = None) -> np.ndarray | None:
    """Return `sample_weight` as a `float32` array of shape `(num_samples,)`, or `None`."""
    if sample_weight is None:
        return None
    sample_weight = np.asarray(sample_weight, np.float32)
    if sample_weight.shape != (num_samples,):
        hint = ""
        if manifest is not None and sample_weight.shape[:1] > (manifest.indices.max(initial=0),):
            hint = (
                " For weights of the manifest before `split` or `take`, use sample_weight=weights[manifest.indices] "
                "or manifest.with_columns(sample_weight=weights) before the split."
            )
        raise OptionError(
            f"`sample_weight` should have shape ({num_samples},), one weight per sample. "
            f"Received: shape {sample_weight.shape}.{hint}"
        )
    return sample_weight


def subset_samples(
    num_samples: int, validation_split: float | None, subset: Subset | None, seed: int | None
) -> np.ndarray | None:
    """Return the samples of a subset in their order on disk, or `None` for all samples.

    The validation set has `int(validation_split * num_samples)` samples, as in Keras. Unlike in Keras, the split does
    not depend on `shuffle`: otherwise a shuffled training set and an unshuffled validation set would overlap.
    """
    if validation_split is None and subset is None:
        return None
    if subset == "both":
        raise OptionError(
            'subset="both" returns two Sequences. Use train, val = sequence.split(validation_split=0.2), or '
            'ko.image_dataset_from_directory(..., subset="both"). Received: subset="both"'
        )
    if not validation_split or not 0 < validation_split < 1:
        raise OptionError(
            "`validation_split` should be between 0 and 1, with `subset`. "
            f"Received: validation_split={validation_split}, subset={subset!r}"
        )
    if subset not in SUBSETS:
        raise OptionError(f"`subset` should be one of {SUBSETS}, with `validation_split`. Received: subset={subset!r}")
    if seed is None:
        raise OptionError(
            "`validation_split` requires `seed`, or the subsets would overlap. Pass seed=0, for example. "
            "Received: seed=None"
        )
    samples = split_order(num_samples, seed)
    num_validation = int(validation_split * num_samples)
    if num_validation == 0:
        raise OptionError(
            f"validation_split={validation_split} of {num_samples} samples leaves no sample for validation."
        )
    first = num_samples - num_validation
    return np.sort(samples[:first] if subset == "training" else samples[first:])
