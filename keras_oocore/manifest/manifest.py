"""Defines `Manifest`, the filenames, labels and class names of a dataset, without opening any sample."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.manifest import files as manifest_files
from keras_oocore.manifest import scan as class_folders
from keras_oocore.manifest import splits
from keras_oocore.manifest import summary as manifest_text
from keras_oocore.manifest.inputs import (
    as_class_names,
    as_extensions,
    as_filenames,
    as_labels,
    require_inside,
    require_same_length,
)
from keras_oocore.manifest.missing_files import require_no_odd_names
from keras_oocore.manifest.table_input import read_table

IMAGE_EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class Manifest:
    """The filenames, labels and class names of a dataset.

    Create a manifest with `from_directory`, `from_arrays`, `from_csv` or `load`. Its methods return new manifests and
    always keep each filename together with its label.

    Attributes:
        filenames: String array of shape `(num_samples,)`. The paths are relative to `directory` and use forward
            slashes.
        labels: Array whose first axis is the samples, or `None`. Labels that were inferred or passed as strings are
            class indices, `int32` of shape `(num_samples,)`.
        class_names: List of class names in the order of their indices, or `None`.
        directory: The directory that the filenames are relative to, or `None` if they are used as they are.
        skipped: Dictionary with the number of skipped files and folders for each reason.

    >>> manifest = Manifest.from_arrays(["a.png", "b.png", "c.png"], ["cat", "dog", "cat"], directory="photos")
    >>> manifest
    Manifest(3 samples of 2 classes in 'photos': cat, dog)
    >>> manifest.labels, manifest.take([2, 0]).filenames
    (array([0, 1, 0], dtype=int32), array(['c.png', 'a.png'], dtype='<U5'))
    """

    def __init__(
        self,
        filenames: np.ndarray,
        labels: np.ndarray | None = None,
        class_names: list[str] | None = None,
        directory: str | os.PathLike | None = ".",
        skipped: Mapping[str, int] | None = None,
    ):
        if labels is not None:
            require_same_length(filenames, labels)
        self.filenames = filenames
        self.labels = labels
        self.class_names = class_names
        self.directory = None if directory is None else Path(directory)
        self.skipped = dict(skipped or {})

    @classmethod
    def from_directory(
        cls,
        directory: str | os.PathLike,
        labels: str | Sequence | np.ndarray | None = "inferred",
        class_names: Sequence[str] | None = None,
        extensions: str | Iterable[str] = IMAGE_EXTENSIONS,
        follow_links: bool = False,
    ) -> "Manifest":
        """Creates a manifest of the files in a directory.

        The samples have the order of `keras.utils.image_dataset_from_directory(shuffle=False)`. Hidden files, system
        files and files with other extensions are skipped and counted in `skipped`.

        Args:
            directory: Directory where the data is located. If `labels` is `"inferred"`, it should contain one
                subdirectory per class. Files in nested folders belong to the class, too.
            labels: Either `"inferred"` (labels are generated from the directory structure), `None` (no labels), or
                one label per file, in the order of `Manifest.from_directory(directory, labels=None).filenames`.
                Defaults to `"inferred"`.
            class_names: List of class names that matches the subdirectories. Controls the order of the classes.
                Defaults to alphanumerical order.
            extensions: File extensions to include, such as `".npy"`. Upper and lower case are the same. Defaults to
                image files.
            follow_links: Whether to visit subdirectories pointed to by symlinks. Each directory is visited once.
                Defaults to `False`.

        Returns:
            A `Manifest`. Inferred labels are `int32` of shape `(num_samples,)`.

        Raises:
            DataError: If the directory does not exist or contains no such files, if `class_names` contains a class
                without a folder, or if `labels` has another length.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/notes.txt"):
        ...         path = Path(directory, name)
        ...         path.parent.mkdir(exist_ok=True)
        ...         path.touch()
        ...     manifest = Manifest.from_directory(directory)
        >>> manifest.filenames.tolist(), manifest.labels.tolist(), manifest.class_names, manifest.skipped
        (['cat/1.png', 'cat/2.png', 'dog/1.png'], [0, 0, 1], ['cat', 'dog'], {'other extension': 1})
        """
        inferred = isinstance(labels, str) and labels == "inferred"
        if labels is None and class_names is not None:
            raise OptionError(
                '`class_names` requires labels: pass labels="inferred" or an array. Received: labels=None'
            )
        extensions = as_extensions(extensions)
        found = class_folders.find_files(
            directory, extensions, inferred, class_names if inferred else None, follow_links
        )
        class_folders.require_files(found, directory, extensions)
        if not inferred:
            found.labels, found.class_names = as_labels(labels, class_names, found.filenames)
        return cls(found.filenames, found.labels, found.class_names, directory, found.skipped)

    @classmethod
    def from_arrays(
        cls,
        filenames: Sequence[str | os.PathLike] | np.ndarray | str | os.PathLike,
        labels: Sequence | np.ndarray | str | os.PathLike | None = None,
        directory: str | os.PathLike | None = ".",
        class_names: Sequence[str] | None = None,
    ) -> "Manifest":
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

        >>> Manifest.from_arrays(["a.png", "b.png"], [[0.0], [1.0]], class_names=["cat", "dog"]).labels
        array([0, 1], dtype=int32)
        """
        filenames = as_filenames(filenames)
        if directory is not None:
            require_inside(filenames, directory)
        labels, class_names = as_labels(labels, class_names, filenames)
        return cls(filenames, labels, class_names, directory)

    @classmethod
    def from_csv(
        cls,
        data: str | os.PathLike | Any,
        x_col: str = "filename",
        y_col: str | Sequence[str] | None = "class",
        directory: str | os.PathLike | None = None,
        class_names: Sequence[str] | None = None,
    ) -> "Manifest":
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

        Returns:
            A `Manifest`.

        Raises:
            DataError: If the file cannot be read, a column does not exist, a row has too few or too many cells, a
                quote is misplaced, a value is missing, or a value is not a number where a number is required.
            DestinationError: If there is no room to decompress the file into a temporary file.
            MissingExtraError: If `data` is a path and pyarrow is not installed.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = Path(directory, "train.csv")
        ...     _ = path.write_text("filename,class\\n001.png,dog\\n002.png,cat\\n")
        ...     manifest = Manifest.from_csv(path)
        >>> manifest.filenames.tolist(), manifest.labels.tolist(), manifest.class_names
        (['001.png', '002.png'], [1, 0], ['cat', 'dog'])
        """
        filenames, labels = read_table(data, x_col, y_col)
        from_file = isinstance(data, (str, os.PathLike))
        if from_file and directory is None and not os.path.isabs(filenames[0]):
            directory = Path(data).parent
        if directory is not None:
            require_inside(filenames, directory)
        require_no_odd_names(filenames, directory, x_col)
        if labels is not None and labels.dtype.kind != "f":  # measured values stay unchanged, even whole ones
            named = from_file and class_names is not None and {*map(str, class_names)} & {*map(str, np.unique(labels))}
            labels, class_names = as_labels(labels.astype(str) if named else labels, class_names, filenames)
        return cls(filenames, labels, as_class_names(class_names), directory)

    def __len__(self) -> int:
        return len(self.filenames)

    def __repr__(self) -> str:
        return manifest_text.one_line(self)

    @property
    def file_paths(self) -> list[str]:
        """List of the paths of all samples: `directory` joined to each filename.

        >>> Manifest.from_arrays(["a.png"], directory="photos").file_paths
        ['photos/a.png']
        """
        folder = "" if self.directory is None else os.fspath(self.directory)
        return [os.path.join(folder, filename) for filename in self.filenames.tolist()]

    def path(self, i: int) -> str:
        """Returns the path of sample `i`."""
        return os.path.join("" if self.directory is None else self.directory, str(self.filenames[i]))

    def take(self, indices: Sequence[int] | np.ndarray) -> "Manifest":
        """Returns a manifest of the samples at `indices`, in that order.

        Args:
            indices: Integer array of sample indices, or boolean array of shape `(num_samples,)`.

        >>> Manifest.from_arrays(["a.png", "b.png", "c.png"]).take([2, 0]).filenames.tolist()
        ['c.png', 'a.png']
        """
        indices = np.asarray(indices)
        indices = indices if len(indices) else indices.astype(np.intp)
        labels = None if self.labels is None else self.labels[indices]
        return Manifest(self.filenames[indices], labels, self.class_names, self.directory)

    def shuffle(self, seed: int | None = None) -> "Manifest":
        """Returns a manifest of the same samples in random order.

        Args:
            seed: Random seed. Defaults to a seed from Python's `random`, which `keras.utils.set_random_seed` seeds.

        >>> Manifest.from_arrays(["a.png", "b.png", "c.png"]).shuffle(seed=0).filenames.tolist()
        ['c.png', 'a.png', 'b.png']
        """
        return self.take(np.random.default_rng(splits.as_seed(seed)).permutation(len(self)))

    def split(
        self,
        validation_split: float | int | None = None,
        test_split: float | int | None = None,
        stratify: bool | Sequence | np.ndarray = True,
        groups: Sequence | np.ndarray | None = None,
        seed: int | None = None,
        shuffle: bool = True,
    ) -> tuple["Manifest", ...]:
        """Splits the samples into training, validation and test parts.

        Args:
            validation_split: Fraction (float) or number (int) of samples to use for validation.
            test_split: Fraction (float) or number (int) of samples to use for testing.
            stratify: Whether each part has the same proportion of each class. Pass an array with one class per sample
                to use these classes instead of the labels. Has no effect without labels. Defaults to `True`.
            groups: Array with one group per sample. Samples of one group (such as one patient or one video) stay in
                the same part.
            seed: Random seed. Defaults to a seed from Python's `random`.
            shuffle: Whether to draw the parts at random. If `False`, the last samples are split off, in order, which
                requires `stratify=False`. Defaults to `True`.

        Returns:
            A tuple of manifests: `(train, validation)`, `(train, test)` or `(train, validation, test)`.

        Raises:
            OptionError: If a part would be empty or too large, a class is too small to stratify, or the labels are not
                classes.

        >>> manifest = Manifest.from_arrays(["a.png", "b.png", "c.png", "d.png"], ["cat", "cat", "dog", "dog"])
        >>> train, val = manifest.split(validation_split=0.5, seed=0)
        >>> sorted(train.labels), sorted(val.labels)
        ([np.int32(0), np.int32(1)], [np.int32(0), np.int32(1)])
        """
        strata, own = splits.as_strata(stratify, self.labels, len(self))
        class_names = self.class_names if own else None
        parts = splits.split_indices(
            len(self), validation_split, test_split, strata, groups, seed, shuffle, class_names
        )
        return tuple(self.take(part) for part in parts)

    def save(self, directory: str | os.PathLike) -> Path:
        """Saves the manifest as `filenames.npy`, `labels.npy` and `manifest.json`.

        The arrays can be read with `numpy.load`. An earlier manifest in the directory is replaced. `manifest.json` is
        written last and contains checksums of the arrays, so `load` detects an interrupted save.

        Args:
            directory: Directory to save to. It is created if it does not exist.

        Returns:
            The directory as a `Path`.

        Raises:
            DestinationError: If the files cannot be written.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     _ = Manifest.from_arrays(["a.png", "b.png"], ["cat", "dog"]).save(directory)
        ...     print(sorted(os.listdir(directory)), Manifest.load(directory).class_names)
        ['filenames.npy', 'labels.npy', 'manifest.json'] ['cat', 'dog']
        """
        return manifest_files.write(directory, self.filenames, self.labels, self.class_names, self.directory)

    @classmethod
    def load(cls, directory: str | os.PathLike) -> "Manifest":
        """Loads a manifest that was saved with `save`.

        The directory of the data is found relative to the saved manifest, so a project can be moved as a whole.
        Otherwise, its absolute path at the time of saving is used. Nothing is unpickled.

        Args:
            directory: Directory that was passed to `save`.

        Returns:
            A `Manifest`.

        Raises:
            DataError: If there is no manifest, it was written by a newer version, its save was interrupted, or its
                files have changed.
        """
        return cls(*manifest_files.read(directory))

    def summary(self, max_classes: int = 50) -> manifest_text.DisplayString:
        """Returns a summary of the samples per class, the total size and the file formats.

        This is the only method that reads the size of every file.

        Args:
            max_classes: Maximum number of classes to list. Defaults to `50`.

        Returns:
            A string, which a notebook displays and `print` prints.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     _ = Path(directory, "a.png").write_bytes(bytes(2000))
        ...     Manifest.from_arrays(["a.png", "b.png"], ["cat", "dog"], directory).summary()
        Manifest: 2 samples of 2 classes in '...'
         class   samples   share
         cat           1   50.0%
         dog           1   50.0%
        size: 2.0 kB, 2.0 kB per file
        formats: 2 .png
        missing: 1 file, the first '...b.png'
        """
        return manifest_text.summary(self, max_classes)
