"""Whatever a user passes as data, as one manifest or array of rows; and the subset of it that is asked for."""

import inspect
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.manifest.inputs import as_label_array, as_labels, require_same_length
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.ordering.epoch_order import split_order
from keras_oocore.sources.npy import NpyRows

SUBSETS = ("training", "validation", "both")
VALIDATION_OF_BOTH = "validation of both"  # served in order


def as_manifest(
    data,
    labels,
    class_names,
    directory,
    extensions: tuple[str, ...],
    follow_links: bool = False,
    raw: bool = False,
) -> Manifest:
    """The manifest of a directory of class folders, of a manifest, or of filenames.

    Args:
        data: directory; `Manifest`; or filenames as an array, a list or the path of a `.npy` file.
        labels: `"inferred"` from class folders or as the manifest has them; `None`; or one label a sample.
        class_names: names of the classes in the order of their indices, or `None`.
        directory: the folder that filenames are relative to, or `None`.
        extensions: endings of the files to take from a directory.
        follow_links: whether to look into linked folders of a directory.
        raw: whether labels that are numbers stay as they are; whole ones become class indices otherwise.
    """
    if raw and labels is not None and not (isinstance(labels, str) and labels == "inferred"):
        values = as_label_array(labels)
        if values.dtype.kind in "biufc":
            files = _manifest(data, None, None, directory, extensions, follow_links)
            return Manifest(files.filenames, values, class_names, files.directory, files.skipped)
    return _manifest(data, labels, class_names, directory, extensions, follow_links)


def _manifest(data, labels, class_names, directory, extensions: tuple[str, ...], follow_links: bool) -> Manifest:
    inferred = isinstance(labels, str) and labels == "inferred"
    if isinstance(data, Manifest):
        if directory is not None:
            data = Manifest(data.filenames, data.labels, data.class_names, directory)
        if inferred and class_names is None:
            return data
        labels = data.labels if inferred else labels
        class_names = None if labels is None else class_names or data.class_names
        return Manifest.from_arrays(data.filenames, labels, data.directory, class_names)
    if isinstance(data, str | os.PathLike) and Path(data).suffix.lower() != ".npy":
        if directory is not None:
            raise OptionError(
                "`directory` goes with filenames. Received: "
                f"data={os.fspath(data)!r}, a directory itself, and directory={os.fspath(directory)!r}"
            )
        return Manifest.from_directory(data, labels, class_names, extensions, follow_links)
    if inferred:
        raise OptionError(
            'Filenames want labels: pass labels=..., or labels=None for none. Received: labels="inferred"'
        )
    return Manifest.from_arrays(data, labels, directory, class_names)


def as_rows(data) -> NpyRows | None:
    """The rows of an array of numbers, or of the `.npy` file that holds one; `None` when `data` is something else."""
    if isinstance(data, np.ndarray) and data.dtype.kind in "biufc":
        return NpyRows(data)
    if isinstance(data, str | os.PathLike) and Path(data).suffix.lower() == ".npy":
        rows = NpyRows(data)
        return rows if rows.dtype.kind in "biufc" else None
    return None


def row_labels(labels, class_names, num_rows: int) -> tuple[np.ndarray | None, list[str] | None]:
    """The labels that go with rows, of the same length, and the class names; text becomes class indices."""
    if labels is None:
        return None, class_names
    if isinstance(labels, str) and labels == "inferred":
        raise OptionError('Rows want labels: pass labels=..., or labels=None for none. Received: labels="inferred"')
    labels = as_label_array(labels)
    require_same_length(np.empty(num_rows, np.uint8), labels)
    return as_labels(labels, class_names, np.arange(num_rows)) if labels.dtype.kind == "U" else (labels, class_names)


def subset_of(
    samples, labels, sample_weight, validation_split: float | None, subset: str | None, seed: int | None
) -> tuple:
    """Samples, labels and weights of a subset; each as it was when there is none."""
    sample_weight = as_sample_weight(sample_weight, len(samples))
    chosen = subset_samples(len(samples), validation_split, subset, seed)
    if chosen is None:
        return samples, labels, sample_weight
    return (
        samples.take(chosen),
        None if labels is None else labels[chosen],
        None if sample_weight is None else sample_weight[chosen],
    )


def as_sample_weight(sample_weight, num_samples: int) -> np.ndarray | None:
    """`sample_weight` as a `float32` array `(num_samples,)`, or `None`."""
    if sample_weight is None:
        return None
    sample_weight = np.asarray(sample_weight, np.float32)
    if sample_weight.shape != (num_samples,):
        raise OptionError(
            f"`sample_weight` should have one weight a sample, shape ({num_samples},). Received: {sample_weight.shape}"
        )
    return sample_weight


def cache_directory(cache: str | os.PathLike | None, subset: str | None, overwrite_cache: bool) -> Path | None:
    """Where a Sequence's rows are stored, if at all: each subset has a folder of its own, named as the subset."""
    if cache is None:
        if overwrite_cache:
            raise OptionError("`overwrite_cache=True` goes with `cache`. Received: cache=None")
        return None
    if subset is None:
        return Path(cache)
    return Path(cache) / ("validation" if subset == VALIDATION_OF_BOTH else subset)


def subset_samples(
    num_samples: int, validation_split: float | None, subset: str | None, seed: int | None
) -> np.ndarray | None:
    """The samples of a subset, in their order on disk; `None` for all.

    Validation has `int(validation_split * num_samples)` of them, as in Keras. Which ones is drawn by `seed` alone, and
    not by `shuffle` as there: a training set that is shuffled and a validation set that is not would overlap.
    """
    if validation_split is None and subset is None:
        return None
    if not validation_split or not 0 < validation_split < 1:
        raise OptionError(
            "`validation_split` should be between 0 and 1, with `subset`. "
            f"Received: validation_split={validation_split}, subset={subset!r}"
        )
    if subset not in ("training", "validation", VALIDATION_OF_BOTH):
        raise OptionError(f"`subset` should be one of {SUBSETS}, with `validation_split`. Received: subset={subset!r}")
    if seed is None:
        raise OptionError("A split wants a seed, so that subsets do not overlap: pass seed=0, say.")
    samples = split_order(num_samples, seed)
    num_validation = int(validation_split * num_samples)
    if num_validation == 0:
        raise OptionError(f"validation_split={validation_split} of {num_samples} samples leaves none for validation.")
    first = num_samples - num_validation
    return np.sort(samples[:first] if subset == "training" else samples[first:])


def both_subsets(cls: type, args: tuple, kwargs: dict, scan: Callable[[dict], dict]) -> tuple | None:
    """What `cls(..., subset="both")` gives: training, and validation in order, as in Keras; else `None`.

    Args:
        cls: the Sequence's class.
        args: what it was called with.
        kwargs: likewise.
        scan: makes of the arguments those of one manifest, so that both subsets come from the same look at the disk.
    """
    try:
        arguments = inspect.signature(cls.__init__).bind(None, *args, **kwargs).arguments
    except TypeError:  # `__init__` says it better
        return None
    if arguments.get("subset") != "both":
        return None
    arguments = scan({name: value for name, value in arguments.items() if name != "self"})
    return cls(**{**arguments, "subset": "training"}), cls(**{**arguments, "subset": VALIDATION_OF_BOTH})
