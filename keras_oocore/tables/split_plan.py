"""The split that a user asks for: its arguments are checked, and the passes over the rows that it needs are made."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_oocore.core.checks import distinct, fraction, is_boolean
from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.core.text import listed
from keras_oocore.core.warn import warn_user
from keras_oocore.csv.cells import FIRST_ROUNDED, Column, is_missing
from keras_oocore.csv.dates import ISO, days_of, is_finer_than_microseconds
from keras_oocore.manifest.splits import as_seed, require_no_list, warn_of_small_training
from keras_oocore.tables.rows import TableRows
from keras_oocore.tables.splits.base import PARTS, Fractions, Split
from keras_oocore.tables.splits.by_value import SplitByValue, rounded
from keras_oocore.tables.splits.classes import count_classes
from keras_oocore.tables.splits.drawn import DrawnSplit
from keras_oocore.tables.splits.grouped import ChunkCounts, GroupedSplit
from keras_oocore.tables.splits.hashing import missing_in
from keras_oocore.tables.splits.stratified import StratifiedSplit

DEFAULT_SPLIT = 0.2


def random_split(
    rows: TableRows,
    validation_split: float | None,
    test_split: float | None,
    stratify: bool | str | None,
    groups: str | Sequence[str] | None,
    seed: int | None,
) -> Split:
    """Return a split by fractions. See `TableSequence.split`.

    Raises:
        OptionError: If an argument is not valid, or there are too few groups or rows of a class.
        DataError: If a row must be read and cannot be.
    """
    if validation_split is None and test_split is None:
        validation_split = DEFAULT_SPLIT
    require_no_list(validation_split)
    named = (("validation_split", validation_split), ("test_split", test_split))
    fractions = Fractions(*(0.0 if value is None else fraction(value, name) for name, value in named))
    strata, seed = _strata(rows, stratify), as_seed(seed)
    warn_of_small_training(validation_split)
    if groups is not None:
        return _grouped(rows, _group_columns(rows, groups), strata, fractions, seed)
    if strata is None:
        return DrawnSplit(fractions, seed)
    counted = rows.map_chunks(lambda chunk: count_classes(_key(rows, chunk, strata)), "counting classes")
    return StratifiedSplit.of(strata, counted, fractions, seed)


def split_by_value(rows: TableRows, by: str | None, at: Any, others: Mapping[str, Any]) -> Split:
    """Return a split at values of a column. See `TableSequence.split`.

    Args:
        rows: The rows.
        by: The user's argument.
        at: The user's argument.
        others: Name → value of the arguments of a split by fractions, which should not be given.

    Raises:
        OptionError: If an argument is not valid.
        DataError: If a row has no value, unless such rows are dropped.
    """
    given = [name for name, value in others.items() if value not in (None, False)]
    if by is None or at is None or given:
        raise OptionError(
            "`by` and `at` divide the rows at a value. Pass both, and no other argument: by='date', at='2024-09-01'. "
            f"Received: by={by!r}, at={at!r}{''.join(f', {name}={others[name]!r}' for name in given)}"
        )
    if not isinstance(by, str):
        raise OptionError(f"`by` should be the name of a column of dates or numbers. Received: by={by!r}")
    column = _dates_or_numbers(rows, rows.table.column(by, "by"))
    boundaries = _boundaries(column, at)
    if column.kind == "float32" and (max(map(abs, boundaries)) >= FIRST_ROUNDED or rows.table.has_decimals(column)):
        column = dataclasses.replace(column, kind="exact")

    def of_chunk(chunk: int) -> tuple[float, float, str]:
        known = None if rows.used.may_skip_rows else rows.table.known_cells(chunk, column)
        if known is not None and known.smallest is not None and not known.missing:
            return known.smallest, known.largest, ""
        _, keys = rows.used.complete_cells(chunk, (), [column])
        cells = keys.columns[column.name]
        missing = is_missing(cells)
        where = rows.table.where(chunk, int(keys.rows[np.argmax(missing)])) if missing.any() else ""
        values = rounded(cells.drop_null())
        return values.min(initial=np.inf), values.max(initial=-np.inf), where

    lowest, highest = np.inf, -np.inf
    for smallest, largest, where in rows.map_chunks(of_chunk, f"reading {by!r}"):
        lowest, highest = min(lowest, smallest), max(highest, largest)
        if where and rows.features.missing != "drop":
            raise DataError(
                f"{where}, column {by!r} (#{column.position}): the cell is missing, so the row belongs to no part. "
                "Fix: fill in the cell, or leave such rows out with missing='drop'."
            )
    return SplitByValue(column, boundaries, lowest, highest)


def _strata(rows: TableRows, stratify: bool | str | None) -> Column | None:
    """Return the column to stratify by, or `None`."""
    if stratify is None or (is_boolean(stratify) and not stratify):
        return None
    if is_boolean(stratify):
        if len(rows.features.targets) != 1:
            raise OptionError(
                f"stratify=True requires one target. Received: targets {rows.features.targets}. Name a column: "
                "stratify='column'."
            )
        stratify = rows.features.targets[0]
    if not isinstance(stratify, str):
        raise OptionError(f"`stratify` should be the name of a column, or True for the target. Received: {stratify!r}")
    return rows.features.column(stratify, "stratify")


def _group_columns(rows: TableRows, groups: str | Sequence[str]) -> tuple[Column, ...]:
    """Return the columns whose cells together are the key of a group."""
    names = [groups] if isinstance(groups, str) else groups
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise OptionError(f"`groups` should be the name of a column, or a list of names. Received: {groups!r:.200}")
    columns = [rows.table.column(name, "groups") for name in distinct(names, "groups")]
    features = {word.column.name for word in rows.features.words if word.role == "feature"}
    used = [name for name in names if name in features]
    if used:
        warn_user(
            f"`groups` names features: {listed(used)}. No group is in two parts, so a model cannot use them for other "
            f"groups. Leave them out of `features`, or name them in ids={used}."
        )
    # Types and time zones of files may differ, so moments are instants. Everything else is compared as text.
    moments = {column.name: column for column in columns if column.kind == "date" and column.format == ISO}
    return tuple(moments.get(column.name, Column(column.name, column.position, "string")) for column in columns)


def _grouped(
    rows: TableRows, columns: tuple[Column, ...], strata: Column | None, fractions: Fractions, seed: int
) -> Split:
    """Count the groups in one pass, and divide them."""
    num_missing = 0

    def of_chunk(chunk: int) -> tuple[ChunkCounts, int]:
        classes, keys = rows.used.complete_cells(chunk, [] if strata is None else [strata], columns)
        counts = ChunkCounts.of(keys, columns, None if strata is None else classes.columns[strata.name])
        return counts, int(missing_in([keys.columns[column.name] for column in columns]).sum())

    def counted():
        nonlocal num_missing
        for counts, missing in rows.map_chunks(of_chunk, "counting groups"):
            num_missing += missing
            yield counts

    split = GroupedSplit.of(columns, strata, counted(), fractions, seed)
    if num_missing:
        found = "1 row has" if num_missing == 1 else f"{num_missing:,} rows have"
        warn_user(
            f"{found} a missing cell in {listed(column.name for column in columns)}. Missing cells are one key, so "
            "such rows are in one part."
        )
    return split


def _key(rows: TableRows, chunk: int, column: Column) -> Any:
    """Return the cells of one column in all used rows of a chunk."""
    _, keys = rows.used.complete_cells(chunk, (), [column])
    return keys.columns[column.name]


def _dates_or_numbers(rows: TableRows, column: Column) -> Column:
    """Return a column whose cells can be compared. Strings are read as dates if the first one is in ISO form."""
    if column.kind != "string":
        return column
    chunks = (_key(rows, chunk, column).drop_null().to_pylist() for chunk in range(rows.table.num_chunks))
    text = next((text.strip() for texts in chunks for text in texts if text.strip()), "")
    if days_of(text, ISO) is None:
        raise OptionError(
            f"`by` should be a column of dates or numbers. Column {column.name!r} has strings, such as {text!r}. If "
            f"they are dates, give their format: dtypes={{{column.name!r}: '%d.%m.%Y'}}."
        )
    return Column(column.name, column.position, "date", ISO)


def _boundaries(column: Column, at: Any) -> tuple[int | float, ...]:
    """Return the argument `at` as cells of the column."""
    several = list(at) if isinstance(at, list | tuple | np.ndarray) else [at]
    values = [_boundary(column, value) for value in several]
    if not 1 <= len(values) < len(PARTS):
        raise OptionError(f"`at` should be one value, or two for three parts. Received: at={at!r}")
    if values != sorted(set(values)):
        raise OptionError(f"`at` should be two values, the smaller one first. Received: at={at!r}")
    return tuple(values)


def _as_number(value: Any) -> int | float:
    """Return a number as an `int`, if it is a whole one, or a `float`."""
    return int(value) if value == int(value) else float(value)


def _boundary(column: Column, value: Any) -> int | float:
    """Return a boundary as a cell of the column."""
    if column.kind == "date":
        if is_finer_than_microseconds(value):
            raise OptionError(
                f"`at` should have no part of a microsecond, as cells are compared. Received: at={value!r}"
            )
        own = "" if column.format == ISO else f" or {column.format!r}"
        found, expected, hint = days_of(value, column.format), f"a date like '2024-09-01'{own}", ""
    else:
        is_number = isinstance(value, int | float | np.integer | np.floating) and not is_boolean(value)
        is_number = is_number and abs(value) <= sys.float_info.max  # which infinity and NaN are not
        found, expected = _as_number(value) if is_number else None, "a number"
        hint = f" If the column has dates, give their format: dtypes={{{column.name!r}: '%Y%m%d'}}."
    if found is None:
        raise OptionError(f"`at` should be {expected}, as in column {column.name!r}. Received: at={value!r}.{hint}")
    return found
