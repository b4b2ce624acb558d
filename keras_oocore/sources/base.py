"""The interface of a source: samples that are read by number."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_oocore.core.errors import SampleError
from keras_oocore.ordering.epoch_order import EpochOrder
from keras_oocore.ordering.order import Order
from keras_oocore.sources.layout import RowSpec, arranged, fields_of

WHOLE_BATCH = 2**30  # rows per task if copying rows is too fast to be divided among threads
BLOCKS_PER_BATCH = 8  # with shuffle="block", a batch contains about this many runs of neighbors


class Source(ABC):
    """Samples of one shape and dtype, or of several arrays of one shape and dtype each, read by number.

    To add a source, implement `spec`, `__len__`, `name`, `fingerprint` and `read`. The other methods are capabilities
    with defaults. Sources are read from several threads, and they must pickle.

    Attributes:
        spec: `RowSpec`, shape and dtype of a row.
        rows_per_task: Number of rows that a thread reads at a time. Batches are divided among threads in such tasks.
        groups_batches: Whether one job makes several small batches, because reading rows is cheaper than handing over
            a batch.
        reads_blocks: Whether rows are read in blocks of neighbors. A random order would read each block many times.
        can_shuffle_blocks: Whether `order` accepts `shuffle="block"`.
        cached: Whether rows are read from a packed store once they are stored, without decoding or parsing.
        cacheable: Whether `cache` of the Sequence could store the rows.
    """

    spec: RowSpec
    rows_per_task: int = WHOLE_BATCH
    groups_batches: bool = False
    reads_blocks: bool = False
    can_shuffle_blocks: bool = True
    cached: bool = False
    cacheable: bool = False

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples."""

    @abstractmethod
    def name(self, sample: int) -> str:
        """Return the name of a sample for messages: a path, or a row of a file."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """Return what identifies the samples, as plain JSON. It is equal in the next run, and other samples differ."""

    @abstractmethod
    def read(self, samples: np.ndarray, out: np.ndarray) -> dict[int, SampleError]:
        """Read samples into a buffer.

        Args:
            samples: Numbers of the samples, an integer array of shape `(n,)`.
            out: Array of shape `(n, *spec.shape)` and dtype `spec.dtype`. `out[i]` is filled with sample `samples[i]`.

        Returns:
            A dictionary from row to error, for the rows that cannot be read.
        """

    def options(self) -> dict[str, Any]:
        """Return the options that determine the rows of these samples, by their names, as plain JSON."""
        shapes = {name: list(field.shape) for name, field in fields_of(self.spec).items()}
        return {"shape": shapes["x"] if len(shapes) == 1 else shapes}

    def order(self, shuffle: bool | str, seed: int, batch_size: int) -> Order:
        """Return the order in which epochs read the samples."""
        return EpochOrder(len(self), shuffle, seed, max(1, batch_size // BLOCKS_PER_BATCH))

    def unpack(self, rows: Any, samples: np.ndarray) -> tuple[Any, Any, Any]:
        """Split rows of a batch into `(x, y, sample_weight)`. Parts that the source does not have are `None`.

        Args:
            rows: An array, or name → array if a row has several arrays: see `sources/layout`.
            samples: Numbers of the samples.
        """
        return *arranged(rows), None

    def prefetch(self, chunks: Sequence[int]) -> None:
        """Read chunks whose rows are needed soon. Only sources that read in chunks do anything here."""
        return

    def select(self, samples: np.ndarray) -> "Source":
        """Return a source of only these samples, numbered in this order."""
        raise NotImplementedError(f"{type(self).__name__} does not support `select`.")

    def version(self, samples: np.ndarray) -> int:
        """Return a checksum that changes when these samples change on disk, without reading them.

        `0` if the fingerprint says all that is known.
        """
        return 0

    def measures(self, samples: np.ndarray) -> np.ndarray | None:
        """Return what `images.measures.measures_of` found in the rows of samples when they were stored.

        A sample whose measures are not known, such as an unreadable one, has only NaN. `None` if there are no measures.
        """
        return None

    def doubtful(self) -> dict[int, str]:
        """Return the samples that were read but may be damaged, with the reasons, as far as they are known."""
        return {}

    def close(self) -> None:
        """Close files. Reading opens them again."""
        return


class StampedSource(Source):
    """A source of files that can detect whether a file changed. `Cached` wraps such a source."""

    cacheable = True
    files_per_sample: int = 1

    @property
    def has_images(self) -> bool:
        """Whether the array `x` of each row is an image of 8 bits, whose pixels a cache measures."""
        return False

    @abstractmethod
    def stamps(self, samples: np.ndarray) -> np.ndarray:
        """Return size in bytes and time of change in ns of the files of each sample; -1 for missing files.

        The array is `int64` of shape `(n, 2 * files_per_sample)`, with two columns per file.
        """

    def version(self, samples: np.ndarray) -> int:
        return zlib.crc32(np.ascontiguousarray(self.stamps(samples)).tobytes())

    def part(self, samples: np.ndarray) -> "StampedSource":
        """Return a source that reads at least these samples, under the same numbers, and pickles to few bytes."""
        return self

    def add_doubtful(self, doubts: Mapping[int, str]) -> None:
        """Remember samples that may be damaged, which another process has read."""
        return

    @abstractmethod
    def row_fingerprint(self) -> dict[str, Any]:
        """Return what determines the rows besides the contents of the files, as plain JSON."""
