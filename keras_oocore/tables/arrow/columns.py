"""The columns of tables that have types: their kinds, and which of them cannot be read, and why."""

import collections
import json
import types
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from keras_oocore.core.errors import OptionError
from keras_oocore.csv.cells import Column
from keras_oocore.tables.arrow.kinds import ArrowKind, can_be, extension_of, kind_of
from keras_oocore.tables.csv.kinds import given_kinds

READABLE_EXTENSIONS = ("arrow.json", "arrow.bool8")  # strings, and integers that are 0 or 1


class Part(NamedTuple):
    """The columns of one file, or of one table in memory.

    Attributes:
        name: What messages call it.
        types: Name of a column → its `pyarrow` type, in order.
        repeated: Names that occur more than once.
        refused: Name of a column whose cells cannot be read, whatever its type → why, as a sentence.
    """

    name: str
    types: Mapping[str, Any]
    repeated: Collection[str] = ()
    refused: Mapping[str, str] = types.MappingProxyType({})

    @classmethod
    def of_schema(cls, name: str, schema: Any, more: Mapping[str, Any] | None = None) -> "Part":
        """Return the part with the columns of a `pyarrow` schema, and more columns, which are not in the schema."""
        counts = collections.Counter(schema.names)
        found = {field.name: field.type for field in schema}
        refused = {field.name: _unknown(field, name) for field in schema if is_unknown(field)}
        return cls(name, {**found, **(more or {})}, [key for key, count in counts.items() if count > 1], refused)


class FoundColumns(NamedTuple):
    """The columns of several parts.

    Attributes:
        columns: Name → column, for those that can be read.
        refused: Name → why a column cannot be read, as a sentence.
    """

    columns: dict[str, Column]
    refused: dict[str, str]


def pandas_index(schema: Any) -> list[str]:
    """Return the columns of a `pyarrow` schema that were the index of a DataFrame of pandas, which is no feature."""
    try:
        described = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    except (ValueError, AttributeError):  # another program wrote it
        return []
    return [name for name in described if isinstance(name, str)]


def is_unknown(field: Any) -> bool:
    """Return whether a field has a type of its own, whose cells mean something else than the type that stores them."""
    name = extension_of(field)
    return name is not None and name not in READABLE_EXTENSIONS


def _unknown(field: Any, where: str) -> str:
    """Return why a field of an unknown type cannot be read, as a sentence."""
    return (
        f"column {field.name!r} of {where} is of the type {extension_of(field)!r}, which is no number, string or date. "
        "Convert it before the table is written."
    )


def found_columns(
    parts: Sequence[Part], dtypes: Mapping[str, object] | None, known: Mapping[str, Column] | None = None
) -> FoundColumns:
    """Return the columns of a table, in the order of the first part.

    A column that differs between the parts, or has a type without a kind, is refused only when it is used.

    Args:
        parts: The parts, at least one. Equal ones need not be repeated.
        dtypes: The user's argument: column → kind.
        known: Name → column of other rows, in place of `dtypes`.

    Raises:
        OptionError: If `dtypes` or `known` give a column a kind that its type cannot have.
    """
    names = list(dict.fromkeys(name for part in parts for name in part.types))
    if known is None:
        given = given_kinds(dtypes or {}, names)
    else:
        given = {name: (column.kind, column.format) for name, column in known.items() if name in names}
    columns, refused = {}, _lacking(names, parts)
    for part in parts:
        refused.update(part.refused)
        refused.update({name: f"{part.name} has several columns {name!r}." for name in part.repeated})
    for position, name in enumerate(names):
        if name in refused:
            continue
        if name in given:
            kind, form = given[name]
            _require(name, parts, kind, form)
            columns[name] = Column(name, position, kind, form)
        else:
            column, why = _with_kind(name, position, parts)
            if column is None:
                refused[name] = why
            else:
                columns[name] = column
    return FoundColumns(columns, refused)


def _lacking(names: Sequence[str], parts: Sequence[Part]) -> dict[str, str]:
    """Return the columns that a part lacks → why they cannot be read."""
    found = {}
    for part in parts:
        for name in [name for name in names if name not in part.types] if len(part.types) < len(names) else ():
            having = next(other.name for other in parts if name in other.types)
            found.setdefault(name, f"{part.name} has no column {name!r}, and {having} has one.")
    return found


def _with_kind(name: str, position: int, parts: Sequence[Part]) -> tuple[Column | None, str]:
    """Return a column with the kind that its type has in all parts, or why it has none."""
    kind = kind_of(parts[0].types[name])
    if len(parts) == 1 and kind.kind:
        return Column(name, position, kind.kind, kind.format), ""
    found: dict[ArrowKind, tuple[str, Any]] = {}
    for part in parts:
        dtype = part.types[name]
        found.setdefault(kind_of(dtype), (part.name, dtype))
    if len(found) > 1:  # a column without any value has no type
        found = {kind: first for kind, first in found.items() if str(first[1]) != "null"} or found
    if len(found) > 1:
        (first, of_first), (other, of_other) = list(found.values())[:2]
        return None, (
            f"column {name!r} is of the type {of_first} in {first}, and of the type {of_other} in {other}. To read "
            f"both as strings: dtypes={{{name!r}: 'string'}}"
        )
    kind, (first, _) = next(iter(found.items()))
    if not kind.kind:
        return None, f"column {name!r} of {first} cannot be read: {kind.refusal.replace('column:', f'{name!r}:')}."
    return Column(name, position, kind.kind, kind.format), ""


def _require(name: str, parts: Sequence[Part], kind: str, form: str | None) -> None:
    """Raise unless the column can be read as the given kind in all parts."""
    for part in parts:
        if not can_be(part.types[name], kind, form):
            wanted = "a date" if kind == "date" else kind
            raise OptionError(
                f"{part.name}: column {name!r} is of the type {part.types[name]}, which cannot be read as {wanted}. "
                f"Remove it from `dtypes`, or convert it to the kind of the training rows. Received: {name!r} as "
                f"{form or kind!r}"
            )
