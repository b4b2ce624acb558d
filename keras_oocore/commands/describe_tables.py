"""Describes tables: their rows and columns, and which of them a first model could use."""

import argparse

from keras_oocore.commands.arguments import TABLES, given_tables
from keras_oocore.commands.description import Description
from keras_oocore.commands.kinds import Kind, Place
from keras_oocore.commands.report import to_type
from keras_oocore.commands.table_recipes import default_split, rounded_scale, table_code
from keras_oocore.commands.tables import open_table, refuse_dialect
from keras_oocore.core import storage
from keras_oocore.core.sizes import format_bytes
from keras_oocore.core.text import counted
from keras_oocore.csv.cells import Column, is_missing
from keras_oocore.csv.codecs import codec_of
from keras_oocore.tables.format import TableFormat
from keras_oocore.tables.statistics import ColumnStatistics

LISTED_COLUMNS = 100  # in the text
FIRST_ROWS = 10_000  # of Parquet and Arrow files, whose chunks may be large
EXAMPLES = 3  # values of a column
TARGETS = ("target", "label", "class", "y", "price", "saleprice")  # likely names of the column to predict


def describe_table(place: Place, options: argparse.Namespace) -> Description:
    """Describe a table. The rows of CSV files are counted by a scan. The first rows are parsed."""
    refuse_dialect(place, options)
    typed = given_tables(options)
    found = [(path, codec_of(path)) for path in storage.match(place.path) or [place.path] if place.kind is Kind.CSV]
    compressed = [f"{path} ({codec.name})" for path, codec in found if codec is not None]
    if compressed:
        advice = f"Unpack it once: {to_type('pack', place.path, 'cache')} --target COLUMN"
        return Description([f"compressed: {', '.join(compressed)}"], {"compressed": True}, advice=advice)
    table = open_table(place, options)
    size_bytes = sum(storage.status(path).size_bytes for path in table.paths)
    headline = (
        f"{counted(table.num_rows, 'row')}, {counted(len(table.columns), 'column')}, {format_bytes(size_bytes)} in "
        f"{counted(len(table.paths), 'file')}"
    )
    facts = {"files": table.paths, "num_samples": table.num_rows, "size_bytes": size_bytes}
    if not table.num_chunks:
        facts["columns"] = {name: {"kind": None} for name in table.columns}
        return Description([headline], facts, advice="The file has no rows.", found=True)
    looked_at = _looked_at(table)
    facts["columns"] = {
        name: {"kind": column.kind, "missing_in_first_rows": looked_at[name][0], "examples": looked_at[name][1]}
        for name, column in table.columns.items()
    }
    width = max(map(len, table.columns))
    lines = [headline]
    for name, column in [*table.columns.items()][:LISTED_COLUMNS]:
        missing, examples = looked_at[name]
        gaps = f"  ({missing:,} missing in the first rows)" if missing else ""
        lines.append(f"  {name:<{width}}  {column.kind:<8} {', '.join(examples)}{gaps}")
    if len(table.columns) > LISTED_COLUMNS:
        lines.append(f"  and {len(table.columns) - LISTED_COLUMNS:,} more")
    lines += [f"{name!r} is {note}" for name, notes in table.notes.items() for note in notes if "read as" in note]
    if place.kind is not Kind.CSV:
        lines += [why.removeprefix("Not a feature: ") for why in table.index_columns.values() if why]
    lines += [f"{name!r} says little about other rows: {reason}" for name, reason in table.suspects.items()]
    return Description(lines, facts, _code(place, typed, table, looked_at))


def _looked_at(table: TableFormat) -> dict[str, tuple[int, list[str]]]:
    """Return name → number of missing cells in the first rows, and a few distinct values."""
    texts = [Column(column.name, column.position, "string") for column in table.columns.values()]
    cells, found = table.read_first(texts, FIRST_ROWS), {}
    for name, values in cells.columns.items():
        present = values.drop_null()
        examples = list(dict.fromkeys(present[:100].to_pylist()))[:EXAMPLES]
        found[name] = (int(is_missing(values).sum()), [_short(text) for text in examples])
    return found


def _short(text: str) -> str:
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 20 else f"{text[:19]}…"


def _code(place: Place, typed: dict, table: TableFormat, looked_at: dict) -> str:
    """Return code that predicts one column, by its name or the last, from the columns of numbers."""
    likely = [name for name in table.columns if name.lower() in TARGETS]
    named = [name for name in table.columns if name not in table.index_columns] or list(table.columns)
    target = typed.get("target", [*likely, *reversed(named)][0])
    if not isinstance(target, str) or target in table.measured:
        return ""
    column = table.column(target, "target")
    has_values = [name for name, (_, examples) in looked_at.items() if examples]
    features = typed.get("features") or [
        name
        for name, column in table.columns.items()
        if name != target
        and name not in table.index_columns
        and column.kind != "string"
        and name in has_values
        and name not in table.suspects
        and not table.notes.get(name)
    ]
    if not features:
        return ""
    gaps = [name for name in (target, *features) if name in looked_at and looked_at[name][0]]
    missing = typed.get("missing") or ("drop" if target in gaps else "mean" if gaps else "error")
    others = {name: typed[name] for name in TABLES if name in typed and name not in ("target", "features", "missing")}
    arguments = {
        "target": target,
        "features": features,
        **({} if missing == "error" else {"missing": missing}),
        **others,
    }
    split = default_split(table.num_rows)
    is_class = column.kind == "string"
    scale = None if is_class else _scale(table, column)
    kind = "CSVChunkSequence" if place.kind is Kind.CSV else "TableSequence"
    return table_code(place.path, {**arguments, "seed": 0}, len(features), is_class, split, scale, kind)


def _scale(table: TableFormat, column: Column) -> tuple[float, float] | None:
    """Return standard deviation and mean of a column of numbers, rounded, over the first rows."""
    found = ColumnStatistics.of(column, table.read_first([column], FIRST_ROWS).columns[column.name])
    return rounded_scale(found.std, found.mean) if found.count else None
