"""`RowsOfTable`: how the rows of an open table become batches: their order, the cache, shards and timing."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from keras_oocore.batches.options import BatchOptions
from keras_oocore.batches.padding import require_labels
from keras_oocore.batches.profile import Profile
from keras_oocore.core.errors import OptionError
from keras_oocore.csv.cells import release_memory
from keras_oocore.ordering.order import Order
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.sequences.learned_features import LearnedFeatures
from keras_oocore.sequences.sampling import Sampling
from keras_oocore.sequences.table_sampling import draws_of_rows
from keras_oocore.sources.base import Source
from keras_oocore.tables.learned import Learned, LearnedFromRows
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.statistics import ColumnStatistics
from keras_oocore.tables.statistics_cache import fit_features, load_statistics
from keras_oocore.tables.stored import convert


class RowsOfTable(LearnedFeatures, OutOfCoreSequence):
    """Base class of Sequences of the rows of tables. A subclass opens the table, and calls `_open_rows`."""

    _learned_before: Learned | None = None  # by other rows, whose means and codes these rows have
    _waits_for_cache = False  # while another process fills it, instead of reading the files

    def _open_rows(
        self,
        rows: TableRows,
        options: BatchOptions,
        loading: Mapping[str, Any],
        cache: Path | None,
        overwrite_cache: bool,
        sampling: Sampling | None = None,
    ) -> None:
        """Serve rows.

        Args:
            rows: The rows.
            options: How rows become batches.
            loading: The arguments `memory_limit`, `workers`, `max_queue_size` and `use_multiprocessing`.
            cache: Directory that stores all rows, or `None`.
            overwrite_cache: Whether to replace an existing cache.
            sampling: How often each row is drawn, or `None` for once per epoch. It requires a cache.
        """
        self._sampling = sampling
        self._waits_for_cache = sampling is not None
        require_labels(bool(rows.features.targets), options)
        OutOfCoreSequence.__init__(self, rows, options, **loading)
        self._rows, self._loading = rows, loading
        self._cache, self._overwrite_cache = cache, overwrite_cache
        self._learned = self._learned_before or LearnedFromRows(rows, cache)

    def _counted_rows(self) -> Mapping[str, ColumnStatistics] | None:
        return load_statistics(self._rows, self._rows, self._cache) if self._rows.features.targets else None

    def _samples_per_epoch(self, source: Source) -> int:
        return len(source) if self._sampling is None else self._sampling.num_draws(len(source))

    def _ordered(self, source: Source) -> Order:
        if self._sampling is None:
            return super()._ordered(source)
        return draws_of_rows(self._sampling, source, self._options.seed)

    def _ready_source(self) -> Source:
        """Compute means and codes, and fill the cache. Both read all rows."""
        stored = None
        if self._cache is not None:
            stored = convert(self._rows, self._cache, self._overwrite_cache, self._waits_for_cache)
        if stored is None:
            fit_features(self._rows, self._cache)
        self._overwrite_cache = False
        return self._rows if stored is None else stored

    def shard(self, index: int | None = None, num_shards: int | None = None, gradients_averaged: bool = False) -> Self:
        """Return the share of one process in every batch, as `shard` of other Sequences does. It requires `cache`.

        The process that comes first fills the cache, and the others wait for it. So all of them have one order.

        Args:
            index: Number of this process, from 0.
            num_shards: Number of processes.
            gradients_averaged: Whether your script averages the gradients of all processes.

        Raises:
            OptionError: If there is no cache, the shards of a batch would have different sizes, or an argument is not
                valid.
        """
        if self._cache is None:
            raise OptionError(
                "Shards of a table require `cache`: without it, each process would parse all rows, in an order that "
                'depends on its memory. Pass cache="DIR", a directory that all processes see.'
            )
        if self._overwrite_cache and self._made is None:
            raise OptionError(
                "Shards share one cache, and overwrite_cache=True would replace it once per process. Remove the "
                f"directory {os.fspath(self._cache)!r} before the processes start."
            )
        self._waits_for_cache = True
        if self._made is not None and not self._made.source.cached:
            self.release()
            self._use(None)  # the files were read, because another process was filling the cache
        return super().shard(index, num_shards, gradients_averaged)

    def profile(self, num_batches: int | None = None) -> Profile:
        """Measure and print where the time per batch goes, as in `ImageFolderSequence`.

        Means, codes and the cache are computed first, and are not timed.

        Args:
            num_batches: Number of batches to time. Defaults to `50` with a cache. Without a cache, it defaults to the
                number of batches in a window of blocks, because a window is parsed as a whole for its first batch.
        """
        if self._pipeline.source.cached:
            return super().profile(50 if num_batches is None else num_batches)
        self.close()  # otherwise rows that are already parsed would not be timed
        window = math.ceil(self._rows.rows_per_window(self._options.shuffle) / self.batch_size)
        return self._profiled(min(len(self), window) if num_batches is None else num_batches, warm_up=0)

    def close(self) -> None:
        """Stop the loading threads and free memory. Reading starts the threads again."""
        super().close()
        self._rows.close()
        release_memory()

    def rows_of_table(self) -> TableRows:
        """Return what `ko.check` reads: the rows of the files, also with a cache.

        Raises:
            OptionError: If this is a partition.
        """
        if self._partition is not None:
            raise OptionError(
                "ko.check does not take a partition of a table. Pass the Sequence that was divided, or a part of "
                "`split`."
            )
        return self._rows

    @property
    def columns(self) -> list[str]:
        """Names of all columns of the files."""
        return list(self._rows.table.columns)

    @property
    def num_rows(self) -> int:
        """Number of rows that are served. With `sampling`, an epoch has `num_samples` draws of them."""
        return self.num_samples if self._sampling is None else len(self._rows)

    @property
    def class_weight(self) -> dict[str, float] | Any:
        """Class → weight of its rows, with `class_weight`. `None` for the parts of `split` that are not for training.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/payments.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("amount,fraud\\n10,0\\n20,0\\n30,0\\n40,0\\n50,1\\n")
        >>> rows = ko.CSVChunkSequence(path, "fraud", categorical=["fraud"], class_weight="balanced", shuffle=False)
        >>> x, y, sample_weight = rows[0]
        >>> rows.class_weight, sample_weight.tolist()
        ({'0': 0.625, '1': 2.5}, [0.625, 0.625, 0.625, 0.625, 2.5])
        """
        if not self._rows.weighs_classes:
            return None
        fit_features(self._rows, self._cache)
        classes = self._rows.features.classes
        return dict(zip(classes.names, classes.weights.tolist()))
