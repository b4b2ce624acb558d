"""Defines `Manifest`, the filenames, labels and class names of a dataset, without opening any sample."""

import os
from pathlib import Path

from keras_oocore.core.html import HtmlString, never_raising
from keras_oocore.manifest import files, html
from keras_oocore.manifest import summary as text
from keras_oocore.manifest.created import CreatedSamples
from keras_oocore.manifest.extensions import IMAGE_EXTENSIONS
from keras_oocore.manifest.joined import joined


class Manifest(CreatedSamples):
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

    def __repr__(self) -> str:
        return text.one_line(self)

    @never_raising
    def _repr_html_(self) -> str:
        return html.as_html(self, text.headline(self), IMAGE_EXTENSIONS)

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
        return files.write(
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
        return cls(**files.read(directory))

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
        return text.summary(self, max_classes)
