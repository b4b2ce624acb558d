"""`NumberedRows`: which rows of the files a Sequence serves: their numbers and ids, beside predictions."""

import numpy as np

from keras_oocore.core.errors import OptionError
from keras_oocore.sequences.in_order import RowNames
from keras_oocore.sequences.row_names import names_of_table_rows
from keras_oocore.sequences.rows_of_table import RowsOfTable


class NumberedRows(RowsOfTable):
    """Base class of Sequences of the rows of tables, which knows where in the files its rows are."""

    @property
    def row_numbers(self) -> np.ndarray:
        """Numbers of the rows, `int64` of shape `(num_rows,)`, counted from 0 over all files, without headers.

        With `shuffle=False`, as in the validation part of `split`, row i of `predict` belongs to row `row_numbers[i]`
        of the files. With `shuffle=True`, it belongs to row `served_rows[i]`. Rows that an unclosed quote makes
        unreadable are not counted.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sqft,price\\n" + "".join(f"{100 * i},{i}\\n" for i in range(10)))
        >>> _, val = ko.CSVChunkSequence(path, target="price").split(validation_split=0.3, seed=1)
        >>> val.row_numbers
        array([4, 6, 8])
        """
        numbers = self._rows.row_numbers()
        return numbers if self._partition is None else numbers[self._pipeline.order.members()]

    @property
    def served_rows(self) -> np.ndarray:
        """Numbers of the rows in `served_samples`, `int64`, counted like `row_numbers`: row i of `predict` is row i."""
        return self._rows.row_numbers()[self.served_samples]

    def ids(self) -> dict[str, np.ndarray]:
        """Return the columns of `ids`, by reading them from the files.

        Returns:
            A dictionary from column to an array of strings of shape `(num_rows,)`, dtype `object`: the exact text of
            the cells. They are in the order of `row_numbers`: with `shuffle=False`, as in the validation part of
            `split`, row i of `predict` belongs to element i. For any `shuffle`, see `served_ids`.

        Raises:
            OptionError: If the Sequence was made without `ids`.
            DataError: If a cell cannot be read.

        >>> import tempfile
        >>> import keras_oocore as ko
        >>> path = f"{tempfile.mkdtemp()}/houses.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("id,sqft,price\\n" + "".join(f"00{i},{100 * i},{i}\\n" for i in range(10)))
        >>> rows = ko.CSVChunkSequence(path, target="price", ids=["id"])
        >>> train, val = rows.split(validation_split=0.3, seed=1)
        >>> val.ids()
        {'id': array(['004', '006', '008'], dtype=object)}
        """
        return self._ids_of(slice(None) if self._partition is None else self._pipeline.order.members())

    @property
    def served_ids(self) -> dict[str, np.ndarray]:
        """The columns of `ids` for the rows in `served_samples`: row i of `predict` belongs to element i.

        Each access reads the columns from the files.
        """
        return self._ids_of(self.served_samples)

    def _ids_of(self, samples: np.ndarray | slice) -> dict[str, np.ndarray]:
        """Return the columns of `ids` of these samples."""
        if not self._rows.features.ids:
            raise OptionError("This Sequence has no ids. Make it with ids=['column'].")
        return {name: values[samples] for name, values in self._rows.ids().items()}

    def _row_names(self) -> RowNames:
        layout = self._learned.layout
        are_classes = bool(layout.targets) and layout.words[layout.first_target].is_code
        targets = [] if are_classes else list(layout.targets)
        return names_of_table_rows(self._rows, self.class_names if are_classes else None, targets)
