"""Which samples exist: filenames, labels and classes as one record; scan, split, save, load.

Nothing here opens a sample. Names are one numpy array of text, so a million samples are not a million Python objects.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.manifest import files as manifest_files
from keras_oocore.manifest import scan as class_folders
from keras_oocore.manifest import splits
from keras_oocore.manifest import summary as manifest_text
from keras_oocore.manifest.inputs import as_filenames, as_labels, read_table, require_inside, require_same_length
from keras_oocore.manifest.scan import as_class_names

if TYPE_CHECKING:
    import pandas

IMAGE_EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class Manifest:
    """The samples of a data set: which file each is, and its label.

    Build one with `from_directory`, `from_arrays`, `from_csv` or `load`. Methods return new manifests; a filename
    never parts from its label.

    Attributes:
        filenames: text array of shape `(num_samples,)`: paths relative to `directory`, with forward slashes.
        labels: `None`, or an array whose first axis is the samples; `int32` class indices `(num_samples,)` when they
            were inferred or given as text.
        class_names: the class of each index, or `None`.
        directory: the folder that filenames are relative to, or `None` when they are used as they are.
        passed_over: how many files and folders a scan left out, by reason.

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
        passed_over: Mapping[str, int] | None = None,
    ):
        if labels is not None:
            require_same_length(filenames, labels)
        self.filenames = filenames
        self.labels = labels
        self.class_names = class_names
        self.directory = None if directory is None else Path(directory)
        self.passed_over = dict(passed_over or {})

    @classmethod
    def from_directory(
        cls,
        directory: str | os.PathLike,
        labels: str | Sequence | np.ndarray | None = "inferred",
        class_names: Sequence[str] | None = None,
        extensions: str | Iterable[str] = IMAGE_EXTENSIONS,
        follow_links: bool = False,
    ) -> "Manifest":
        """The files of a directory, in the order of `keras.utils.image_dataset_from_directory(shuffle=False)`.

        Hidden files, files with other extensions and what operating systems leave behind are passed over and counted
        in `passed_over`.

        Args:
            directory: where the data is. With `labels="inferred"`, each folder in it is a class; folders in those
                belong to the class too.
            labels: `"inferred"`, `None` (no labels; all files below `directory`), or one label a file, in the order
                of `Manifest.from_directory(directory, labels=None).filenames`.
            class_names: the classes in the order of their indices (alphanumeric otherwise).
            extensions: endings of the files to take, in any case, such as `".npy"`.
            follow_links: whether to look into linked folders too. Each real folder is visited once.

        Returns:
            A `Manifest` with `int32` labels of shape `(num_samples,)` when they were inferred.

        Raises:
            DataError: when the directory is missing, a file, or holds no such files; when `class_names` names a
                folder that is not there; when `labels` has another length.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/notes.txt"):
        ...         path = Path(directory, name)
        ...         path.parent.mkdir(exist_ok=True)
        ...         path.touch()
        ...     manifest = Manifest.from_directory(directory)
        >>> manifest.filenames.tolist(), manifest.labels.tolist(), manifest.class_names, manifest.passed_over
        (['cat/1.png', 'cat/2.png', 'dog/1.png'], [0, 0, 1], ['cat', 'dog'], {'other extension': 1})
        """
        inferred = isinstance(labels, str) and labels == "inferred"
        if labels is None and class_names is not None:
            raise OptionError('`class_names` needs labels: pass labels="inferred" or an array. Received: labels=None')
        extensions = class_folders.as_extensions(extensions)
        found = class_folders.find_files(
            directory, extensions, inferred, class_names if inferred else None, follow_links
        )
        class_folders.require_files(found, directory, extensions)
        if not inferred:
            found.labels, found.class_names = as_labels(labels, class_names, found.filenames)
        return cls(found.filenames, found.labels, found.class_names, directory, found.passed_over)

    @classmethod
    def from_arrays(
        cls,
        filenames: Sequence[str | os.PathLike] | np.ndarray | str | os.PathLike,
        labels: Sequence | np.ndarray | str | os.PathLike | None = None,
        directory: str | os.PathLike | None = ".",
        class_names: Sequence[str] | None = None,
    ) -> "Manifest":
        """A manifest from filenames and labels that you keep yourself.

        Text labels become indices into the sorted class names (or into `class_names`). Integers and whole-number
        floats, of shape `(num_samples,)` or `(num_samples, 1)`, become class indices `(num_samples,)`. Anything else,
        such as one-hot rows or measured values, stays as it is.

        Args:
            filenames: array, list, or path of a `.npy` file.
            labels: array, list, path of a `.npy` file, or `None`.
            directory: the folder that the filenames are relative to; `None` uses them as they are (absolute, say).
            class_names: the classes in the order of their indices.

        Raises:
            DataError: when lengths differ, a filename would leave `directory`, a label is no class of `class_names`,
                or a `.npy` file cannot be read.

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
        data: "str | os.PathLike | pandas.DataFrame",
        x_col: str = "filename",
        y_col: str | Sequence[str] | None = "class",
        directory: str | os.PathLike | None = None,
        class_names: Sequence[str] | None = None,
    ) -> "Manifest":
        """A manifest from a table with a column of filenames, as `flow_from_dataframe` took it.

        Args:
            data: path of a CSV file with a header, or a pandas `DataFrame`.
            x_col: the column of filenames. They stay text: `007` stays `007`.
            y_col: the column of classes (text, or integers as indices) or of one measured value (`float32`); a list
                of columns gives `float32` labels of shape `(num_samples, num_columns)`; `None` gives no labels.
            directory: the folder that the filenames are relative to. `None` means the CSV file's own folder; for a
                `DataFrame`, or absolute filenames, that they are used as they are.
            class_names: the classes in the order of their indices (alphanumeric otherwise).

        Raises:
            DataError: when a column is not there, a value is missing or is no number where numbers are needed.
            MissingExtraError: when pandas is not installed.

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
        if labels is not None and labels.dtype.kind != "f":  # measured values stay as they are, whole or not
            named = from_file and class_names is not None and {*map(str, class_names)} & {*map(str, np.unique(labels))}
            labels, class_names = as_labels(labels.astype(str) if named else labels, class_names, filenames)
        return cls(filenames, labels, as_class_names(class_names), directory)

    def __len__(self) -> int:
        return len(self.filenames)

    def __repr__(self) -> str:
        return manifest_text.one_line(self)

    @property
    def file_paths(self) -> list[str]:
        """The path of each sample, `directory` joined to its filename; a list as in Keras's datasets.

        >>> Manifest.from_arrays(["a.png"], directory="photos").file_paths
        ['photos/a.png']
        """
        folder = "" if self.directory is None else os.fspath(self.directory)
        return [os.path.join(folder, filename) for filename in self.filenames.tolist()]

    def path(self, i: int) -> str:
        """The path of sample `i`."""
        return os.path.join("" if self.directory is None else self.directory, str(self.filenames[i]))

    def take(self, indices: Sequence[int] | np.ndarray) -> "Manifest":
        """The samples at `indices` (or where a boolean array is true), in that order.

        >>> Manifest.from_arrays(["a.png", "b.png", "c.png"]).take([2, 0]).filenames.tolist()
        ['c.png', 'a.png']
        """
        indices = np.asarray(indices)
        indices = indices if len(indices) else indices.astype(np.intp)
        labels = None if self.labels is None else self.labels[indices]
        return Manifest(self.filenames[indices], labels, self.class_names, self.directory)

    def shuffle(self, seed: int | None = None) -> "Manifest":
        """The same samples in random order.

        Args:
            seed: makes the order repeatable. `None` draws one from Python's `random`, which
                `keras.utils.set_random_seed` governs.

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
        """Manifests of the parts: `(train, validation)`, `(train, test)` or `(train, validation, test)`.

        Args:
            validation_split: fraction of the samples, or their number as an integer.
            test_split: likewise.
            stratify: whether each part keeps the mix of classes. An array with one class a sample is kept to instead
                of the labels. Without labels there is nothing to keep.
            groups: an array with one group a sample; those of one group (a patient, a video) stay in one part.
            seed: makes the split repeatable. `None` draws one from Python's `random`.
            shuffle: `False` takes the last samples, in their order; it needs `stratify=False`.

        Raises:
            OptionError: when a size cannot work, a class is too small to stratify, or labels are no classes.

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
        """The folder, made when missing, that now holds `filenames.npy`, `labels.npy` and `manifest.json`.

        The arrays open with plain `numpy.load`. A manifest that was saved there before is replaced. `manifest.json`
        comes last and fits only these arrays, so a save that was interrupted is noticed by `load`.

        Raises:
            DestinationError: when it cannot be written.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     _ = Manifest.from_arrays(["a.png", "b.png"], ["cat", "dog"]).save(directory)
        ...     print(sorted(os.listdir(directory)), Manifest.load(directory).class_names)
        ['filenames.npy', 'labels.npy', 'manifest.json'] ['cat', 'dog']
        """
        return manifest_files.write(directory, self.filenames, self.labels, self.class_names, self.directory)

    @classmethod
    def load(cls, directory: str | os.PathLike) -> "Manifest":
        """The manifest that `save` wrote into `directory`.

        Its `directory` is found relative to the saved folder, so a project that moved as a whole still works, or else
        where it was when saved. Nothing is unpickled.

        Raises:
            DataError: when it is missing, from a newer version, half saved, or changed since.
        """
        return cls(*manifest_files.read(directory))

    def summary(self, max_classes: int = 50) -> manifest_text.DisplayString:
        """Counts a class, total size and formats, as text that a notebook shows and `print` prints.

        Asks the disk for the size of every file, which the rest of a manifest never does.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     _ = Path(directory, "a.png").write_bytes(bytes(2000))
        ...     Manifest.from_arrays(["a.png", "b.png"], ["cat", "dog"], directory).summary()
        Manifest: 2 samples of 2 classes in '...'
         class   samples   share
         cat           1   50.0%
         dog           1   50.0%
        size: 2.0 kB, 2.0 kB a file
        formats: 2 .png
        missing: 1 file, the first '...b.png'
        """
        return manifest_text.summary(self, max_classes)
