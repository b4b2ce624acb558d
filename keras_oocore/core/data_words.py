"""Says in words how the rows of two fingerprints of tables differ, where the values themselves would say nothing."""

import re
from collections.abc import Mapping
from typing import Any

from keras_oocore.core.text import counted, listed

LEFT_OUT = "rows left out"  # in fingerprints: how many rows, and a checksum of their numbers
SPLIT_ARGUMENTS = ("validation_split", "test_split", "stratify", "groups", "seed", "by", "at")
_CONTENT = re.compile(r"([\d,]+ rows?), ([\d,]+ columns?), CRC-32 [0-9a-f]{8}")  # of a table that is not a file


def phrase_about(name: str, before: Any, now: Any) -> str:
    """Return a phrase about a value of a fingerprint that differs, or `""` if its values can be shown as they are.

    Args:
        name: Name of the value, such as `"part"`.
        before: The value, as plain JSON, or `None` if it is missing.
        now: The same, for what is requested now.

    >>> phrase_about("rows left out", None, [19, "6f4a82"])
    'no rows were left out, now `without` leaves out 19 rows'
    >>> phrase_about("files", ["7 rows, 2 columns, CRC-32 3cef62e4"], ["9 rows, 2 columns, CRC-32 fe5bb7f8"])
    'the data was a table of 7 rows and 2 columns, is a table of 9 rows and 2 columns'
    """
    phrase = _PHRASES.get(name)
    return phrase(before, now) if phrase is not None else ""


def _of_rows_left_out(before: Any, now: Any) -> str:
    if not all(value is None or isinstance(value, list) for value in (before, now)):
        return ""
    then = f"`without` left out {counted(before[0], 'row')}" if before else "no rows were left out"
    if not now:
        return f"{then}, now no rows are left out"
    others = " other" if before and before[0] == now[0] else ""
    return f"{then}, now {'it' if before else '`without`'} leaves out {now[0]:,}{others} row{'s' * (now[0] != 1)}"


def _of_files(before: Any, now: Any) -> str:
    then, current = _table(before), _table(now)
    if not then and not current:
        return ""
    if then == current:
        return f"the data was {then}, is one of the same size with other cells"
    return f"the data was {then or _files(before)}, is {current or _files(now)}"


def _table(files: Any) -> str:
    """Return the size of a table that is not a file, or `""` if it is one."""
    match = _CONTENT.fullmatch(files[0]) if isinstance(files, list) and len(files) == 1 else None
    return f"a table of {match[1]} and {match[2]}" if match else ""


def _files(files: Any) -> str:
    return listed(files) if isinstance(files, list) else repr(files)


def _of_part(before: Any, now: Any) -> str:
    then, current = _part(before), _part(now)
    return f"the rows were {then}, are {current}" if then and current and then != current else ""


def _part(part: Any) -> str:
    """Return which rows a part has, or `""` if it is not a part of a table."""
    if part is None:
        return "all rows"
    if not isinstance(part, Mapping) or not {"part", "validation"} & part.keys():
        return ""
    name = part.get("part") or ("validation" if part["validation"] else "training")
    arguments = [f"{key}={part[key]!r}" for key in SPLIT_ARGUMENTS if part.get(key) is not None]
    return f"the {name} part of split({', '.join(arguments)})"


def _of_inputs(before: Any, now: Any) -> str:
    then, current = _inputs(before), _inputs(now)
    return f"the features were {then}, are {current}" if then and current and then != current else ""


def _inputs(inputs: Any) -> str:
    """Return how features are given to the model, or `""` if they are not the inputs of a table."""
    if not isinstance(inputs, list) or not all(isinstance(one, list) and len(one) == 3 for one in inputs):
        return ""
    names = [one[0] for one in inputs]
    return "one array" if names == [None] else f"the inputs {listed(names)}"


_PHRASES = {LEFT_OUT: _of_rows_left_out, "files": _of_files, "part": _of_part, "inputs": _of_inputs}
