"""Reads every sample of a Sequence once, in the order of the samples, with what a person calls it and its label."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from keras_oocore.batches.budget import Budget
from keras_oocore.batches.options import BatchOptions, OnError
from keras_oocore.batches.pipeline import Pipeline
from keras_oocore.core.errors import SampleError
from keras_oocore.core.fingerprint import of_array
from keras_oocore.ordering.listed_order import ListedOrder
from keras_oocore.sequences.position import data_options
from keras_oocore.sources.base import Source
from keras_oocore.sources.layout import arrays_of, image_field

Named = Mapping[str, np.ndarray]


class LeftOut(NamedTuple):
    """Rows of a table that are not samples, because they cannot be read or are not complete.

    Attributes:
        order: The order in the files of the samples and these rows, first the numbers of the samples and then those of
            the rows, `int64` of shape `(num_samples + num_rows,)`.
        names: What a person calls each row.
        reasons: Why each row is left out.
        columns: What `columns` of `RowNames` returns for samples.
        others: What `others` of `RowNames` returns for samples.
    """

    order: np.ndarray
    names: list[str]
    reasons: list[str]
    columns: Named
    others: Named


class RowNames(NamedTuple):
    """What a Sequence knows about its rows.

    Attributes:
        columns: Function of the numbers of samples. It returns name → array of one value per sample.
        others: The same, for columns that are only made if a user asks for them.
        labels: Function of the numbers of samples, and of `y` of their batch, or `None` if it was not made. It returns
            name → one label per sample: strings, numbers, or indices of classes as `int64`, where -1 is not a class.
        class_names: Names of the classes of the labels, or `None`.
        targets: Names of the numbers to predict, or an empty list.
        has_files: Whether each sample is a file, which may be unreadable.
        several_labels: Whether a sample may have several classes.
        left_out: Function of the first and the last sample (exclusive) of a batch. It returns the rows that are left
            out before and between these samples and, after the last sample of all, the rest. `None` if every row is a
            sample.
        num_uncounted: Number of rows of the files that have no number, because they cannot be parsed.
        uncounted: What a person calls the first of these rows, and why they cannot be parsed.
    """

    columns: Callable[[np.ndarray], Named]
    others: Callable[[np.ndarray], Named]
    labels: Callable[[np.ndarray, Any], Named]
    class_names: list[str] | None
    targets: list[str]
    has_files: bool
    several_labels: bool
    left_out: Callable[[int, int], LeftOut] | None = None
    num_uncounted: int = 0
    uncounted: Sequence[tuple[str, str]] = ()

    @property
    def may_have_errors(self) -> bool:
        """Whether predictions have a column `error`."""
        return self.has_files or self.left_out is not None


class ReadBatch(NamedTuple):
    """A batch in the order of the samples.

    Attributes:
        samples: Numbers of all its samples, `int64` of shape `(n,)`, also of those that cannot be read.
        readable: Whether each of them was read, `bool` of shape `(n,)`.
        errors: Position in `samples` → why it cannot be read.
        batch: What Keras receives, with the samples that were read. `None` if no sample was.
    """

    samples: np.ndarray
    readable: np.ndarray
    errors: dict[int, str]
    batch: Any


class InOrder:
    """The samples of a Sequence in their order, whatever `shuffle`, `last_batch` and `on_error` say.

    It has a pipeline of its own, so the position of the Sequence does not change.

    Args:
        source: The samples.
        members: Numbers of the samples of a partition, or `None` for all.
        options: How samples become batches.
        budget: Number of threads, and of batches to make ahead.
        rows: What the Sequence knows about its rows.
        on_error: `"raise"` an error for the first sample that cannot be read, or `"skip"` it.
    """

    def __init__(
        self,
        source: Source,
        members: np.ndarray | None,
        options: BatchOptions,
        budget: Budget,
        rows: RowNames,
        on_error: OnError = "skip",
    ):
        self.rows: RowNames = rows if members is None else rows._replace(left_out=None, num_uncounted=0)
        self._options = replace(options, shuffle=False, last_batch="keep", on_error=on_error)
        order = (
            source.order(False, options.seed, options.batch_size)
            if members is None
            else ListedOrder(members, len(source))
        )
        self._members = members
        self._pipeline = Pipeline(source, order, self._options, budget)

    @property
    def num_samples(self) -> int:
        """Number of samples."""
        return self._pipeline.order.size

    @property
    def num_batches(self) -> int:
        """Number of batches. The last one may be shorter."""
        return self._options.num_batches(self.num_samples)

    @property
    def batch_size(self) -> int:
        """Number of samples per batch."""
        return self._options.batch_size

    @property
    def source(self) -> Source:
        """The source of the samples."""
        return self._pipeline.source

    def samples(self, first: int, stop: int) -> np.ndarray:
        """Return the numbers of the samples of the batches from `first` to `stop`."""
        size = self.batch_size
        return self._pipeline.order.samples(0, first * size, min(stop * size, self.num_samples))

    def read(self, position: int) -> ReadBatch:
        """Return a batch, and start the next ones.

        Raises:
            ResourceError: If this process has too many open files.
            DataError: If a table cannot be read.
        """
        samples, bad = self.samples(position, position + 1), self._pipeline.bad_samples
        try:
            batch = self._pipeline.get(0, position)
        except SampleError:
            if not all(sample in bad for sample in samples.tolist()):
                raise
            batch = None
        errors = {row: bad.pop(sample) for row, sample in enumerate(samples.tolist()) if sample in bad}
        readable = np.ones(len(samples), bool)
        readable[list(errors)] = False
        self._pipeline.maker.served_instead.clear()
        return ReadBatch(samples, readable, {row: error.reason or str(error) for row, error in errors.items()}, batch)

    def picture(self, sample: int) -> np.ndarray:
        """Return one sample, or its image, as it is stored or decoded, without `rescale` and `transform`.

        Raises:
            SampleError: If it cannot be read.
        """
        spec = self.source.spec
        out = np.empty((1, *spec.shape), spec.dtype)
        for error in self.source.read(np.array([sample]), out).values():
            raise error
        arrays = arrays_of(out)
        return arrays[image_field(spec) or next(iter(arrays))][0]

    def version(self, first: int, stop: int) -> int:
        """Return a checksum that changes if a sample of these batches changes on disk."""
        return self.source.version(self.samples(first, stop))

    def fingerprint(self) -> dict[str, Any]:
        """Return what determines the batches, as plain JSON. It is equal in the next run."""
        options = data_options(self.source, self._pipeline.maker.format, self._options)
        options.pop("on_error")
        described = {
            "data": self.source.fingerprint(),
            "samples": self.num_samples,
            "partition": None if self._members is None else of_array(self._members),
            "batch_size": self.batch_size,
            "options": options,
        }
        return json.loads(json.dumps(described, default=str))

    def release(self) -> None:
        """Stop the loading threads and free the batches that were made ahead."""
        self._pipeline.close()
