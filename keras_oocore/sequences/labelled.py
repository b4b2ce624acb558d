"""The base class of Sequences of samples with labels: labels, file names, pictures, and `split()`."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_oocore.batches.weights import weight_shape
from keras_oocore.core.html import Picture
from keras_oocore.core.text import LISTED_NAMES, and_more, counted
from keras_oocore.images.thumbnail import MOST_PICTURES, spread
from keras_oocore.manifest.manifest import Manifest
from keras_oocore.sequences.batch_figure import BatchFigure
from keras_oocore.sequences.in_order import RowNames
from keras_oocore.sequences.normalization import NormalizedInputs
from keras_oocore.sequences.pictures import thumbnail_of_row
from keras_oocore.sequences.row_names import names_of_samples
from keras_oocore.sequences.split_sequence import SplitSequence
from keras_oocore.sources.base import Source
from keras_oocore.sources.layout import LENGTH, X, Y, has_answer

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class LabelledSequence(SplitSequence, NormalizedInputs):
    """Base class of Sequences of files and of arrays.

    Args:
        data: The samples with their labels.
        options: How samples become batches.
        loading: The arguments `memory_limit`, `workers`, `max_queue_size` and `use_multiprocessing`.
    """

    # These are `None` only for some data. For `| None`, type checkers would ask for a check at each use.

    @property
    def manifest(self) -> Manifest | Any:
        """The files and labels of the samples, or `None` for rows of an array."""
        return self._data.manifest

    @property
    def labels(self) -> np.ndarray | Any:
        """Class indices of shape `(num_samples,)`, or the raw targets, in the order of the samples. Not one-hot."""
        labels = self._source.labels.values
        return labels if labels is None or self._partition is None else labels[self._members()]

    @property
    def class_names(self) -> list[str] | Any:
        """Names of the classes, in the order of their indices."""
        return self._source.labels.class_names

    @property
    def file_paths(self) -> list[str]:
        """The path of every sample, in the order of the samples. Empty for rows of an array."""
        if self.manifest is None:
            return []
        if self._partition is None:
            return self.manifest.file_paths
        return [self.manifest.path(sample) for sample in self._members().tolist()]

    @property
    def served_paths(self) -> list[str]:
        """The path of every sample in `served_samples`: row i of `predict` is file `served_paths[i]`.

        It holds for any `shuffle` and `on_error`. For rows of an array, their names.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> folder = tempfile.mkdtemp()
        >>> for level in (10, 20, 30):
        ...     np.save(f"{folder}/{level}.npy", np.full(2, level, "uint8"))
        >>> batches = ko.NpyManifestSequence(["10.npy", "20.npy", "30.npy"], [1, 2, 3], directory=folder, seed=1)
        >>> rows = np.concatenate([x for x, y in batches])  # or model.predict(batches)
        >>> [(os.path.basename(path), int(row[0])) for path, row in zip(batches.served_paths, rows, strict=True)]
        [('20.npy', 20), ('30.npy', 30), ('10.npy', 10)]
        """
        if self.manifest is None:
            return super().served_paths
        return [self.manifest.path(sample) for sample in self.served_samples.tolist()]

    @property
    def served_labels(self) -> np.ndarray | Any:
        """The label of every sample in `served_samples`, as in `labels`: row i of `predict` has label i."""
        values = self._source.labels.values
        return None if values is None else values[self.served_samples]

    @property
    def doubtful_samples(self) -> list[tuple[str, str]]:
        """Files that were read so far but may be damaged, with the warning of the decoder: `[(file, reason), ...]`.

        Only damaged JPEGs are detected, with simplejpeg (extra `fast`). A cache and a packed store remember them.
        """
        doubts = sorted(self._source.doubtful().copy().items())
        if doubts and self._partition is not None:
            members = {*self._members().tolist()}
            doubts = [(sample, reason) for sample, reason in doubts if sample in members]
        return [(self._source.name(sample), reason) for sample, reason in doubts]

    def rows_and_files(self) -> tuple[Source, Manifest | None, np.ndarray]:
        """Return what `ko.check` reads: the source without labels, the files, and the numbers of their samples.

        The source is a cache only if all samples are stored in it. The files of a partition are its own.
        """
        if self._partition is None:
            return self._data.source, self.manifest, np.arange(len(self._source))
        members = self._members()
        return self._data.source, None if self.manifest is None else self.manifest.take(members), members

    def _members(self) -> np.ndarray:
        return self._pipeline.order.members()

    def filenames(self, batch_index: int) -> list[str]:
        if self.manifest is None:
            return super().filenames(batch_index)
        return self.manifest.filenames[self.samples_of(batch_index)].tolist()

    def show_batch(
        self,
        batch_index: int = 0,
        num_images: int = 16,
        path: str | os.PathLike[str] | None = None,
        filenames: bool = False,
        predictions: Any = None,
        spectrogram: bool | None = None,
    ) -> "Figure":
        """Draw the images of a batch as the model receives them, with their labels.

        A caption has the class, or for several labels per sample all classes, or for soft labels the largest shares.
        A label of the height and width of the image is a mask, and drawn over it. If `x` is a dictionary or a tuple,
        every image in it is drawn, and inputs of a few numbers are written. The position in the data does not change.

        Args:
            batch_index: Position of the batch in the current pass.
            num_images: The largest number of images.
            path: Path of a `.png` file to save, or `None`.
            filenames: Whether to write the file of each image, or the row of an array.
            predictions: A model, which predicts the batch, or an array of what a model returned for it: probabilities,
                logits, classes, numbers or masks, one row per sample of `load_batch(batch_index)`. Each is
                written below the label, with ✓ or ✗, and the images of wrong ones have a frame. Logits have no
                percentage. Without labels, such as in a test folder, classes are written as numbers.
            spectrogram: Whether samples of shape `(frequencies, steps)` or `(frequencies, steps, 1)` are drawn in
                colors from the smallest to the largest value, with the first row at the bottom. Defaults to `True` for
                floats of shape `(frequencies, steps)`, and to `False` for other samples.

        Returns:
            A `matplotlib.figure.Figure`.

        Raises:
            OptionError: If the samples are not images, or `predictions` has another number of rows than the batch.
            MissingExtraError: If matplotlib is not installed (extra `plots`).
        """
        batch = self.load_batch(batch_index)
        figure = BatchFigure(batch, self._source.labels, self._format.channels_first, num_images, spectrogram)
        if predictions is not None:
            if hasattr(predictions, "predict_on_batch"):
                predictions = predictions.predict_on_batch(batch[0] if isinstance(batch, tuple) else batch)
            figure.add_predictions(predictions)
        if filenames:
            figure.add_names(self._names_of_rows(batch_index, figure.num_rows))
        return figure.draw(path)

    def _names_of_rows(self, batch_index: int, num_rows: int) -> list[str]:
        """Return the name of each row of a batch that was just made: a file, or a row of an array.

        It is empty for a sample that replaces an unreadable one, and for all rows if `transform` changed their number.
        """
        bad, names = self._pipeline.bad_samples, self.filenames(batch_index)
        planned = self._pipeline.maker.planned(self._pass.number, self._checked(batch_index))
        is_bad = [sample in bad for sample in planned.tolist()]
        if self._options.on_error == "skip":
            names = [name for name, bad in zip(names, is_bad) if not bad]
        else:
            names = ["" if bad else name for name, bad in zip(names, is_bad)]
        if self._options.pads:
            names = [names[row % len(names)] for row in range(num_rows)]
        return names if len(names) == num_rows else [""] * num_rows

    def _row_names(self) -> RowNames:
        return names_of_samples(self._data.source, self._source.labels, self.manifest)

    def _html_facts(self) -> list[tuple[str, str]]:
        names = self.class_names or []
        if not names:
            return []
        return [("classes", ", ".join(names[:LISTED_NAMES]) + and_more(len(names)))]

    def _pictures(self) -> list[Picture]:
        pictures = []
        for sample in self._shown_samples():
            if (uri := self._thumbnail(sample)) is not None:
                caption = self._source.labels.display_strings(self._source.labels.take(np.array([sample])), 1)[0]
                pictures.append(Picture(uri, caption, self._source.name(sample)))
        return pictures

    def _shown_samples(self) -> list[int]:
        """Return the numbers of the samples that a notebook shows: spread over all, or the first of a partition."""
        if self._partition is None:
            return spread(len(self._source))
        order = self._pipeline.order
        return order.samples(0, 0, min(MOST_PICTURES, order.size)).tolist()

    def _thumbnail(self, sample: int) -> str | None:
        """Return the thumbnail of a sample, or `None`. Sequences of files read the file and not the cache."""
        rows = self._data.source
        return thumbnail_of_row(rows.spec, lambda row: rows.read(np.array([sample]), row[np.newaxis]))

    def _described_samples(self, *lines: tuple[str, str]) -> list[tuple[str, str]]:
        """Return the description: samples and classes, their shape, then `lines`."""
        num_classes = len(self.class_names or ())
        y, num_rows = self._source.labels.take(np.arange(0)), self._options.rows_per_batch(self.num_samples)
        fields, features = self._format.fields, self._source.features
        arrays = [
            f"{name} {field.dtype} {(num_rows, *field.shape)}"
            for name, field in fields.items()
            if not name.startswith(LENGTH)
        ]
        if features is not None:
            if X in fields:
                arrays[0] = f"{self._source.rows_name}{arrays[0][1:]}"
            arrays.append(f"features float32 {(num_rows, features.shape[1])}")
        y_shape = None if y is None else (num_rows, *y.shape[1:])
        if has_answer(self._format.spec):
            y_shape = (num_rows, *fields[Y].shape) if Y in fields else None
        else:
            arrays.append("no labels" if y is None else f"y {y.dtype} {y_shape}")
        weight = weight_shape(y_shape or (num_rows,))
        if self._source.sample_weight is not None:
            weights = "sample_weight" if self._data.class_weight is None else "weights from class_weight"
            arrays.append(f"{weights} {self._source.sample_weight.dtype} {weight}")
        elif self._options.pads:
            arrays.append(f"sample_weight float32 {weight}")
        num_samples = len(self._source) if self._partition is None else self.num_samples
        contents = counted(num_samples, "sample")
        if num_classes and (y is not None or Y in fields):
            contents += f", {counted(num_classes, 'class')}"
        if self._data.sampling is not None:
            lines = (("draws", f"{self.num_samples:,} per epoch, {self._data.sampling}"), *lines)
        return self._described(contents, self._repr_arrays(*arrays), *lines)


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether samples of this shape are images: `(height, width, channels)`."""
    return len(shape) == 3 and shape[-1] in (1, 3, 4)
