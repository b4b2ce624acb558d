"""`LearnedFeatures`: the methods that give what training rows determine to a model, and to new rows."""

import os
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import listed
from keras_oocore.tables.features import FeatureSpec
from keras_oocore.tables.learned import Learned
from keras_oocore.tables.learned_file import save_learned
from keras_oocore.tables.statistics import ColumnStatistics

NUM_OTHER_CODES = 2  # of a missing cell, and of a category that is not in the training rows


class LearnedFeatures:
    """Base class of Sequences of tables, and of features that were saved. A subclass sets `_learned`."""

    _learned: Learned

    def _counted_rows(self) -> Mapping[str, ColumnStatistics] | None:
        """Return the statistics of the rows that `class_counts` counts, or `None` if they have no target."""
        return self._learned.statistics()

    def save_features(self, path: str | os.PathLike[str]) -> None:
        """Save codes, means, classes, kinds of columns and options of reading, for `ko.load_features`.

        Keep the file with the model. Another process then reads new rows as the training rows were read. Computing
        codes and means reads the training rows once, unless that was done. `val.save_features` saves those of the
        training rows, too. `transform` is a function, and not saved.

        Args:
            path: The JSON file to write, whole or not at all. An existing file is replaced.

        Raises:
            DestinationError: If the file cannot be written.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,city,price\\n1000,Rome,1\\n2000,Oslo,2\\n")
        >>> train = ko.CSVChunkSequence(path, target="price", features=["sqft", "city"])
        >>> train.save_features(f"{path}.features.json")
        >>> ko.load_features(f"{path}.features.json").encode({"sqft": 1500, "city": "Rome"}).tolist()
        [[1500.0, 3.0]]
        """
        save_learned(os.path.expanduser(path), self._learned)

    def encode(self, rows: Any) -> np.ndarray | dict[str | None, np.ndarray]:
        """Return what the model takes for raw rows, the same in every cell as if they came from a file.

        Strings are read as unquoted cells of the file are: numbers, dates in the format of the column, and
        `null_values`. Numbers, booleans, dates, and values of NumPy, pandas and polars are accepted as well. In a
        column of categories, 5, 5.0 and `"5"` are the category `"5"`. `None`, NaN, NA and NaT are missing, and
        handled as `missing` says. `transform` is not applied: if yours changes `x`, call it with the result.

        Args:
            rows: One row, as a dictionary `{column: value}`; several rows, as a list of such dictionaries; or columns,
                as a dictionary of lists or arrays, or a DataFrame of pandas or polars. Further columns are ignored.

        Returns:
            An array of shape `(num_rows, features)`, `float32`, or `int32` if all features are codes. With several
            inputs, a dictionary of such arrays.

        Raises:
            DataError: If a column lacks, or a value cannot be read. If a value is missing, and `missing` is `"error"`,
                or `"drop"`: no row is left out. The message names row and column.
            OptionError: If `rows` is something else.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,city,price\\n1000,Rome,1\\n2000,Rome,2\\n,Oslo,3\\n")
        >>> train = ko.CSVChunkSequence(path, target="price", features=["sqft", "city"], missing="mean")
        >>> train.encode([{"sqft": None, "city": "Oslo"}, {"sqft": "1200", "city": "Paris"}]).tolist()
        [[1500.0, 3.0], [1200.0, 1.0]]
        """
        return self._learned.encoder.encode(rows)

    def inputs(self) -> Any:
        """Return the `keras.Input` of the model, or a dictionary of them by name, if `features` is a dictionary.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,city,price\\n1000,Rome,1\\n2000,Oslo,2\\n")
        >>> train = ko.CSVChunkSequence(path, target="price", features={"numbers": ["sqft"], "city": ["city"]})
        >>> {name: (part.shape, part.dtype) for name, part in train.inputs().items()}
        {'numbers': ((None, 1), 'float32'), 'city': ((None, 1), 'int32')}
        """
        made = {
            name: keras.Input((end - first,), dtype=np.dtype(dtype).name, name=name)
            for name, (first, end, dtype) in self._learned.layout.inputs.items()
        }
        return made.get(None, made)

    def embedding(self, column: str, output_dim: int, **kwargs: Any) -> keras.layers.Embedding:
        """Return a `keras.layers.Embedding` layer with a vector for each code of a column of categories.

        Its `input_dim` is the number of categories in the training rows, and 2 for a missing cell and an unknown
        category.

        Args:
            column: A feature that is a column of strings, or of `categorical`.
            output_dim: Length of a vector.
            **kwargs: Further arguments of `keras.layers.Embedding`.

        Raises:
            OptionError: If the column is not a feature that has codes.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,city,price\\n1000,Rome,1\\n2000,Oslo,2\\n")
        >>> train = ko.CSVChunkSequence(path, target="price", features={"numbers": ["sqft"], "city": ["city"]})
        >>> train.embedding("city", 16).input_dim
        4
        """
        features = [word.column.name for word in self._learned.layout.words if word.role == "feature" and word.is_code]
        if column not in features:
            expected = listed(dict.fromkeys(features)) or "there is none here"
            raise OptionError(f"`column` should be a feature that has codes: {expected}. Received: column={column!r}")
        return keras.layers.Embedding(len(self.vocabulary(column)) + NUM_OTHER_CODES, output_dim, **kwargs)

    def normalization(self, name: str | None = None) -> keras.layers.Normalization:
        """Return a layer that scales each numeric feature to mean 0 and variance 1.

        Computing the means and variances reads all rows once, unless the cache contains them. Codes, and the features
        of `indicator`, are not scaled. Both parts of `split` use the statistics of the training rows.

        Args:
            name: Name of the input, if `features` is a dictionary.

        Returns:
            A `keras.layers.Normalization` layer for that input.

        Raises:
            OptionError: If the input does not exist.
        """
        spec = self._learned.layout
        if name not in spec.inputs:
            raise OptionError(f"`name` should be one of {list(spec.inputs)}. Received: name={name!r}")
        first, end, _ = spec.inputs[name]
        found = self._learned.statistics()
        numbers = [
            None if word.is_code or word.role == "missing" else found[word.column.name]
            for word in spec.words[first:end]
        ]
        layer = keras.layers.Normalization(
            mean=np.array([0.0 if n is None else n.mean for n in numbers], np.float32),
            variance=np.array([1.0 if n is None else n.std**2 for n in numbers], np.float32),
        )
        layer.build((None, len(numbers)))  # otherwise it leaks tracers in the first step of `fit` on JAX (Keras 3.15.1)
        return layer

    @property
    def means(self) -> dict[str, float]:
        """Mean of each numeric feature over the training rows; NaN if no row has a number. Dates as the model has them.

        Computing them reads the training rows once, unless that was done, or the cache contains them.
        """
        found = self._learned.statistics()
        names = [word.column.name for word in self._learned.layout.words if word.role == "feature" and not word.is_code]
        return {name: found[name].mean if found[name].count else float("nan") for name in names}

    @property
    def targets(self) -> list[str]:
        """Names of the targets of the training rows."""
        return list(self._learned.layout.targets)

    @property
    def class_names(self) -> list[str] | Any:  # as in `LabelledSequence`
        """Classes of a target of strings, in the order of their indices. With several targets, of the first one."""
        word = _class_word(self._learned.layout)
        return None if word is None else self.vocabulary(word.column.name)

    @property
    def class_counts(self) -> dict[str, int] | Any:
        """Number of rows per class, by name, for a target of strings. With several targets, of the first one.

        A Sequence counts its own rows, so `train` and `val` have different numbers. Classes that the training rows do
        not have come last. Counting reads the rows once, unless that was done, or the cache contains the numbers.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,city\\n1000,Rome\\n2000,Oslo\\n1500,Rome\\n")
        >>> ko.CSVChunkSequence(path, target="city").class_counts
        {'Oslo': 1, 'Rome': 2}
        """
        word = _class_word(self._learned.layout)
        found = None if word is None else self._counted_rows()
        if found is None:
            return None
        counts = found[word.column.name].counts
        classes = self._learned.features().classes
        if classes is not None and classes.separator is not None:
            counts = classes.label_counts(counts)
        return {**dict.fromkeys(self.class_names, 0), **counts}

    def vocabulary(self, column: str) -> list[str]:
        """Return the strings of a column in the order of their codes. Codes start at 2, or at 0 for a target.

        For a target with `label_separator`, these are the labels. Computing them reads the files once, unless the cache
        contains them.

        Raises:
            OptionError: If the column is not a column of strings.
        """
        columns = [word.column.name for word in self._learned.layout.words if word.is_code]
        if column not in columns:
            expected = listed(dict.fromkeys(columns)) or "none is a feature or a target here"
            raise OptionError(
                f"`column` should be a column of strings: {expected}. Received: {column!r}. If it should have codes, "
                f"name it in `features`, and numbers in `categorical`, too."
            )
        features = self._learned.features()
        if features.classes is not None and column == features.classes.column:
            return list(features.classes.names)
        return list(features.vocabularies[column])


def _class_word(spec: FeatureSpec) -> Any:
    """Return the word of the first target if it is a class, or `None`."""
    word = spec.words[spec.first_target] if spec.targets else None
    return word if word is not None and word.is_code else None
