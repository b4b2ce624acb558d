"""The contract between the disk and a batch: samples that are read by number."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_oocore.core.errors import SampleError
from keras_oocore.ordering.epoch_order import EpochOrder
from keras_oocore.ordering.order import Order

FIELD = "x"  # field of a packed store that holds the rows
WHOLE_BATCH = 2**30  # rows per task where copying rows is too fast to be shared among threads
BLOCKS_PER_BATCH = 8  # for shuffle="block": a batch mixes neighbors from as many places


class RowSpec(NamedTuple):
    """Shape and dtype of a row."""

    shape: tuple[int, ...]
    dtype: np.dtype


class Source(ABC):
    """Samples of one shape and dtype, read by number.

    To add a source, implement `spec`, `__len__`, `name`, `fingerprint` and `read`. The other methods are capabilities
    with defaults. Sources are read from several threads, and they must pickle.

    Attributes:
        spec: `RowSpec`, shape and dtype of a row.
        rows_per_task: Number of rows that a thread reads at a time. Batches are shared among threads in such tasks.
        groups_batches: Whether one job makes several small batches, because a row costs less than handing over a batch.
        cached: Whether a packed store keeps the rows: those that it has are neither decoded nor parsed.
    """

    spec: RowSpec
    rows_per_task: int = WHOLE_BATCH
    groups_batches: bool = False
    cached: bool = False

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples."""

    @abstractmethod
    def name(self, sample: int) -> str:
        """Return what a person calls the sample: a path, or a row of a file."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """Return what identifies the samples, as plain JSON: the same in the next run, another for other samples."""

    @abstractmethod
    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Read samples into a buffer.

        Args:
            samples: Numbers of the samples, an integer array of shape `(n,)`.
            out: Array of shape `(n, *spec.shape)` and dtype `spec.dtype`. `out[i]` is filled with sample `samples[i]`.

        Returns:
            A dictionary from row to error, for the rows that cannot be read.
        """

    def order(self, shuffle: bool | str, seed: int, batch_size: int) -> Order:
        """Return the order in which epochs read the samples."""
        return EpochOrder(len(self), shuffle, seed, max(1, batch_size // BLOCKS_PER_BATCH))

    def unpack(self, rows: np.ndarray, samples: np.ndarray) -> tuple[Any, Any, Any]:
        """Split rows of a batch into `(x, y, sample_weight)`, with `None` for what the source does not have."""
        return rows, None, None

    def prefetch(self, chunks: Sequence[int]) -> None:
        """Read chunks whose rows are due soon, for a source that reads in chunks."""
        return

    def select(self, samples: np.ndarray) -> "Source":
        """Return a source of these samples alone, numbered in the order given."""
        raise NotImplementedError(f"{type(self).__name__} does not support a selection of its samples.")

    def close(self) -> None:
        """Close files. Reading opens them again."""
        return


class StampedSource(Source):
    """A source whose samples are files, and which can tell whether one of them changed: what `Cached` wraps."""

    @abstractmethod
    def stamps(self, samples: np.ndarray) -> np.ndarray:
        """Return size in bytes and time of change (ns) of each file, `int64` of shape `(n, 2)`; -1 if it is missing."""

    @abstractmethod
    def row_fingerprint(self) -> dict[str, Any]:
        """Return what shapes the rows apart from the contents of the files, as plain JSON."""
