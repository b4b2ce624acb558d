"""Batches of the rows of CSV files of any size."""

import dataclasses
import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from keras_oocore.batches.budget import HELD_BATCHES, num_threads
from keras_oocore.batches.maker import BatchOptions
from keras_oocore.batches.profile import Profile
from keras_oocore.core.errors import OptionError
from keras_oocore.core.sizes import default_limit_bytes, format_bytes, parse_bytes
from keras_oocore.core.text import Text, display_path, listed
from keras_oocore.manifest.labels import Labels
from keras_oocore.manifest.splits import as_seed
from keras_oocore.ordering.epoch_order import EpochOrder
from keras_oocore.ordering.window_order import WindowOrder
from keras_oocore.sequences.base import OutOfCoreSequence
from keras_oocore.tables.cells import release_memory
from keras_oocore.tables.csv.dialect import NULL_VALUES, Dialect
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.statistics import summary
from keras_oocore.tables.statistics_cache import fit_features, load_statistics
from keras_oocore.tables.stored import convert
from keras_oocore.tables.subset import RowSubset

TRAINING, VALIDATION = "training", "validation"  # folders of the cache
FEWEST_AHEAD, MOST_AHEAD, AHEAD_BYTES = 10, 256, 4 * 2**20  # batches: as many as in Keras, more of small ones


class CSVChunkSequence(OutOfCoreSequence):
    """Batches of the rows of CSV files, tens or hundreds of GB of them, on any backend of Keras 3.

    Args:
        data: a path; a pattern such as `"part-*.csv"`; or a list of paths. All files have the same columns. Files
            that are compressed with gzip want a `cache`, where their text is unpacked once, and stays.
        target: the column to be predicted, and `y` has shape `(batch,)`; or a list of columns, and it has shape
            `(batch, columns)`; `None` for rows to predict, and batches are `x` alone. Of text, `y` is the index of a
            class, `class_names`.
        features: columns; a dictionary of lists of columns, for models of several inputs; `None` for all others.
        batch_size: rows in a batch.
        sample_weight: a column of weights.
        dtypes: column → `"float32"`, `"bool"`, `"string"`, or a format of dates such as `"%Y-%m-%d"`, which become
            seconds since 1970; where it is not to be inferred.
        categorical: columns whose cells are names, though they look like numbers. Text becomes codes: 0 for a missing
            cell, 1 for text that training never saw, then by frequency, as `keras.layers.StringLookup` counts.
        missing: what a missing number does. `"error"`; `"nan"`; `"mean"`: the column's mean takes its place; `"drop"`:
            its row is left out; `{column: value}`: the value does, and in other columns it is an error.
        indicator: whether a 1 or 0 for "was missing" follows, for every feature that is a number.
        null_values: texts that stand for a missing cell; in a column of text only where they are not between quotes.
            `...` among them stands for the usual ones.
        header: whether the first row has the names of the columns.
        column_names: names to use in place of the header's.
        delimiter: between cells.
        encoding: of the files.
        decimal: `"."` or `","`.
        skip_rows: lines before the header that are no part of the table.
        comment: the character that a line begins with that is none.
        on_bad_row: `"error"`, or `"skip"` for rows that cannot be read.
        shuffle: `True` for a new order every epoch: a global shuffle with `cache`; without, blocks of the files come in
            random order and rows are mixed in a window of 64 blocks of 4 MB, or of as many as a third of
            `memory_limit` holds: another limit, another order. `False` for the files' order.
        seed: of the order and of `transform`; as in `ImageFolderSequence`.
        transform: as in `ImageFolderSequence`, called with `x` as it is: a matrix or a dictionary.
        last_batch: `"keep"` or `"drop"` one that is not full.
        cache: a directory where all rows are stored in one pass before the first batch, which goes on where it was
            stopped; every epoch and every later run then reads rows at the speed of memory, in a truly random order.
        overwrite_cache: whether a cache of other options or files is made again.
        memory_limit: of all parsed rows and batches in flight, in bytes or as `"128MB"`; by default the smaller of
            512 MB and a tenth of this machine's memory. Two blocks are kept whatever they take, and each thread takes
            about 20 MB on top to parse.
        workers, use_multiprocessing: as in `ImageFolderSequence`.
        max_queue_size: batches made ahead of time; `None` for 10, or of small ones up to 256, in 4 MB.

    Raises:
        OptionError: when an argument cannot work.
        DataError: when a file is not what it should be; the message names file, row, line and column.
        MissingExtraError: when pyarrow is not installed (extra `csv`).

    >>> import tempfile
    >>> path = f"{tempfile.mkdtemp()}/houses.csv"
    >>> with open(path, "w") as file:
    ...     _ = file.write("sqft,city,price\\n1000,Rome,1\\n2000,Oslo,2\\n1500,Rome,3\\n")
    >>> rows = CSVChunkSequence(path, target="price", features=["sqft", "city"], batch_size=2, shuffle=False)
    >>> x, y = rows[0]
    >>> x.tolist(), y.tolist(), rows.vocabulary("city")
    ([[1000.0, 2.0], [2000.0, 3.0]], [1.0, 2.0], ['Rome', 'Oslo'])
    """

    def __init__(
        self,
        data: str | os.PathLike | Sequence[str | os.PathLike],
        target: str | Sequence[str] | None,
        features: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        batch_size: int = 100,
        sample_weight: str | None = None,
        dtypes: Mapping[str, object] | None = None,
        categorical: Sequence[str] = (),
        missing: str | Mapping[str, float] = "error",
        indicator: bool = False,
        null_values: Sequence[str] = NULL_VALUES,
        header: bool = True,
        column_names: Sequence[str] | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8",
        decimal: str = ".",
        skip_rows: int = 0,
        comment: str | None = None,
        on_bad_row: str = "error",
        shuffle: bool = True,
        seed: int | None = None,
        transform: Callable | None = None,
        last_batch: str = "keep",
        cache: str | os.PathLike | None = None,
        overwrite_cache: bool = False,
        memory_limit: int | str | None = None,
        workers: int | None = None,
        max_queue_size: int | None = None,
        use_multiprocessing: bool = False,
    ):
        if shuffle not in (True, False):
            raise OptionError(f"`shuffle` should be True or False. Received: shuffle={shuffle!r}")
        options = BatchOptions(
            batch_size=batch_size,
            shuffle=shuffle,
            seed=as_seed(seed),
            seed_is_drawn=seed is None,
            transform=transform,
            last_batch=last_batch,
        )
        cache = None if cache is None else Path(os.path.abspath(os.path.expanduser(cache)))
        kept_in = [] if cache is None else [cache, cache / TRAINING]
        dialect = Dialect(delimiter, encoding, header, skip_rows, comment)
        threads = num_threads(workers)
        table = CSVTable(
            data, dialect, column_names, dtypes, null_values, decimal, on_bad_row, max(1, threads), cache, kept_in
        )
        recipe = FeatureSpec(table, target, features, sample_weight, categorical, missing, indicator)
        limit_bytes = default_limit_bytes() if memory_limit is None else parse_bytes(memory_limit)
        batch_bytes = options.batch_size * 4 * len(recipe.words)
        if max_queue_size is None:
            max_queue_size = min(max(FEWEST_AHEAD, AHEAD_BYTES // batch_bytes), MOST_AHEAD)
        batches_bytes = limit_bytes // 3  # always: how many rows are mixed is not to depend on the queue
        if batches_bytes < HELD_BATCHES * batch_bytes:
            raise OptionError(
                f"`memory_limit` of {format_bytes(limit_bytes)} is too small: a third of it is for batches, and two "
                f"take {format_bytes(HELD_BATCHES * batch_bytes)}. Use a smaller batch_size, or "
                f"memory_limit={3 * HELD_BATCHES * batch_bytes} or more."
            )
        rows = TableRows(table, recipe, None, threads, limit_bytes - batches_bytes)
        if on_bad_row == "skip" and rows.num_skipped:
            number = rows.num_skipped
            what = "1 row is" if number == 1 else f"{number:,} rows are"
            warnings.warn(f"{what} left out: on_bad_row='skip'.", stacklevel=2)
        self._serve(
            rows,
            options,
            cache=cache,
            overwrite_cache=overwrite_cache,
            memory_limit=batches_bytes,
            workers=workers,
            max_queue_size=max_queue_size,
            use_multiprocessing=use_multiprocessing,
        )

    def _serve(
        self, rows: TableRows, options: BatchOptions, cache: Path | None, overwrite_cache: bool, **loading
    ) -> None:
        super().__init__(
            samples=rows,
            labels=Labels(None, None),
            manifest=None,
            options=options,
            sample_weight=None,
            class_weight=None,
            cache=None,
            overwrite_cache=False,
            order=rows.order(options.shuffle, options.seed),
            **loading,
        )
        self._rows, self._loading = rows, loading
        self._cache, self._overwrite_cache = cache, overwrite_cache
        self._ready = False

    def _get_ready(self) -> None:
        """Do what has to be done with all rows before the first batch: find means and codes, fill the cache."""
        if self._ready:
            return
        with self._rows.setup_lock:
            if self._ready:  # another thread was quicker
                return
            stored = None if self._cache is None else convert(self._rows, self._cache, self._overwrite_cache)
            if stored is None:
                fit_features(self._rows, self._cache)
            else:
                options = self._maker.options
                self._maker.samples = stored
                self._maker.order = EpochOrder(len(stored), options.shuffle, options.seed)
            self._ready, self._overwrite_cache = True, False

    def _described_data(self) -> dict:
        self._get_ready()  # with a cache, the order is another
        return super()._described_data()

    def _checked(self, index: int) -> int:
        self._get_ready()  # whoever asks for a batch, or which samples are in it, comes by here first
        return super()._checked(index)

    def split(self, validation_split: float = 0.2, seed: int = 0) -> tuple["CSVChunkSequence", "CSVChunkSequence"]:
        """Two Sequences: of most rows, and of the others in the files' order. Nothing of the others is learnt from.

        Means and codes are those of the first; with `cache=DIR` the two are stored in `DIR/training` and
        `DIR/validation`. This Sequence need not be read, and its rows are then not stored.

        Args:
            validation_split: fraction of the rows for the second.
            seed: of the draw.

        Raises:
            OptionError: when an argument cannot work, or this is a part already.
            DataError: when one of the two would have no row.

        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,price\\n" + "".join(f"{100 * i},{i}\\n" for i in range(10)))
        >>> train, val = CSVChunkSequence(path, target="price").split(validation_split=0.3, seed=1)
        >>> train.num_rows, val[0][1].tolist()
        (7, [4.0, 6.0, 8.0])
        """
        if not isinstance(validation_split, float) or not 0 < validation_split < 1:
            raise OptionError(
                "`validation_split` should be a fraction between 0 and 1. "
                f"Received: validation_split={validation_split!r}"
            )
        if self._rows.subset is not None or self._partition is not None:
            raise OptionError("Only a Sequence of all rows can be split. Received: a part of them")
        part = RowSubset(validation_split, as_seed(seed), validation=False)
        training = self._rows.subset_of(part, None, None)
        others = np.subtract(self._rows.sizes, training.sizes).tolist()
        validation = self._rows.subset_of(dataclasses.replace(part, validation=True), training, others)
        options = self._maker.options
        return (
            self._of(training, options, TRAINING),
            self._of(validation, dataclasses.replace(options, shuffle=False), VALIDATION),
        )

    def _of(self, rows: TableRows, options: BatchOptions, folder: str) -> "CSVChunkSequence":
        """A Sequence of other rows of the same files."""
        sequence = object.__new__(CSVChunkSequence)
        cache = None if self._cache is None else self._cache / folder
        sequence._serve(rows, options, cache, self._overwrite_cache, **self._loading)
        return sequence

    def partition(self, n: int) -> list["CSVChunkSequence"]:
        """As in `ImageFolderSequence`; means, codes and the cache, which the parts share, are made first.

        Without a cache, a part holds blocks of neighbouring rows from all over the files, and reads those alone.
        """
        self._get_ready()
        return super().partition(n)

    def profile(self, num_batches: int | None = None) -> Profile:
        """As in `ImageFolderSequence`; means, codes and the cache are made first, and not counted.

        Args:
            num_batches: `None` for 50 from a cache, and without one for as many as a window of blocks holds: all of it
                is parsed for the first of them.
        """
        self._get_ready()
        if not isinstance(self._maker.order, WindowOrder):
            return super().profile(50 if num_batches is None else num_batches)
        self.close()  # what was parsed is parsed again
        rows = sum(self._rows.sizes) * self._maker.order.window_chunks / max(1, len(self._rows.sizes))
        wanted = min(len(self), math.ceil(rows / self.batch_size)) if num_batches is None else num_batches
        return self._profiled(wanted, warm_up=0)

    def pack(self, directory: str | os.PathLike, overwrite: bool = False) -> Path:
        """Not for CSV files, whose rows are stored by `cache=`.

        Raises:
            OptionError: always.
        """
        raise OptionError(f"The rows of CSV files are stored with cache={os.fspath(directory)!r}, and not with `pack`.")

    def close(self) -> None:
        """End the loading threads and give memory back; reading again starts them again."""
        super().close()
        self._rows.close()
        release_memory()

    def save_index(self) -> None:
        """Save beside each file where its rows lie, so that the next run need not look for them; a few kB a GB.

        Not needed with a finished `cache`, which has it.

        Raises:
            DestinationError: when nothing can be written there.
        """
        self._rows.table.save_indexes()

    @property
    def columns(self) -> list[str]:
        """The names of all columns of the files."""
        return list(self._rows.table.columns)

    @property
    def num_rows(self) -> int:
        """Rows that are served."""
        return self.num_samples

    @property
    def row_numbers(self) -> np.ndarray:
        """Which rows of the files these are, `int64` `(num_rows,)`: counted from 0, over all files, without headers.

        In the order of the samples: with `shuffle=False`, as the second part of `split` has it, row i of `predict`
        belongs to row `row_numbers[i]`. Rows that a quote spoils are no rows.

        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,price\\n" + "".join(f"{100 * i},{i}\\n" for i in range(10)))
        >>> _, val = CSVChunkSequence(path, target="price").split(validation_split=0.3, seed=1)
        >>> val.row_numbers
        array([4, 6, 8])
        """
        numbers = self._rows.row_numbers()
        return numbers if self._partition is None else numbers[self._maker.order.members()]

    @property
    def class_names(self) -> list[str] | None:
        """The classes of a target of text, in the order of their indices; of several targets, the first one's."""
        if not self._rows.features.targets:
            return None
        word = self._rows.features.words[self._rows.features.first_target]
        return self.vocabulary(word.column.name) if word.is_code else None

    def vocabulary(self, column: str) -> list[str]:
        """The texts of a column in the order of their codes; the first has code 2 (of a target: 0).

        Finds them in one pass over the files, unless the cache has them.

        Raises:
            OptionError: when the column is not one of text.
        """
        texts = [word.column.name for word in self._rows.features.words if word.is_code]
        if column not in texts:
            raise OptionError(f"`column` should be one of text: {listed(dict.fromkeys(texts))}. Received: {column!r}")
        fit_features(self._rows, self._cache)
        return list(self._rows.features.vocabularies[column])

    def normalization(self, name: str | None = None) -> keras.layers.Normalization:
        """A layer that brings each number of an input to mean 0 and variance 1, fitted to all rows in one pass.

        Codes, and the ones and zeros of `indicator`, stay as they are. Of two parts, both give the training rows'.

        Args:
            name: of the input, when `features` is a dictionary.

        Raises:
            OptionError: when there is no such input.
        """
        recipe = self._rows.features
        if name not in recipe.inputs:
            raise OptionError(f"`name` should be one of {list(recipe.inputs)}. Received: name={name!r}")
        first, end, _ = recipe.inputs[name]
        found = load_statistics(self._rows.statistics_from, self._rows, self._cache)
        numbers = [
            None if word.is_code or word.role == "missing" else found[word.column.name]
            for word in recipe.words[first:end]
        ]
        layer = keras.layers.Normalization(
            mean=np.array([0.0 if n is None else n.mean for n in numbers], np.float32),
            variance=np.array([1.0 if n is None else n.std**2 for n in numbers], np.float32),
        )
        layer.build((None, len(numbers)))  # in a first step of `fit` on JAX, tracers would leak (Keras 3.15.1)
        return layer

    def summary(self, max_columns: int = 100) -> Text:
        """Of every column that is used: mean, deviation, smallest, largest, missing and different values; to print.

        Finds them in one pass over the files, unless the cache has them.

        Args:
            max_columns: that are shown.
        """
        rows = self._rows
        left_out = f", {rows.num_skipped:,} left out" if rows.num_skipped else ""
        headline = f"{self.num_rows:,} rows{left_out}, {len(self.columns):,} columns, from {listed(rows.table.paths)}"
        return summary(headline, load_statistics(rows, rows, self._cache).values(), max_columns)

    def __repr__(self) -> str:
        recipe, options, max_ahead = self._rows.features, self._maker.options, self._batches.max_ahead
        inputs = [
            f"{name or 'x'} {np.dtype(dtype)} {(self.batch_size, end - first)}"
            for name, (first, end, dtype) in recipe.inputs.items()
        ]
        size_bytes = (max_ahead + HELD_BATCHES) * self._maker.batch_bytes
        parsed_bytes = self._rows.memory_bytes
        parsed = "" if self._ready and self._cache is not None else f", {format_bytes(parsed_bytes)} of parsed rows"
        rows = f"{self.num_rows:,} row{'s' * (self.num_rows != 1)}"
        batches = f"{len(self):,} batch{'es' * (len(self) != 1)}"
        return "\n  ".join(
            [
                f"<{type(self).__name__}: {rows} from {listed(self._rows.table.paths)}{self._partition_shown}",
                f"{batches} of {self.batch_size}, {'shuffled' if options.shuffle else 'in order'}, seed={self.seed}",
                f"{', '.join(inputs)}, {f'target {listed(recipe.targets)}' if recipe.targets else 'no target'}",
                *([] if self._cache is None else [f"cache {display_path(self._cache)!r}"]),
                f"{self.num_workers} threads, {max_ahead} batches ahead, "
                f"{format_bytes(size_bytes)} in flight{parsed} at most>",
            ]
        )
