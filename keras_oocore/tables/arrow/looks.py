"""Columns of strings that may be meant as numbers or dates, such as "2024-01-05" and "1,234", and what to type.

Their writer chose strings, so a column of codes, such as "007" or a few integers, is not doubted.
"""

from typing import Any, NamedTuple

from keras_oocore.csv.dialect import CellOptions
from keras_oocore.csv.numbers import as_numbers
from keras_oocore.csv.values import shortened
from keras_oocore.tables.csv.kinds import infer_kind
from keras_oocore.tables.csv.suspects import NEARLY_ALL

try:
    import pyarrow.compute as pc
except ImportError:  # the `tables` extra is not installed
    pc = None

LOOKS = "read as strings, though its cells look like"
MOST_CODES = 100  # distinct integers; more are amounts
FEW_OTHERS = 3  # distinct strings among numbers, such as "?", which mark missing cells
LEAST_NUMBERS = 0.25  # share of numbers beside them


class Look(NamedTuple):
    """What the cells of a column of strings look like.

    Attributes:
        note: Why they may be meant as something else, and what to type; or `""`.
        is_measured: Whether they are hardly names, so that a target of them should not become classes.
    """

    note: str
    is_measured: bool = False


def look_of(name: str, texts: Any, options: CellOptions) -> Look:
    """Return what the cells of a column look like.

    Args:
        name: Name of the column.
        texts: `pyarrow` string array of some of its cells, without missing cells and spaces, as `present` returns it.
        options: How the cells are read.

    >>> import pyarrow as pa
    >>> look_of("day", pa.array(["2024-01-05", "2024-02-01"]), CellOptions()).note
    "read as strings, though its cells look like dates, such as '2024-01-05'. Fix: dtypes={'day': '%Y-%m-%d'}"
    >>> look_of("zip", pa.array(["98178", "00501"]), CellOptions())
    Look(note='', is_measured=False)
    """
    if not len(texts):
        return Look("")
    found = infer_kind(texts, options, can_convert=False)
    if found.kind == "date":
        example = shortened(texts[0].as_py())
        return Look(f"{LOOKS} dates, such as {example!r}. Fix: dtypes={{{name!r}: {found.format!r}}}", True)
    if found.is_measured:
        return Look(found.notes[0], True)
    return Look("") if found.kind == "bool" else _like_numbers(name, texts, options, found.kind == "float32")


def _like_numbers(name: str, texts: Any, options: CellOptions, mostly: bool) -> Look:
    """Return whether cells look like plain numbers. `mostly` is true if nine in ten are."""
    are_numbers = pc.is_valid(as_numbers(texts, options))
    numbers, others = texts.filter(are_numbers), texts.filter(pc.invert(are_numbers)).unique()
    if len(numbers) < LEAST_NUMBERS * len(texts) or not (mostly or len(others) <= FEW_OTHERS):
        return Look("")
    are_integers = pc.all(pc.match_substring_regex(numbers, r"^[+-]?\d+$")).as_py()
    if _are_codes(numbers, are_integers):
        return Look("")
    null_values = f", null_values=[..., {shortened(others[0].as_py())!r}]" if len(others) else ""
    example = shortened(numbers[0].as_py())
    fix = f"dtypes={{{name!r}: 'float32'}}{null_values}"
    return Look(f"{LOOKS} numbers, such as {example!r}. Fix: {fix}", not are_integers)


def _are_codes(numbers: Any, are_integers: bool) -> bool:
    """Return whether numbers may be names: with leading zeros, or few distinct integers, or one for each row."""
    if pc.any(pc.match_substring_regex(numbers, r"^[+-]?0\d")).as_py():
        return True
    num_distinct = pc.count_distinct(numbers).as_py()
    return are_integers and (num_distinct <= MOST_CODES or num_distinct >= NEARLY_ALL * len(numbers))
