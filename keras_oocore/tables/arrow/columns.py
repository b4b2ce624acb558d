"""The columns of a table of one or several parts that have types: the kind of each, or why it cannot be read.

A table may have many thousands of columns, of which few are used. So a column is looked at when it is asked for.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from keras_oocore.csv.cells import Column
from keras_oocore.tables.arrow.given import require_kind, require_zone
from keras_oocore.tables.arrow.kinds import ArrowKind, kind_of, zone_of
from keras_oocore.tables.arrow.part import Part
from keras_oocore.tables.csv.kinds import given_kinds


class FoundColumns(NamedTuple):
    """The columns of several parts.

    Attributes:
        columns: Name → column, for those that can be read.
        refused: Name → why a column cannot be read, as a sentence.
    """

    columns: Mapping[str, Column]
    refused: Mapping[str, str]


class IndexColumns(Mapping[str, str]):
    """Name → what to say if the column is left out, as `index_columns` of a table.

    Args:
        refused: Name → why a column cannot be read, as a sentence.
        index: Names of the columns that were the index of a DataFrame.
    """

    def __init__(self, refused: Mapping[str, str], index: Collection[str]):
        self._refused, self._index = refused, index

    def __getitem__(self, name: str) -> str:
        return "" if name in self._index else f"Not a feature: {self._refused[name]}"

    def __iter__(self) -> Iterator[str]:
        yield from self._refused
        yield from self._index

    def __len__(self) -> int:
        return len(self._refused) + len(self._index)


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
    positions = {name: i for i, name in enumerate(dict.fromkeys(name for part in parts for name in part.types))}
    if known is None:
        given = {name: (*kind, None) for name, kind in given_kinds(dtypes or {}, list(positions)).items()}
    else:
        given = {name: (column.kind, column.format, column.zone) for name, column in known.items() if name in positions}
    found = _Found(parts, positions, given)
    for name in sorted(given, key=positions.__getitem__):
        if not found.why_refused(name):
            require_kind(name, parts, *given[name][:2])
            if known is not None:
                require_zone(name, parts, *given[name][1:])
    return FoundColumns(_Readable(found), _Refused(found))


class _Found:
    """Finds columns by name, each when it is first asked for.

    Args:
        parts: The parts, as in `found_columns`.
        positions: Name → position, for all columns in order.
        given: Name → kind, format and time zone of a date, for the columns whose kinds the user or other rows give.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        positions: Mapping[str, int],
        given: Mapping[str, tuple[str, str | None, str | None]],
    ):
        self.parts, self.positions, self.given = parts, positions, given
        self._lacking = _lacking(list(positions), parts)
        self._found: dict[str, Column | str] = {}

    def find(self, name: str) -> Column | str:
        """Return a column, or why it cannot be read.

        Raises:
            KeyError: If it does not exist.
        """
        if name not in self._found:
            self._found[name] = self.why_refused(name) or self._with_kind(name, self.positions[name])
        return self._found[name]

    def why_refused(self, name: str) -> str:
        """Return why a column cannot be read, whatever its kind, or `""`."""
        why = self._lacking.get(name, "")
        for part in self.parts:
            if name in part.types:
                why = part.refused.get(name, why)
            if name in part.repeated:
                why = f"{part.name} has several columns {name!r}."
        return why

    def _with_kind(self, name: str, position: int) -> Column | str:
        if name in self.given:
            kind, form, zone = self.given[name]
            zone = _zone(name, self.parts) if zone is None and kind == "date" else zone
            return Column(name, position, kind, form, zone=zone)
        column, why = _with_kind(name, position, self.parts)
        return why if column is None else column


class _Readable(Mapping[str, Column]):
    """Name → column, for those that can be read."""

    def __init__(self, found: _Found):
        self._found = found

    def __getitem__(self, name: str) -> Column:
        column = self._found.find(name)
        if isinstance(column, str):
            raise KeyError(name)
        return column

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._found.positions if not isinstance(self._found.find(name), str))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Refused(Mapping[str, str]):
    """Name → why a column cannot be read."""

    def __init__(self, found: _Found):
        self._found = found

    def __getitem__(self, name: str) -> str:
        why = self._found.find(name)
        if not isinstance(why, str):
            raise KeyError(name)
        return why

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._found.positions if isinstance(self._found.find(name), str))

    def __len__(self) -> int:
        return sum(1 for _ in self)


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
        return Column(name, position, kind.kind, kind.format, zone=_zone(name, parts)), ""
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
        return None, f"column {name!r} of {first} {kind.refusal.replace('column:', f'{name!r}:')}."
    return Column(name, position, kind.kind, kind.format, zone=_zone(name, parts)), ""


def _zone(name: str, parts: Sequence[Part]) -> str | None:
    """Return the time zone of a column of moments, `""` for none, or `None` if it differs or is not known."""
    zones = {zone_of(part.types[name]) for part in parts} - {None}
    return zones.pop() if len(zones) == 1 else None
