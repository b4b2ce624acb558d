"""`Samples`: the filenames, labels and further values of a dataset, each sample with all that belongs to it."""

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_oocore.core.files import as_path
from keras_oocore.core.storage import as_opened, working_directory
from keras_oocore.manifest.columns import SAMPLE_WEIGHT, as_columns, select
from keras_oocore.manifest.features import as_features
from keras_oocore.manifest.inputs import as_filenames, as_label_array, require_same_length


class Samples:
    """What a `Manifest` consists of, which describes the attributes. `take` returns some of the samples."""

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
        self.directory: Path | None = None if directory is None else as_path(directory, "directory")
        self.skipped: dict[str, int] = dict(skipped or {})
        self._opened_in = working_directory()  # a relative directory stays valid after `os.chdir`
        self.columns: dict[str, np.ndarray] = as_columns(columns or {}, len(filenames))
        self._indices = indices
        self.features: np.ndarray | Any  # `None` without features
        self.feature_cols: list[str] | Any
        self.features, self.feature_cols = as_features(features, feature_cols, len(filenames))

    def __len__(self) -> int:
        return len(self.filenames)

    @property
    def file_paths(self) -> list[str]:
        """List of the paths of all samples: `directory` joined to each filename.

        >>> import keras_oocore as ko
        >>> ko.Manifest.from_arrays(["a.png"], directory="photos").file_paths
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

        >>> import keras_oocore as ko
        >>> ko.Manifest.from_arrays(["a.png", "b.png", "c.png"]).take([2, 0]).indices
        array([2, 0])
        """
        return np.arange(len(self)) if self._indices is None else self._indices

    @property
    def sample_weight(self) -> np.ndarray | None:
        """Weights of the samples, `float32` of shape `(num_samples,)`, or `None`. Sequences use them."""
        return self.columns.get(SAMPLE_WEIGHT)

    def with_columns(self, **columns: Sequence[Any] | np.ndarray) -> Self:
        """Returns a manifest of the same samples with further values per sample.

        `take`, `shuffle`, `split`, `save` and `load` keep them together with their samples. A Sequence of the manifest
        weighs its samples with the column `sample_weight`, unless you pass it other weights.

        Args:
            **columns: Arrays or lists of numbers, strings or dates, with one row per sample.

        Raises:
            DataError: If a column has another length, or other values.
            OptionError: If `sample_weight` is not one number per sample.

        >>> import keras_oocore as ko
        >>> manifest = ko.Manifest.from_arrays(["a.png", "b.png"])
        >>> manifest = manifest.with_columns(sample_weight=[1, 2], patient=["x", "y"])
        >>> manifest.take([1]).sample_weight, manifest.take([1]).columns["patient"]
        (array([2.], dtype=float32), array(['y'], dtype='<U1'))
        """
        manifest = copy.copy(self)
        manifest.columns = {**self.columns, **as_columns(columns, len(self))}
        return manifest

    def take(self, indices: Sequence[int] | np.ndarray) -> Self:
        """Returns a manifest of the samples at `indices`, in that order.

        Args:
            indices: Integer array of sample indices, or boolean array of shape `(num_samples,)`.

        >>> import keras_oocore as ko
        >>> ko.Manifest.from_arrays(["a.png", "b.png", "c.png"]).take([2, 0]).filenames.tolist()
        ['c.png', 'a.png']
        """
        indices = np.asarray(indices)
        indices = indices if len(indices) else indices.astype(np.intp)
        labels = None if self.labels is None else self.labels[indices]
        taken = type(self)(
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
