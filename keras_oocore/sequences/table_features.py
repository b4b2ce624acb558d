"""`TableFeatures`: what training rows determined, from a file that `save_features` wrote."""

import os
from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import numpy as np

from keras_oocore.core.text import listed
from keras_oocore.sequences.csv_chunk import CSVChunkSequence
from keras_oocore.sequences.learned_features import LearnedFeatures
from keras_oocore.sequences.table import TableSequence
from keras_oocore.tables.csv.table import READING_OPTIONS
from keras_oocore.tables.learned import SavedLearned
from keras_oocore.tables.learned_file import load_learned
from keras_oocore.tables.opening import TableData


class TableFeatures(LearnedFeatures):
    """Codes, means, classes and kinds of columns of training rows, without the rows. `ko.load_features` returns it.

    It has the methods of the Sequence of the training rows that a process needs to predict, or to build the model.

    Args:
        path: The JSON file that `save_features` wrote.

    Raises:
        DataError: If the file does not exist, is damaged, is of another kind, or a newer version wrote it.

    >>> import tempfile
    >>> import keras_oocore as ko
    >>> path = f"{tempfile.mkdtemp()}/houses.csv"
    >>> with open(path, "w") as file:
    ...     _ = file.write("sqft,city,price\\n1000,Rome,1\\n2000,Oslo,2\\n")
    >>> train = ko.CSVChunkSequence(path, target="price", features=["sqft", "city"])
    >>> train.save_features(f"{path}.features.json")
    >>> features = ko.load_features(f"{path}.features.json")
    >>> features.vocabulary("city"), features.means, features.encode({"sqft": 1500, "city": "Rome"}).tolist()
    (['Oslo', 'Rome'], {'sqft': 1500.0}, [[1500.0, 3.0]])
    """

    def __init__(self, path: str | os.PathLike[str]):
        self._learned: SavedLearned = load_learned(os.path.expanduser(path), READING_OPTIONS)

    def like(
        self,
        data: TableData,
        target: str | Sequence[str] | EllipsisType | None = ...,
        **options: Any,
    ) -> TableSequence:
        """Return a Sequence of other rows with these codes, means, classes and kinds, as `TableSequence.like` does.

        Args:
            data: Data of any format, as for `TableSequence`.
            target: `None` for rows without the target. Defaults to the target of the training rows.
            **options: Arguments of `TableSequence`, or for CSV files of `CSVChunkSequence`, that say how these data are
                read, or how batches are made.

        Raises:
            OptionError: If an option is not valid, or is one that the training rows determine, such as `missing`.
            DataError: If a column of the training rows is missing, or a file cannot be read.
        """
        kind = CSVChunkSequence if CSVChunkSequence._can_read(data) else TableSequence
        sequence = kind.__new__(kind)
        return sequence._open_like(self._learned, data, target, options)

    def __repr__(self) -> str:
        layout = self._learned.layout
        arrays = [
            f"{name or 'x'} {np.dtype(dtype)} (batch, {end - first})"
            for name, (first, end, dtype) in layout.inputs.items()
        ]
        target = f"target {listed(layout.targets)}" if layout.targets else "no target"
        return f"<TableFeatures: {', '.join([*arrays, target])}, from {self._learned.path!r}>"


def load_features(path: str | os.PathLike[str]) -> TableFeatures:
    """Return the codes, means, classes and kinds of columns that `train.save_features(path)` saved.

    Args:
        path: The JSON file.

    Returns:
        `TableFeatures`, with `like` for other files, `encode` for single rows, and what a model is built of.

    Raises:
        DataError: If the file does not exist, is damaged, is of another kind, or a newer version wrote it.

    >>> import tempfile
    >>> import keras_oocore as ko
    >>> path = f"{tempfile.mkdtemp()}/houses.csv"
    >>> with open(path, "w") as file:
    ...     _ = file.write("sqft,price\\n1000,1\\n2000,2\\n")
    >>> ko.CSVChunkSequence(path, target="price").save_features(f"{path}.features.json")
    >>> ko.load_features(f"{path}.features.json").like(path, target=None)[0].tolist()
    [[1000.0], [2000.0]]
    """
    return TableFeatures(path)
