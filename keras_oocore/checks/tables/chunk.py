"""What one chunk of a table tells about its columns and rows. Threads compute it, chunk by chunk."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_oocore.checks.tables.inputs import TableInput, rounded_to
from keras_oocore.checks.tables.sketch import DistinctSketch
from keras_oocore.csv.cells import FIRST_ROUNDED, Column
from keras_oocore.tables.splits.hashing import MISSING, combined, distinct_hashes, hash_exact, hash_numbers, mixed

SHARED = "shared"  # kind of hash, of the columns of both tables
MOST_NAMES = 1000  # of a column of strings, per chunk
LONGEST_NAME = 60
SMALLEST_HASH, ALL_HASHES = np.uint64(0), 2.0**64


@dataclasses.dataclass
class ColumnPart:
    """What a chunk tells about one column.

    Attributes:
        missing: Number of missing cells.
        distinct: Hashes of its values that its sketch may keep.
        count, mean, squares: Number, mean, and sum of squared differences from the mean, of finite numbers.
        smallest, largest: Extremes of the numbers.
        sampled: Its cells in the sampled rows: numbers, or hashes of strings.
        names: Hash → string, for some strings of the sampled rows.
        unseen: String → number of rows, for strings that the known values lack.
    """

    missing: int
    distinct: np.ndarray
    sampled: np.ndarray
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    smallest: float = np.inf
    largest: float = -np.inf
    names: dict[int, str] = dataclasses.field(default_factory=dict)
    unseen: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class ChunkPart:
    """What a chunk tells.

    Attributes:
        rows: Numbers of the used rows within the chunk.
        columns: One part per column.
        hashes: Kind of hash → one hash per used row.
        sampled_rows: Positions of the sampled rows among the used ones.
    """

    rows: np.ndarray
    columns: list[ColumnPart]
    hashes: dict[str, np.ndarray]
    sampled_rows: np.ndarray


def measure_chunk(
    data: TableInput,
    chunk: int,
    kinds: Mapping[str, Sequence[str]],
    sketches: Sequence[DistinctSketch],
    known: Mapping[str, DistinctSketch],
    sampled: float,
) -> ChunkPart:
    """Read a chunk, and measure it.

    Args:
        data: The rows to check.
        chunk: Number of the chunk.
        kinds: Kind of hash → names of the columns that it is made of.
        sketches: The sketch of each column.
        known: Name of a column of strings → all of its values in other data.
        sampled: Share of the rows to sample.
    """
    nanoseconds = data.nanoseconds(data.columns)
    cells = data.read(chunk, [*data.columns, *nanoseconds.values()])
    numbers = cells.rows + int(data.table.rows[chunk])
    kept = np.flatnonzero(mixed(numbers.astype(np.uint64)) < sampled * ALL_HASHES)
    parts, hashes, rounded = [], {}, {}
    for column, sketch in zip(data.columns, sketches):
        array = cells.columns[column.name]
        if column.kind == "string":
            part, hashes[column.name] = _strings(array, sketch, kept, known.get(column.name))
        else:
            values = as_numbers(array)
            of_column = hash_numbers(values)
            if column.name in nanoseconds:
                within = as_numbers(cells.columns[nanoseconds[column.name].name])
                between = np.flatnonzero(within > 0)  # `float64` tells whole seconds apart
                of_column[between] = mixed(of_column[between] + within[between].astype(np.uint64))
            if len(large := beyond_float64(column, values)):
                of_column[large] = hash_exact(data.exact(chunk, column, cells.rows).take(large), values[large])
            part, hashes[column.name] = _numbers(values, of_column, sketch, kept), of_column
            if column.name in data.rounded:
                rounded[column.name] = hash_numbers(rounded_to(data.rounded[column.name], values))
        parts.append(part)
    of_kind = {kind: hashes | rounded if kind == SHARED else hashes for kind in kinds}
    rows = {kind: combined([of_kind[kind][name] for name in names]) for kind, names in kinds.items()}
    return ChunkPart(cells.rows, parts, rows, kept)


def as_numbers(cells: Any) -> np.ndarray:
    """Return cells of numbers as `float64`, NaN where they are missing."""
    return np.asarray(cells.to_numpy(zero_copy_only=False), np.float64)


def beyond_float64(column: Column, values: np.ndarray) -> np.ndarray:
    """Return the positions of numbers that may be other integers without rounding."""
    if column.kind != "float32":
        return np.zeros(0, np.int64)
    return np.flatnonzero((np.abs(values) >= FIRST_ROUNDED) & np.isfinite(values))


def _numbers(values: np.ndarray, hashes: np.ndarray, sketch: DistinctSketch, kept: np.ndarray) -> ColumnPart:
    missing = np.isnan(values)
    num_missing = int(np.count_nonzero(missing))
    present = hashes[~missing] if num_missing else hashes
    part = ColumnPart(num_missing, sketch.candidates(present), values[kept])
    finite = values[np.isfinite(values)]
    if len(finite):
        part.count, part.mean = len(finite), float(finite.mean())
        part.squares = float(np.square(finite - part.mean).sum())
        part.smallest, part.largest = float(finite.min()), float(finite.max())
    return part


def _strings(
    cells: Any, sketch: DistinctSketch, kept: np.ndarray, known: DistinctSketch | None
) -> tuple[ColumnPart, np.ndarray]:
    strings, of_strings, codes = distinct_hashes(cells)
    hashes = np.append(of_strings, MISSING)[codes]
    counts = np.bincount(codes, minlength=len(strings) + 1)
    part = ColumnPart(int(counts[-1]), sketch.candidates(of_strings), hashes[kept])
    sampled = np.unique(codes[kept])[:MOST_NAMES]
    part.names = {int(of_strings[code]): _name(strings, code) for code in sampled.tolist() if code < len(strings)}
    if known is not None:
        new = np.flatnonzero(~known.contains(of_strings))[:MOST_NAMES]
        part.unseen = {_name(strings, code): int(counts[code]) for code in new.tolist()}
    return part, hashes


def _name(strings: Any, code: int) -> str:
    return strings[code].as_py()[:LONGEST_NAME]


def shown_cell(column: Column, cell: Any) -> str:
    """Return a cell as a person reads it."""
    from keras_oocore.csv.dates import as_moment, has_date

    if cell is None or cell != cell:
        return "missing"
    if column.kind == "string":
        return cell[:LONGEST_NAME]
    if column.kind == "date" and has_date(column.format or ""):
        return as_moment(cell)
    return str(cell) if isinstance(cell, int) else f"{cell:.10g}"
