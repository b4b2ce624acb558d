"""`Part`: the columns of one file, or of one table in memory, as its `pyarrow` schema describes them."""

import collections
import json
import types
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from keras_oocore.tables.arrow.kinds import extension_of

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
        names = schema.names
        positions, repeated = {key: i for i, key in enumerate(names)}, []
        if len(positions) < len(names):
            repeated = [key for key, count in collections.Counter(names).items() if count > 1]
        found = _Fields(schema, positions)
        return cls(name, _Types(found, more or {}), repeated, _OfUnknownTypes(found, name))


class _Fields(NamedTuple):
    """The fields of a `pyarrow` schema.

    Attributes:
        schema: The schema.
        positions: Name of a field → its position, that of the last one of a name.
    """

    schema: Any
    positions: Mapping[str, int]

    def field(self, name: str) -> Any:
        """Return a field by its name."""
        return self.schema.field(self.positions[name])


class _Types(Mapping[str, Any]):
    """Name → type, for the fields of a schema, and for more columns."""

    def __init__(self, fields: _Fields, more: Mapping[str, Any]):
        self._fields, self._more = fields, more

    def __getitem__(self, name: str) -> Any:
        return self._more[name] if name in self._more else self._fields.field(name).type

    def __contains__(self, name: object) -> bool:
        return name in self._more or name in self._fields.positions

    def __iter__(self) -> Iterator[str]:
        yield from self._fields.positions
        yield from self._more

    def __len__(self) -> int:
        return len(self._fields.positions) + len(self._more)


class _OfUnknownTypes(Mapping[str, str]):
    """Name → why its cells cannot be read, for the fields of a schema that have types of their own."""

    def __init__(self, fields: _Fields, where: str):
        self._fields, self._where = fields, where

    def __getitem__(self, name: str) -> str:
        field = self._fields.field(name)
        if not _is_unknown(field):
            raise KeyError(name)
        return _unknown(field, self._where)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._fields.positions if _is_unknown(self._fields.field(name)))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _is_unknown(field: Any) -> bool:
    """Return whether a field has a type of its own, whose cells mean something else than the type that stores them."""
    name = extension_of(field)
    return name is not None and name not in READABLE_EXTENSIONS


def _unknown(field: Any, where: str) -> str:
    """Return why a field of an unknown type cannot be read, as a sentence."""
    return (
        f"column {field.name!r} of {where} is of the type {extension_of(field)!r}, which is no number, string or date. "
        "Convert it before the table is written."
    )


def pandas_index(schema: Any) -> list[str]:
    """Return the columns of a `pyarrow` schema that were the index of a DataFrame of pandas."""
    try:
        described = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    except (ValueError, AttributeError):  # another program wrote it
        return []
    return [name for name in described if isinstance(name, str)]
