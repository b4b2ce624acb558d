"""Opens what is stored at a path as a Sequence. Keras is imported only then, because that takes seconds."""

import argparse
import os
import shlex
import warnings
from types import ModuleType
from typing import Any

from keras_oocore.commands.arguments import (
    COLUMNS,
    FILES,
    IMAGES,
    READING_TYPED,
    TABLES,
    given,
    given_images,
    given_tables,
    refuse_others,
)
from keras_oocore.commands.kinds import TABLE_KINDS, WHAT, Kind, Place, subfolders_with
from keras_oocore.commands.report import WrongUseError, to_type
from keras_oocore.commands.samples import holds_arrays, manifest_of, names_files
from keras_oocore.core import storage
from keras_oocore.core.backend import BACKENDS, prefer_installed
from keras_oocore.core.text import listed
from keras_oocore.store.format import RECORD as STORE_RECORD

OTHER_BACKENDS = ("numpy", "openvino")  # of Keras, which do not train


def choose_backend() -> None:
    """Choose an installed backend, before Keras is imported.

    Raises:
        WrongUseError: If the environment names a backend that does not exist.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
    prefer_installed()
    backend = os.environ.get("KERAS_BACKEND", BACKENDS[0])
    if backend not in (*BACKENDS, *OTHER_BACKENDS):
        names = ", ".join(map(repr, BACKENDS))
        raise WrongUseError(f"The environment variable KERAS_BACKEND should be one of {names}. Received: {backend!r}")


def import_sequences() -> ModuleType:
    """Import Keras on an installed backend, and return the public package."""
    choose_backend()
    import keras_oocore as ko
    import keras_oocore.sequences

    return ko


def open_sequence(place: Place, options: argparse.Namespace, needs_labels: bool = False, **loading: Any) -> Any:
    """Return a Sequence of the samples at a path.

    Args:
        place: The path.
        options: Options of `add_files`, `add_images` and `add_tables`.
        needs_labels: Whether files without labels, and tables without a target, are an error.
        **loading: Further arguments of the Sequence.

    Raises:
        WrongUseError: If an option is missing, or has no effect on this data, or there are no samples.
        OptionError: If an option is not valid.
        DataError: If the data cannot be read.
    """
    if names_files(place, options):
        return _open_files(place, options, needs_labels, loading)
    if place.kind in TABLE_KINDS:
        refuse_others(options, (*table_options(place), "no_labels"), place.path, WHAT[place.kind])
        return _open_table(place, options, needs_labels, loading)
    if place.kind is Kind.STORE:
        refuse_others(options, (), place.path, WHAT[Kind.STORE])
        return import_sequences().open_packed(place.path, **loading)
    if place.kind is Kind.ARRAY:
        refuse_others(options, ("labels", "no_labels", "class_names"), place.path, WHAT[Kind.ARRAY])
        labels = None if options.no_labels else options.labels
        return import_sequences().ArraySequence(place.path, labels, **given(options, ("class_names",)), **loading)
    if place.kind is Kind.HDF5:
        refuse_others(options, ("labels", "no_labels", "class_names", "dataset"), place.path, WHAT[Kind.HDF5])
        labels = None if options.no_labels else options.labels
        chosen = given(options, ("dataset", "class_names"))
        return import_sequences().ArraySequence(place.path, labels, **chosen, **loading)
    raise WrongUseError(why_not(place))


def why_not(place: Place) -> str:
    """Return why a path has no samples to read, and what to type instead."""
    path = place.path
    if place.kind is Kind.STORES:
        stores = [os.path.join(path, name) for name in subfolders_with(path, STORE_RECORD)]
        return f"{path!r} contains one packed store per subset. Type one of them: {', '.join(stores)}"
    if place.kind is Kind.SPLIT:
        return f"{path!r} contains one manifest per part. Type one of them, such as {os.path.join(path, 'train')}"
    if place.kind is Kind.TABLE_CACHE:
        return f"{path!r} is the cache of a table. Type the path of the table, and pass --cache {path}"
    if place.kind is Kind.ZIP:
        return f"{path!r} is a zip file. Unpack it first: unzip {shlex.quote(path)}"
    if place.kind is Kind.CHECKPOINTS:
        return f"{path!r} contains checkpoints of a training, and no samples. Type the path of the data."
    if place.kind is Kind.EMPTY:
        with storage.scan(path) as entries:
            folders = sorted(entry.name for entry in entries if entry.is_dir())
        if folders:
            return f"{path!r} has no samples, but the folders {listed(folders)}. Type the path of the data."
        return f"{path!r} is empty. Type a path with class folders, a manifest, arrays or a table."
    return (
        f"{path!r} has no images, arrays or tables{f': {place.detail}' if place.detail else ''}. "
        f"To see what it has, type: {to_type('info', path)}"
    )


def _open_files(place: Place, options: argparse.Namespace, needs_labels: bool, loading: dict) -> Any:
    allowed = [*FILES, *IMAGES]
    manifest = manifest_of(place, options, needs_labels)
    label_mode = {} if manifest.labels is not None else {"label_mode": None}
    if manifest.labels is not None and (manifest.labels.dtype.kind not in "iu" or manifest.labels.ndim > 1):
        label_mode = {"label_mode": "raw"}
    if holds_arrays(manifest, place.path):
        refuse_others(options, FILES, place.path, "not images, but .npy files")
        return import_sequences().NpyManifestSequence(manifest, **label_mode, **loading)
    refuse_others(options, allowed, place.path, "images")
    return import_sequences().ImageFolderSequence(manifest, **label_mode, **given_images(options), **loading)


def _open_table(place: Place, options: argparse.Namespace, needs_labels: bool, loading: dict) -> Any:
    typed = given_tables(options)
    if options.no_labels and "target" in typed:
        raise WrongUseError("--target and --no-labels exclude each other. Type one of them.")
    if needs_labels and not options.no_labels and "target" not in typed:
        names = listed(table_columns(place, options))
        raise WrongUseError(
            f"{place.path}: which column should a model predict? Columns: {names}. Type --target COLUMN, or "
            "--no-labels for rows to predict."
        )
    typed.setdefault("target", None)
    ko = import_sequences()
    with warnings.catch_warnings():
        if not needs_labels:  # nothing is predicted, so it does not matter whose codes the rows have
            warnings.filterwarnings("ignore", "The (codes of|means that) .* computed from these rows")
        open_rows = ko.CSVChunkSequence if place.kind is Kind.CSV else ko.TableSequence
        return open_rows(place.path, **typed, **loading)


def table_columns(place: Place, options: argparse.Namespace) -> list[str]:
    """Return the names of the columns of a table, for a message."""
    from keras_oocore.commands.tables import open_table

    return list(open_table(place, options).columns)


def table_options(place: Place) -> tuple[str, ...]:
    """Return the names of the options that the files of a table have."""
    return TABLES if place.kind is Kind.CSV else (*COLUMNS, *READING_TYPED)
