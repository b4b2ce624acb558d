"""Opens the files of tables as typed cells, without Keras."""

import argparse
import dataclasses
from typing import Any

from keras_oocore.commands.arguments import DIALECT, GROUPS, READING_TABLES, READING_TYPED, given_tables, refuse_others
from keras_oocore.commands.kinds import WHAT, Kind, Place
from keras_oocore.core.cpu import num_cpus
from keras_oocore.csv.dialect import CellOptions, Dialect
from keras_oocore.tables.csv.first_row import is_header
from keras_oocore.tables.csv.table import CSVTable
from keras_oocore.tables.format import TableFormat
from keras_oocore.tables.formats import format_of
from keras_oocore.tables.opening import Opening

OF_DIALECT = ("delimiter", "quotechar", "escapechar", "skip_initial_space", "encoding", "skip_rows", "comment")
OF_CELLS = ("null_values", "decimal", "on_bad_row", "thousands", "strip")
OF_OPENING = tuple(field.name for field in dataclasses.fields(Opening))


def open_table(place: Place, options: argparse.Namespace, **reading: Any) -> TableFormat:
    """Return the table of files. The rows of CSV files are found by one pass over the files.

    Args:
        place: The files.
        options: Options of `add_tables`.
        **reading: Options of reading that are used unless they were typed, and `cache`.

    Raises:
        OptionError: If an option is not valid.
        DataError: If a file cannot be read, or is not a table.
        MissingExtraError: If pyarrow is not installed.
    """
    if place.kind is not Kind.CSV:
        return _open_typed(place.path, {**reading, **given_tables(options, READING_TYPED)})
    typed = {**reading, **given_tables(options, READING_TABLES)}
    header = typed.pop("header", "auto")
    dialect = Dialect(header=is_header(header), **{name: typed.pop(name) for name in OF_DIALECT if name in typed})
    cells = CellOptions(**{name: typed.pop(name) for name in OF_CELLS if name in typed})
    return CSVTable(place.path, dialect, cells, num_workers=num_cpus(), sure_of_header=header != "auto", **typed)


def _open_typed(path: str, typed: dict[str, Any]) -> TableFormat:
    """Return the table of files whose columns have types. It has looked at all columns, as that of CSV files does."""
    of_opening = {name: typed.pop(name) for name in OF_OPENING if name in typed}
    table = format_of(path).open(path, Opening(typed, num_workers=num_cpus(), **of_opening))
    table.look_at(table.columns)
    return table


def refuse_dialect(place: Place, options: argparse.Namespace) -> None:
    """Check that no option of CSV files was typed for files whose columns have types.

    Raises:
        WrongUseError: If one was.
    """
    if place.kind is not Kind.CSV:
        names = [name for group in GROUPS.values() for name in group if name not in DIALECT]
        refuse_others(options, names, place.path, WHAT[place.kind])


def reading_options(place: Place) -> tuple[str, ...]:
    """Return the names of the options of reading that these files have."""
    return READING_TABLES if place.kind is Kind.CSV else READING_TYPED
