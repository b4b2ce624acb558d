"""`CreatedSamples`: samples from a directory, from arrays, or from a CSV file or a DataFrame."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.manifest.divided import DividedSamples
from keras_oocore.manifest.extensions import IMAGE_EXTENSIONS
from keras_oocore.manifest.features import require_names
from keras_oocore.manifest.folders import existing_directory
from keras_oocore.manifest.found import require_files, warn_of_skipped
from keras_oocore.manifest.inputs import as_class_names, as_extensions, as_filenames, as_labels, require_inside
from keras_oocore.manifest.label_checks import refuse_file_names, warn_of_empty_classes
from keras_oocore.manifest.missing_files import require_no_odd_names
from keras_oocore.manifest.scan import find_files
from keras_oocore.manifest.table_input import read_table


class CreatedSamples(DividedSamples):
    """The three ways to create a manifest."""

    @classmethod
    def from_directory(
        cls,
        directory: str | os.PathLike[str],
        labels: str | Sequence[Any] | np.ndarray | None = "inferred",
        class_names: Sequence[str] | None = None,
        extensions: str | Iterable[str] = IMAGE_EXTENSIONS,
        follow_links: bool = False,
    ) -> Self:
        """Creates a manifest of the files in a directory.

        The samples have the order of `keras.utils.image_dataset_from_directory(shuffle=False)`. Hidden files, system
        files and files with other extensions are skipped and counted in `skipped`. A warning counts files in the class
        folders that are not images, unless you pass `extensions`.

        Args:
            directory: Directory where the data is located. If `labels` is `"inferred"`, it should contain one
                subdirectory per class. Files in nested folders belong to the class, too.
            labels: Either `"inferred"` (labels are generated from the directory structure), `None` (no labels), or
                one label per file, in the order of `Manifest.from_directory(directory, labels=None).filenames`.
                Defaults to `"inferred"`.
            class_names: List of class names that matches the subdirectories. Controls the order of the classes.
                Defaults to alphanumerical order.
            extensions: File extensions to include, such as `".npy"`. Upper and lower case are the same. Defaults to
                image files: AVIF, BMP, GIF, ICO, JPEG, JPEG 2000, PGM, PNG, PPM, TGA, TIFF, WebP, and HEIC if
                `pillow-heif` is installed.
            follow_links: Whether to visit subdirectories pointed to by symlinks. Each directory is visited once.
                Defaults to `False`.

        Returns:
            A `Manifest`. Inferred labels are `int32` of shape `(num_samples,)`.

        Raises:
            DataError: If the directory does not exist or contains no such files, if `class_names` contains a class
                without a folder, or if `labels` has another length.

        >>> import keras_oocore as ko
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/notes.txt"):
        ...         path = Path(directory, name)
        ...         path.parent.mkdir(exist_ok=True)
        ...         path.touch()
        ...     manifest = ko.Manifest.from_directory(directory)
        >>> manifest.filenames.tolist(), manifest.labels.tolist(), manifest.class_names, manifest.skipped
        (['cat/1.png', 'cat/2.png', 'dog/1.png'], [0, 0, 1], ['cat', 'dog'], {'other extension': 1})
        """
        inferred = isinstance(labels, str) and labels == "inferred"
        if labels is None and class_names is not None:
            raise OptionError(
                '`class_names` requires labels: pass labels="inferred" or an array. To predict files without labels, '
                "leave it out: class i of the model is train.class_names[i]. Received: labels=None"
            )
        default_extensions, extensions = extensions is IMAGE_EXTENSIONS, as_extensions(extensions)
        found = find_files(directory, extensions, inferred, class_names if inferred else None, follow_links)
        require_files(found, directory, extensions)
        if default_extensions:
            warn_of_skipped(found)
        if not inferred:
            found.labels, found.class_names = _checked_labels(labels, class_names, found.filenames, directory)
        return cls(found.filenames, found.labels, found.class_names, directory, found.skipped)

    @classmethod
    def from_arrays(
        cls,
        filenames: Sequence[str | os.PathLike[str]] | np.ndarray | str | os.PathLike[str],
        labels: Sequence[Any] | np.ndarray | str | os.PathLike[str] | None = None,
        directory: str | os.PathLike[str] | None = ".",
        class_names: Sequence[str] | None = None,
    ) -> Self:
        """Creates a manifest from arrays of filenames and labels.

        String labels become indices into `class_names`, or into the sorted labels. Integers and whole floats of shape
        `(num_samples,)` or `(num_samples, 1)` become class indices of shape `(num_samples,)`. All other labels, such
        as one-hot rows or measured values, stay unchanged.

        Args:
            filenames: Array, list, or path of a `.npy` file.
            labels: Array, list, path of a `.npy` file, or `None`.
            directory: Directory that the filenames are relative to. Pass `None` to use the filenames as they are,
                such as absolute paths. Defaults to `"."`.
            class_names: List of class names in the order of their indices.

        Returns:
            A `Manifest`.

        Raises:
            DataError: If the lengths differ, a filename is outside `directory`, a label is not in `class_names`, or a
                `.npy` file cannot be read.

        >>> import keras_oocore as ko
        >>> ko.Manifest.from_arrays(["a.png", "b.png"], [[0.0], [1.0]], class_names=["cat", "dog"]).labels
        array([0, 1], dtype=int32)
        """
        filenames = as_filenames(filenames)
        if directory is not None:
            require_inside(filenames, directory)
        labels, class_names = _checked_labels(labels, class_names, filenames, directory)
        return cls(filenames, labels, class_names, directory)

    @classmethod
    def from_csv(
        cls,
        data: str | os.PathLike[str] | Any,
        x_col: str = "filename",
        y_col: str | Sequence[str] | None = "class",
        directory: str | os.PathLike[str] | None = None,
        class_names: Sequence[str] | None = None,
        weight_col: str | None = None,
        columns: Sequence[str] = (),
        feature_cols: str | Sequence[str] | None = None,
    ) -> Self:
        """Creates a manifest from a CSV file or a DataFrame with one row per sample.

        Args:
            data: Path of a CSV file with a header, separated by commas and encoded in UTF-8 (also compressed, such as
                `train.csv.gz`), or a `DataFrame` of pandas or polars. An empty cell is a missing value. A quote inside
                a cell is doubled, and the cell is quoted: `"12"" pipe.png"`.
            x_col: Name of the column that contains the filenames. They are read as strings: `007` stays `007`.
                Defaults to `"filename"`.
            y_col: Name of the column that contains the classes (strings, or integers as class indices) or one
                measured value (`float32`). A list of columns gives `float32` labels of shape
                `(num_samples, num_columns)`. `None` gives no labels. Defaults to `"class"`.
            directory: Directory that the filenames are relative to. Defaults to the directory of the CSV file.
                Absolute filenames and filenames from a `DataFrame` are used as they are by default.
            class_names: List of class names in the order of their indices. Defaults to alphanumerical order.
            weight_col: Name of the column of sample weights, which Sequences of the manifest use.
            columns: Names of further columns to keep, such as `["patient"]` for `split(groups=...)`. Their values are
                in `manifest.columns`.
            feature_cols: Names of columns of numbers that a model receives beside each file, such as
                `["age", "height"]`. They are in `manifest.features`, and `x` of a batch is a dictionary:
                `{"image": ..., "features": ...}` in `ImageFolderSequence`, `{"array": ..., "features": ...}` in
                `NpyManifestSequence`. `features` is `float32` of shape `(batch, num_features)`, in this order.

        Returns:
            A `Manifest`.

        Raises:
            DataError: If the file cannot be read, a column does not exist, a row has too few or too many cells, a
                quote is misplaced, a value is missing, or a value is not a number where a number is required.
            DestinationError: If there is no room to decompress the file into a temporary file.
            MissingExtraError: If `data` is a path and pyarrow is not installed.

        >>> import keras_oocore as ko
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = Path(directory, "train.csv")
        ...     _ = path.write_text("filename,class\\n001.png,dog\\n002.png,cat\\n")
        ...     manifest = ko.Manifest.from_csv(path)
        >>> manifest.filenames.tolist(), manifest.labels.tolist(), manifest.class_names
        (['001.png', '002.png'], [1, 0], ['cat', 'dog'])

        Photos and two measurements of each:

        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = Path(directory, "train.csv")
        ...     _ = path.write_text("filename,class,age,height\\n001.png,dog,3,0.5\\n002.png,cat,7,0.25\\n")
        ...     manifest = ko.Manifest.from_csv(path, feature_cols=["age", "height"])
        >>> manifest.features.tolist(), manifest.feature_cols
        ([[3.0, 0.5], [7.0, 0.25]], ['age', 'height'])
        """
        data = os.path.expanduser(data) if isinstance(data, str | os.PathLike) else data
        filenames, labels, further, features = read_table(data, x_col, y_col, weight_col, columns, feature_cols)
        from_file = isinstance(data, (str, os.PathLike))
        if from_file and directory is None and not os.path.isabs(filenames[0]):
            directory = Path(data).parent
        elif directory is not None:
            existing_directory(directory)
        if directory is not None:
            require_inside(filenames, directory)
        require_no_odd_names(filenames, directory, x_col)
        if labels is not None and labels.dtype.kind != "f":  # measured values stay unchanged, even whole ones
            named = from_file and class_names is not None and {*map(str, class_names)} & {*map(str, np.unique(labels))}
            labels = labels.astype(str) if named else labels
            labels, class_names = _checked_labels(labels, class_names, filenames, directory)
        names = None if feature_cols is None else require_names(feature_cols)
        class_names = as_class_names(class_names)
        return cls(filenames, labels, class_names, directory, columns=further, features=features, feature_cols=names)


def _checked_labels(labels, class_names, filenames, directory) -> tuple[np.ndarray | None, list[str] | None]:
    """Labels and class names as in `as_labels`. Labels that are probably a mistake raise an error or a warning."""
    inferred = class_names is None
    labels, class_names = as_labels(labels, class_names, filenames)
    if labels is not None and class_names is not None:
        if inferred:
            refuse_file_names(class_names, directory)
        elif labels.ndim == 1 and labels.dtype.kind in "iu":
            warn_of_empty_classes(labels, len(class_names), class_names)
    return labels, class_names
