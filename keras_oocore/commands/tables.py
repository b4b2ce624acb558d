"""Opens CSV files as a table of typed cells, without Keras."""

import argparse
from typing import Any

from keras_oocore.commands.arguments import READING_TABLES, given_tables
from keras_oocore.core.cpu import num_cpus
from keras_oocore.csv.dialect import CellOptions, Dialect
from keras_oocore.tables.csv.first_row import is_header
from keras_oocore.tables.csv.table import CSVTable

OF_DIALECT = ("delimiter", "quotechar", "escapechar", "skip_initial_space", "encoding", "skip_rows", "comment")
OF_CELLS = ("null_values", "decimal", "on_bad_row", "thousands", "strip")


def open_table(path: str, options: argparse.Namespace, **reading: Any) -> CSVTable:
    """Return the table of CSV files, whose rows are found by one pass over the files.

    Args:
        path: A path or a pattern.
        options: Options of `add_tables`.
        **reading: Arguments of `CSVTable` and `CellOptions` that are used unless they were typed, such as `cache`.

    Raises:
        OptionError: If an option is not valid.
        DataError: If a file cannot be read, or is not a table.
        MissingExtraError: If pyarrow is not installed.
    """
    typed = {**reading, **given_tables(options, READING_TABLES)}
    header = typed.pop("header", "auto")
    dialect = Dialect(header=is_header(header), **{name: typed.pop(name) for name in OF_DIALECT if name in typed})
    cells = CellOptions(**{name: typed.pop(name) for name in OF_CELLS if name in typed})
    return CSVTable(path, dialect, cells, num_workers=num_cpus(), sure_of_header=header != "auto", **typed)
