"""CSV in the list of table formats: files are read in the default dialect, or in that of other rows."""

import dataclasses
from typing import Any, TypeVar

from keras_oocore.csv.dialect import CellOptions, Dialect
from keras_oocore.tables.csv.first_row import is_header
from keras_oocore.tables.csv.table import READING_OPTIONS, CSVTable
from keras_oocore.tables.opening import Format, Opening

Options = TypeVar("Options", Dialect, CellOptions)


def open_csv(data: Any, opening: Opening) -> CSVTable:
    """Return CSV files as a table."""
    options = {name: value for name, value in opening.reading.items() if name in READING_OPTIONS}
    header = options.get("header", "auto")
    options["header"] = is_header(header)
    return CSVTable(
        data,
        _taken(Dialect, options),
        _taken(CellOptions, options),
        **options,
        dtypes=opening.dtypes,
        num_workers=opening.num_workers,
        cache=opening.cache,
        kept_in=opening.kept_in,
        sure_of_header=header != "auto",
        num_rows=opening.num_rows,
        known=opening.known,
    )


def _taken(kind: type[Options], options: dict[str, Any]) -> Options:
    """Return a dataclass with the options that are its fields, which are removed from the dictionary."""
    return kind(**{field.name: options.pop(field.name) for field in dataclasses.fields(kind) if field.name in options})


CSV = Format("CSV", lambda data: True, open_csv, READING_OPTIONS)
