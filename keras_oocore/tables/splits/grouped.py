"""`GroupedSplit`: all rows of a group are in the same part. Groups share buckets, numbered by a hash of their key."""

import dataclasses
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_oocore.csv.cells import Cells, Column
from keras_oocore.manifest.group_splits import GroupCounts, divide_groups
from keras_oocore.tables.splits.base import Fractions, Split, generator
from keras_oocore.tables.splits.classes import ClassIndex, class_name, codes_in, count_classes
from keras_oocore.tables.splits.hashing import combined, hash_keys

BUCKET_BITS = 16
NUM_BUCKETS = 2**BUCKET_BITS
MOST_PAIRS = 2**22  # of bucket and class that are kept before equal ones are added up


@dataclasses.dataclass(frozen=True, eq=False)
class GroupedSplit(Split):
    """Rows divided by the bucket of their key. A bucket is in one part, so a group is never divided.

    Args:
        fractions: Fractions of the rows.
        seed: Seed of the draw.
        columns: The columns whose cells together are the key of a group: strings, or moments.
        stratify: Name of the column whose classes are balanced, or `None`.
        part_of_bucket: Number of the part of each bucket, `int8` of shape `(NUM_BUCKETS,)`.
    """

    fractions: Fractions
    seed: int
    columns: tuple[Column, ...]
    stratify: str | None
    part_of_bucket: np.ndarray

    @classmethod
    def of(
        cls,
        columns: tuple[Column, ...],
        stratify: Column | None,
        counted: Iterable["ChunkCounts"],
        fractions: Fractions,
        seed: int,
    ) -> "GroupedSplit":
        """Return the split of a table. Memory is needed for the buckets and their classes, not for the groups.

        Args:
            columns: The columns of the key.
            stratify: The column whose classes are balanced, or `None`.
            counted: The rows of each chunk, counted by bucket and class.
            fractions: Fractions of the rows.
            seed: Seed of the draw.

        Raises:
            OptionError: If there are fewer groups than parts, or `stratify` has no classes.
        """
        index, pairs, counts = ClassIndex(stratify or columns[0]), [], []
        for chunk in counted:
            codes = index.codes(chunk.classes)[chunk.codes] if stratify else np.zeros_like(chunk.codes)
            pairs.append(codes * NUM_BUCKETS + chunk.buckets)
            counts.append(chunk.counts)
            if sum(map(len, pairs)) > MOST_PAIRS:
                pairs, counts = _added_up(pairs, counts)
        (pairs,), (counts,) = _added_up(pairs, counts)
        classes, buckets = np.divmod(pairs, NUM_BUCKETS)
        occupied, groups = np.unique(buckets, return_inverse=True)
        names = [class_name(value) for value in index.classes] if stratify else None
        part_of_bucket = np.zeros(NUM_BUCKETS, np.int8)
        part_of_bucket[occupied] = divide_groups(
            GroupCounts(groups, classes, counts), fractions.counts(int(counts.sum())), generator(seed, 0), names
        )
        return cls(fractions, seed, columns, stratify.name if stratify else None, part_of_bucket)

    @property
    def names(self) -> tuple[str, ...]:
        return self.fractions.names

    def assign(self, chunk: int, first: int, end: int, keys: Cells) -> np.ndarray:
        return self.part_of_bucket[_buckets_of(keys, self.columns)]

    def describe(self, part: int) -> dict[str, Any]:
        return {
            **self.fractions.describe(),
            "stratify": self.stratify,
            "groups": [column.name for column in self.columns],
            "seed": self.seed,
            "part": self.names[part],
            "drawn": zlib.crc32(self.part_of_bucket.tobytes()),  # it depends on all rows
        }

    def why_empty(self, part: int, num_rows: int) -> str:
        return self.fractions.why_empty(self.names[part], num_rows)


@dataclasses.dataclass(frozen=True)
class ChunkCounts:
    """The rows of a chunk, counted by bucket and class.

    Attributes:
        buckets, codes, counts: `int64` arrays of equal length: buckets, positions in `classes`, and numbers of rows.
        classes: The classes of the chunk.
    """

    buckets: np.ndarray
    codes: np.ndarray
    counts: np.ndarray
    classes: list[Any]

    @classmethod
    def of(cls, keys: Cells, columns: tuple[Column, ...], strata: Any | None) -> "ChunkCounts":
        """Count rows.

        Args:
            keys: The rows, with the cells of their keys.
            columns: The columns of the key.
            strata: `pyarrow` array of the class of each row, or `None`.
        """
        buckets, codes, classes = _buckets_of(keys, columns), 0, [None]
        if strata is not None:
            classes, _ = count_classes(strata)
            codes = codes_in(strata, classes).astype(np.int64)
        pairs, counts = np.unique(codes * NUM_BUCKETS + buckets, return_counts=True)
        codes, buckets = np.divmod(pairs, NUM_BUCKETS)
        return cls(buckets, codes, counts, classes)


def _buckets_of(keys: Cells, columns: tuple[Column, ...]) -> np.ndarray:
    """Return the bucket of each row, `int64`."""
    hashes = combined([hash_keys(keys.columns[column.name]) for column in columns])
    return (hashes >> np.uint64(64 - BUCKET_BITS)).astype(np.int64)


def _added_up(pairs: list[np.ndarray], counts: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the distinct pairs and the sums of their counts, as lists of one array."""
    distinct, places = np.unique(np.concatenate(pairs), return_inverse=True)
    return [distinct], [np.bincount(places, np.concatenate(counts), len(distinct)).astype(np.int64)]
