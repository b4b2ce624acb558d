"""The argument `dates`: which parts of dates are features. Each part is a separate column, such as `"sold.year"`."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from keras_oocore.core.checks import distinct
from keras_oocore.core.errors import OptionError
from keras_oocore.core.text import did_you_mean
from keras_oocore.csv.cells import Column
from keras_oocore.csv.dates import PARTS
from keras_oocore.tables.format import NamedColumns

Dates = Mapping[str, str | Sequence[str] | None] | Sequence[str]


def date_parts(table: NamedColumns, dates: Dates | None) -> dict[str, list[Column]]:
    """Return column of dates → the columns that replace it as a feature, for those whose parts are named.

    Args:
        table: The table.
        dates: The user's argument.

    Raises:
        OptionError: If a column does not exist or has no dates, or a part does not exist.
    """
    if dates is None:
        return {}
    if isinstance(dates, str) or not isinstance(dates, Mapping | Iterable):
        raise OptionError(
            f'`dates` should be a dictionary from column to parts, such as {{"sold": ["year", "weekday"]}}. '
            f"Received: dates={dates!r}"
        )
    wanted = dates if isinstance(dates, Mapping) else dict.fromkeys(distinct(dates, "dates"))
    found = {name: _parts_of(_date_column(table, name), parts, table) for name, parts in wanted.items()}
    return {name: parts for name, parts in found.items() if parts}


def require_part_in_dates(table: NamedColumns, name: str, argument: str) -> None:
    """Raise if a name means a part of a date, such as `"sold.year"`, which exists only if `dates` asks for it.

    Args:
        table: The table.
        name: A name that the user gives, and that is neither a column nor a part in `dates`.
        argument: The user's argument that has the name.

    Raises:
        OptionError: If it does. The message has the argument `dates` to type.
    """
    if found := table.part_of_date(name):
        column, part = found
        raise OptionError(
            f"`{argument}` names {name!r}, a part of the date {column!r}. Name the part in `dates`: "
            f"dates={{{column!r}: [{part!r}]}}."
        )


def _date_column(table: NamedColumns, name: str) -> Column:
    """Return a column of dates."""
    require_part_in_dates(table, name, "dates")
    column = table.column(name, "dates")
    if column.kind != "date":
        seen = "".join(f" Column {name!r} is {note}." for note in table.notes.get(name, ()) if "dates" in note)
        raise OptionError(
            f"`dates` names {name!r}, which is not read as dates.{seen} Give their format: "
            f"dtypes={{{name!r}: '%Y-%m-%d'}}."
        )
    return column


def _parts_of(column: Column, parts: str | Sequence[str] | None, table: NamedColumns) -> list[Column]:
    """Return the columns of the parts of one date; none for `None`, which leaves the column as it is."""
    if parts is None:
        return []
    parts = [parts] if isinstance(parts, str) else list(parts)
    if not parts:
        raise OptionError(f"`dates` should name at least one part of {column.name!r}. Received: none")
    columns = []
    for part in distinct(parts, "dates"):
        if part not in PARTS:
            expected = ", ".join(map(repr, PARTS))
            raise OptionError(
                f"`dates` should name parts of dates: {expected}.{did_you_mean(part, PARTS)} "
                f"Received: dates={{{column.name!r}: {parts!r}}}"
            )
        why = table.why_no_part(column, part)
        if why:
            raise OptionError(
                f"`dates` names the {part} of {column.name!r}, and {why}. "
                f"Received: dates={{{column.name!r}: {parts!r}}}"
            )
        name = f"{column.name}.{part}"
        if name in table.columns:
            raise OptionError(
                f"`dates` would add a feature {name!r}, and the data have a column of this name. Rename the column, "
                "for CSV files with column_names=[...]."
            )
        columns.append(dataclasses.replace(column, name=name, part=part))
    return columns
