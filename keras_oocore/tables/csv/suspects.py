"""Columns that say nothing about other rows, judged by some of their cells: ids, row numbers, free text, lists."""

import re
from typing import Any

import numpy as np

from keras_oocore.csv.dialect import CellOptions
from keras_oocore.csv.numbers import as_numbers
from keras_oocore.manifest.label_checks import FEW_SAMPLES

try:
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pc = None

NUMBER_PER_ROW, ROW_NUMBERS = "a different number per row", "numbers of the rows"
STRING_PER_ROW, FREE_TEXT, LISTS = "a different string per row", "free text", "lists in its cells"
ID_NAME = re.compile(
    r"(?i:(.*[\W_])?(id|ids|uuid|guid|idx|rowid|row_?(nr|num|number|index))|index|key|id[\W_].*|unnamed: \d+)"
    r"|.*[a-z](Id|ID)"
)
NEARLY_ALL = 0.95  # share of distinct cells of an id; the same sale may be listed twice
MANY_STRINGS = 0.9  # share of distinct cells of strings whose codes say nothing
MANY_ROWS = 1000  # from which on it is no chance that integers are all distinct
LONG_RUN = 100  # rows; nor that they are consecutive
LIST = r"^[\[({].*[\])}]$|^[-+.\deE]+([ ;|,]+[-+.\deE]+){2,}$"
WORDS_OF_TEXT = 3


def suspicion(name: str, kind: str, texts: Any) -> str:
    """Return why a column is not a useful feature, as a phrase, or `""`.

    Args:
        name: Name of the column.
        kind: Its kind.
        texts: `pyarrow` array of some of its cells, in the order of the rows, without missing ones.

    >>> import pyarrow as pa
    >>> suspicion("a", "float32", pa.array(map(str, range(1000)))), suspicion("a", "float32", pa.array(["7"] * 1000))
    ('numbers of the rows', '')
    """
    if len(texts) < FEW_SAMPLES or kind not in ("float32", "string"):
        return ""
    if kind == "string" and pc.all(pc.match_substring_regex(texts, LIST)).as_py():
        return LISTS
    share = pc.count_distinct(texts).as_py() / len(texts)
    if kind == "string":
        if share < MANY_STRINGS:
            return ""
        num_words = pc.mean(pc.list_value_length(pc.utf8_split_whitespace(texts))).as_py()
        return FREE_TEXT if num_words >= WORDS_OF_TEXT else STRING_PER_ROW
    if share < NEARLY_ALL or not pc.all(pc.match_substring_regex(texts, r"^\d+$")).as_py():
        return ""
    if ID_NAME.fullmatch(name):
        return NUMBER_PER_ROW
    if share < 1 or len(texts) < LONG_RUN:
        return ""
    steps = np.diff(as_numbers(texts, CellOptions()).to_numpy(zero_copy_only=False))
    if np.mean(steps == 1) > NEARLY_ALL:
        return ROW_NUMBERS
    return NUMBER_PER_ROW if len(texts) >= MANY_ROWS else ""
