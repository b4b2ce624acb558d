"""Defines `Manifest`, the filenames, labels and class names of a dataset, without opening any sample."""

import copy
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.html import HtmlString, never_raising
from keras_oocore.core.storage import as_opened, working_directory
from keras_oocore.manifest import files as manifest_files
from keras_oocore.manifest import html as manifest_html
from keras_oocore.manifest import scan as class_folders
from keras_oocore.manifest import splits
from keras_oocore.manifest import summary as manifest_text
from keras_oocore.manifest.columns import SAMPLE_WEIGHT, as_columns, select
from keras_oocore.manifest.features import as_features, require_names
from keras_oocore.manifest.folds import fold_indices
from keras_oocore.manifest.inputs import (
    as_class_names,
    as_extensions,
    as_filenames,
    as_label_array,
    as_labels,
    require_inside,
    require_same_length,
)
from keras_oocore.manifest.joined import joined
from keras_oocore.manifest.kept_samples import kept_samples
from keras_oocore.manifest.label_checks import refuse_file_names, warn_of_empty_classes
from keras_oocore.manifest.missing_files import require_no_odd_names
from keras_oocore.manifest.table_input import read_table

PLAIN_EXTENSIONS = (
    ".avif",
    ".bmp",
    ".gif",
    ".ico",
    ".jfif",
    ".jp2",
    ".jpe",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".ppm",
    ".tga",
    ".tif",
    ".tiff",
    ".webp",
)
HEIC_EXTENSIONS = (".heic", ".heif") if find_spec("pillow_heif") else ()
IMAGE_EXTENSIONS = tuple(sorted(PLAIN_EXTENSIONS + HEIC_EXTENSIONS))


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
        directory: The directory that the filenames are relative to, or `None` if they are used as they are. A relative
            path stays valid after `os.chdir`.
        skipped: Dictionary with the number of skipped files and folders for each reason.
        columns: Dictionary of further values per sample, such as weights: see `with_columns`.
        features: Numbers that a model receives beside each file, `float32` of shape `(num_samples, num_features)`, or
            `None`: see `feature_cols` of `from_csv`.
        feature_cols: List of the names of the features, or `None`.
        indices: Numbers of the samples in the manifest that these samples were taken from.

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
        directory: str | os.PathLike[str] | None = ".",
        skipped: Mapping[str, int] | None = None,
        columns: Mapping[str, np.ndarray] | None = None,
        indices: np.ndarray | None = None,
        features: np.ndarray | None = None,
        feature_cols: Sequence[str] | None = None,
    ):
        if not (isinstance(filenames, np.ndarray) and filenames.dtype.kind == "U"):
            filenames = as_filenames(filenames)
        if labels is not None:
            labels = as_label_array(labels)
            require_same_length(filenames, labels)
        self.filenames = filenames
        self.labels: np.ndarray | Any = labels  # `None` without labels: see `LabelledSequence`
        self.class_names: list[str] | Any = class_names
        self.directory: Path | None = None if directory is None else Path(directory)
        self.skipped: dict[str, int] = dict(skipped or {})
        self._opened_in = working_directory()  # a relative directory stays valid after `os.chdir`
        self.columns: dict[str, np.ndarray] = as_columns(columns or {}, len(filenames))
        self._indices = indices
        self.features: np.ndarray | Any  # `None` without features
        self.feature_cols: list[str] | Any
        self.features, self.feature_cols = as_features(features, feature_cols, len(filenames))

    @classmethod
    def from_directory(
        cls,
        directory: str | os.PathLike[str],
        labels: str | Sequence[Any] | np.ndarray | None = "inferred",
        class_names: Sequence[str] | None = None,
        extensions: str | Iterable[str] = IMAGE_EXTENSIONS,
        follow_links: bool = False,
    ) -> "Manifest":
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
                '`class_names` requires labels: pass labels="inferred" or an array. To predict files without labels, '
                "leave it out: class i of the model is train.class_names[i]. Received: labels=None"
            )
        default_extensions, extensions = extensions is IMAGE_EXTENSIONS, as_extensions(extensions)
        found = class_folders.find_files(
            directory, extensions, inferred, class_names if inferred else None, follow_links
        )
        class_folders.require_files(found, directory, extensions)
        if default_extensions:
            class_folders.warn_of_skipped(found)
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

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = Path(directory, "train.csv")
        ...     _ = path.write_text("filename,class\\n001.png,dog\\n002.png,cat\\n")
        ...     manifest = Manifest.from_csv(path)
        >>> manifest.filenames.tolist(), manifest.labels.tolist(), manifest.class_names
        (['001.png', '002.png'], [1, 0], ['cat', 'dog'])

        Photos and two measurements of each:

        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = Path(directory, "train.csv")
        ...     _ = path.write_text("filename,class,age,height\\n001.png,dog,3,0.5\\n002.png,cat,7,0.25\\n")
        ...     manifest = Manifest.from_csv(path, feature_cols=["age", "height"])
        >>> manifest.features.tolist(), manifest.feature_cols
        ([[3.0, 0.5], [7.0, 0.25]], ['age', 'height'])
        """
        filenames, labels, further, features = read_table(data, x_col, y_col, weight_col, columns, feature_cols)
        from_file = isinstance(data, (str, os.PathLike))
        if from_file and directory is None and not os.path.isabs(filenames[0]):
            directory = Path(data).parent
        elif directory is not None:
            class_folders.existing_directory(directory)
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

    def __len__(self) -> int:
        return len(self.filenames)

    def __repr__(self) -> str:
        return manifest_text.one_line(self)

    @never_raising
    def _repr_html_(self) -> str:
        return manifest_html.as_html(self, manifest_text.headline(self), IMAGE_EXTENSIONS)

    @property
    def file_paths(self) -> list[str]:
        """List of the paths of all samples: `directory` joined to each filename.

        >>> Manifest.from_arrays(["a.png"], directory="photos").file_paths
        ['photos/a.png']
        """
        return self.paths(slice(None))

    def path(self, i: int) -> str:
        """Returns the path of sample `i`."""
        return os.path.join(self._folder(), str(self.filenames[i]))

    def paths(self, samples: np.ndarray | slice) -> list[str]:
        """Returns the paths of several samples.

        Args:
            samples: Integer array of sample indices, or a slice.
        """
        folder = self._folder()
        return [os.path.join(folder, filename) for filename in self.filenames[samples].tolist()]

    @property
    def current_directory(self) -> Path | None:
        """`directory`, or its absolute path after the working directory has changed."""
        return None if self.directory is None else Path(self._folder())

    def _folder(self) -> str:
        return as_opened("" if self.directory is None else self.directory, self._opened_in)

    @property
    def indices(self) -> np.ndarray:
        """Numbers of the samples in the manifest that `take`, `shuffle` or `split` started from, an `int64` array.

        Use them to select from your own arrays, which have the order of that manifest: `patients[train.indices]`.

        >>> Manifest.from_arrays(["a.png", "b.png", "c.png"]).take([2, 0]).indices
        array([2, 0])
        """
        return np.arange(len(self)) if self._indices is None else self._indices

    @property
    def sample_weight(self) -> np.ndarray | None:
        """Weights of the samples, `float32` of shape `(num_samples,)`, or `None`. Sequences use them."""
        return self.columns.get(SAMPLE_WEIGHT)

    def with_columns(self, **columns: Sequence[Any] | np.ndarray) -> "Manifest":
        """Returns a manifest of the same samples with further values per sample.

        `take`, `shuffle`, `split`, `save` and `load` keep them together with their samples. A Sequence of the manifest
        weighs its samples with the column `sample_weight`, unless you pass it other weights.

        Args:
            **columns: Arrays or lists of numbers, strings or dates, with one row per sample.

        Raises:
            DataError: If a column has another length, or other values.
            OptionError: If `sample_weight` is not one number per sample.

        >>> manifest = Manifest.from_arrays(["a.png", "b.png"]).with_columns(sample_weight=[1, 2], patient=["x", "y"])
        >>> manifest.take([1]).sample_weight, manifest.take([1]).columns["patient"]
        (array([2.], dtype=float32), array(['y'], dtype='<U1'))
        """
        manifest = copy.copy(self)
        manifest.columns = {**self.columns, **as_columns(columns, len(self))}
        return manifest

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
        taken = Manifest(
            self.filenames[indices],
            labels,
            self.class_names,
            self.directory,
            columns=select(self.columns, indices),
            indices=self.indices[indices],
            features=None if self.features is None else self.features[indices],
            feature_cols=self.feature_cols,
        )
        taken._opened_in = self._opened_in
        return taken

    def without(self, files: Iterable[Any]) -> "Manifest":
        """Returns a manifest without some of the samples, such as those that `ko.check` found.

        Of each group in `report.duplicates`, the first file by name stays. Groups with files of several classes
        (`report.conflicts`) stay as they are, with a warning, because it is not known which class is right.

        Args:
            files: `report.bad`, `report.duplicates` or `report.leaks` of a `CheckReport`, or a list of filenames.
                Filenames that the manifest does not have are ignored.

        Raises:
            OptionError: If `files` contains something else.

        >>> manifest = Manifest.from_arrays(["a.png", "b.png", "c.png"], ["cat", "cat", "dog"])
        >>> manifest.without(["b.png"]).filenames.tolist()
        ['a.png', 'c.png']
        """
        return self.take(kept_samples(self.filenames, files))

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
        stratify: bool | Sequence[Any] | np.ndarray = True,
        groups: Sequence[Any] | np.ndarray | None = None,
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
            A tuple of manifests: `(train, validation)`, `(train, test)` or `(train, validation, test)`. Their `columns`
            (such as sample weights) are those of their samples, and `indices` tells which samples they are.

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

    def folds(
        self,
        n: int,
        stratify: bool | Sequence[Any] | np.ndarray = True,
        groups: Sequence[Any] | np.ndarray | None = None,
        seed: int | None = None,
    ) -> list[tuple["Manifest", "Manifest"]]:
        """Returns training and validation manifests for a cross-validation.

        Each sample is in the validation part of one fold. For Sequences with one cache for all folds, use `folds` of a
        Sequence.

        Args:
            n: Number of folds.
            stratify: Whether each part has the same proportion of each class, or an array with one class per sample.
                Has no effect without labels. Defaults to `True`.
            groups: Array with one group per sample. Samples of one group stay in the same part.
            seed: Random seed. Defaults to a seed from Python's `random`.

        Returns:
            A list of `n` tuples `(train, validation)`. The samples of a part have the order of this manifest.

        Raises:
            OptionError: If there are too few samples, groups, or samples of a class.

        >>> manifest = Manifest.from_arrays(["a.png", "b.png", "c.png", "d.png"], ["cat", "cat", "dog", "dog"])
        >>> [val.filenames.tolist() for train, val in manifest.folds(2, seed=0)]
        [['b.png', 'c.png'], ['a.png', 'd.png']]
        """
        strata, own = splits.as_strata(stratify, self.labels, len(self))
        parts = fold_indices(len(self), n, strata, groups, seed, self.class_names if own else None)
        return [(self.take(train), self.take(val)) for train, val in parts]

    def __add__(self, other: "Manifest") -> "Manifest":
        """Returns the samples of both manifests: those of `other` come last.

        Classes with the same name are one class. The filenames are relative to the folder that both have in common.

        Raises:
            DataError: If a file is in both, or labels, columns or features do not fit together.

        >>> first = Manifest.from_arrays(["1.png", "2.png"], ["cat", "dog"], directory="data/2023")
        >>> second = Manifest.from_arrays(["1.png"], ["cow"], directory="data/2024")
        >>> both = first + second
        >>> both.filenames.tolist(), both.labels.tolist(), both.class_names
        (['2023/1.png', '2023/2.png', '2024/1.png'], [0, 1, 2], ['cat', 'dog', 'cow'])
        """
        if not isinstance(other, Manifest):
            return NotImplemented
        both = joined(self, other)
        return Manifest(
            both.filenames,
            both.labels,
            both.class_names,
            both.directory,
            both.skipped,
            both.columns,
            features=both.features,
            feature_cols=self.feature_cols,
        )

    def save(self, directory: str | os.PathLike[str]) -> Path:
        """Saves the manifest as `filenames.npy`, `labels.npy`, `manifest.json` and, if there are any, `features.npy`.

        The arrays can be read with `numpy.load`. An earlier manifest in the directory is replaced as a whole: after a
        kill, and for `load` in another process, all files are old or all are new. `manifest.json` contains checksums
        of the arrays, so `load` detects files that changed.

        Args:
            directory: Directory to save to. It is created if it does not exist.

        Returns:
            The directory as a `Path`.

        Raises:
            DestinationError: If the files cannot be written, or there is a `features.npy` of something else.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     _ = Manifest.from_arrays(["a.png", "b.png"], ["cat", "dog"]).save(directory)
        ...     print(sorted(os.listdir(directory)), Manifest.load(directory).class_names)
        ['filenames.npy', 'labels.npy', 'manifest.json'] ['cat', 'dog']
        """
        return manifest_files.write(
            directory,
            self.filenames,
            self.labels,
            self.class_names,
            self.current_directory,
            self.columns,
            self._indices,
            self.features,
            self.feature_cols,
        )

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> "Manifest":
        """Loads a manifest that was saved with `save`.

        The directory of the data is found relative to the saved manifest, so a project can be moved as a whole.
        Otherwise, its absolute path at the time of saving is used. Nothing is unpickled.

        Args:
            directory: Directory that was passed to `save`.

        Returns:
            A `Manifest`.

        Raises:
            DataError: If there is no manifest, it was written by a newer version, or its files have changed.
        """
        return cls(**manifest_files.read(directory))

    def summary(self, max_classes: int = 50) -> HtmlString:
        """Returns a summary of the samples per class, the total size and the file formats.

        This is the only method that reads the size of every file.

        Args:
            max_classes: Maximum number of classes to list. Defaults to `50`.

        Returns:
            A string, which `print` prints, and which a notebook shows as a table.

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
