"""A source with labels and weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_oocore.core.errors import SampleError
from keras_oocore.core.fingerprint import of_array
from keras_oocore.manifest.labels import Labels
from keras_oocore.ordering.order import Order
from keras_oocore.sources.base import RowSpec, Source


class Labelled(Source):
    """Adds a label and a weight per sample to any source.

    Args:
        source: The samples.
        labels: Their labels.
        sample_weight: Their weights, `float32` of shape `(num_samples,)`, or `None`.

    >>> from keras_oocore.sources.arrays import ArrayRows
    >>> source = Labelled(ArrayRows(np.zeros((3, 2))), Labels([5, 6, 7], "raw"), None)
    >>> x, y, sample_weight = source.unpack(np.zeros((2, 2)), samples=np.array([2, 0]))
    >>> y.tolist(), sample_weight
    ([7, 5], None)
    """

    def __init__(self, source: Source, labels: Labels, sample_weight: np.ndarray | None):
        self.source: Source = source
        self.labels: Labels = labels
        self.sample_weight: np.ndarray | None = sample_weight
        self.groups_batches: bool = source.groups_batches
        self.reads_blocks: bool = source.reads_blocks

    @property
    def spec(self) -> RowSpec:
        return self.source.spec

    @property
    def rows_per_task(self) -> int:  # changes when a cache is full
        return self.source.rows_per_task

    @property
    def cached(self) -> bool:
        return self.source.cached

    @property
    def cacheable(self) -> bool:
        return self.source.cacheable

    def __len__(self) -> int:
        return len(self.source)

    def name(self, sample: int) -> str:
        return self.source.name(sample)

    def fingerprint(self) -> dict[str, Any]:
        values = self.labels.values
        return {**self.source.fingerprint(), "labels": None if values is None else of_array(values)}

    def options(self) -> dict[str, Any]:
        weight = None if self.sample_weight is None else of_array(self.sample_weight)
        return {
            **self.source.options(),
            "label_mode": self.labels.label_mode,
            "sample_weight or class_weight": weight,
        }

    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        return self.source.read(samples, out)

    def order(self, shuffle: bool | str, seed: int, batch_size: int) -> Order:
        return self.source.order(shuffle, seed, batch_size)

    def version(self, samples: np.ndarray) -> int:
        return self.source.version(samples)

    def unpack(self, rows: Any, samples: np.ndarray) -> tuple[Any, Any, Any]:
        weight = None if self.sample_weight is None else self.sample_weight[samples]
        x, y, _ = self.source.unpack(rows, samples)
        return x, self.labels.take(samples) if y is None else y, weight

    def select(self, samples: np.ndarray) -> "Labelled":
        weight = None if self.sample_weight is None else self.sample_weight[samples]
        return Labelled(self.source.select(samples), self.labels.select(samples), weight)

    def prefetch(self, chunks: Sequence[int]) -> None:
        self.source.prefetch(chunks)

    def measures(self, samples: np.ndarray) -> np.ndarray | None:
        return self.source.measures(samples)

    def doubtful(self) -> dict[int, str]:
        return self.source.doubtful()

    def close(self) -> None:
        self.source.close()
