"""The usual ways to write money and measures, and which options read them as numbers."""

import dataclasses
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

from keras_oocore.csv.dialect import CellOptions, Thousands, is_scale
from keras_oocore.csv.numbers import as_numbers

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

CURRENCIES = (
    *("USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "NZD", "CNY", "RMB", "INR", "BRL", "MXN", "SEK", "NOK", "DKK"),
    *("PLN", "CZK", "HUF", "RUB", "TRY", "ZAR", "KRW", "SGD", "HKD", "Rs", "Rs.", "Fr.", "kr", "R$", "US$", "A$", "C$"),
)
ENDINGS = ("st", "nd", "rd", "th", "am", "pm", "a.m.", "p.m.")  # after a number that is not a measure
TRIED = 1000  # distinct strings
MOST = 0.9  # share of what looks like numbers that the options should read
SHORT_UNITS = ("m", "g", "l", "s", "h")  # another single letter after a number is part of a name, such as 12A
MOST_UNITS = 5  # different units in a column; more are words
NUMBER = re.compile(
    r"(?P<open>\(?)\s*[+-]?\s*(?P<before>\D*?)\s*[+-]?\s*"
    r"(?P<digits>[.,]?\d(?:[\d.,'\u2019_\s]*\d)?(?:[eE][+-]?\d+)?[.,]?)\s*(?P<after>.*?)\s*(?P<close>\)?)",
    re.DOTALL,
)
UNIT = re.compile(r"[^\s\d()+\-./:,;#&*=?!\"'<>\[\]{}|\\][^\d()]{0,10}[²³\d]?")


@dataclasses.dataclass(frozen=True)
class NumberFormat:
    """How to read strings as numbers.

    Attributes:
        options: The options that read them, or `None` if none does.
        code: What to type, such as `"thousands=',', strip='$'"`; or what to do if no option reads them.
        readable: `bool` array of `pyarrow`. Which of the strings become numbers.
    """

    options: CellOptions | None
    code: str
    readable: Any


def number_format(texts: Any, options: CellOptions, in_column: bool = True) -> NumberFormat | None:
    """Return how to read most of the strings as numbers, or `None` if they do not look like numbers.

    Args:
        texts: `pyarrow` array of distinct strings without spaces around them, without null.
        options: The options that do not read all of them.
        in_column: Whether the strings are those of a column, and the options need not read every one. Otherwise, they
            are one cell and others that can be read, and a single letter as in "12A" is not a unit.

    >>> found = number_format(pa.array(["$1,234.50", "$2"]), CellOptions())
    >>> found.code, found.readable.to_pylist()
    ("thousands=',', strip='$'", [True, True])
    """
    texts = texts[:TRIED]
    parts = [_parts(text) for text in texts.to_pylist()]
    found = [part for part in parts if part is not None]
    if not found or 2 * len(found) < len(parts):
        return None
    looks = pa.array([part is not None for part in parts])
    units = Counter(part["after"] for part in found if part["after"])
    scaled = [part for part in found if is_scale(part["after"])]
    if scaled and 2 * len(scaled) >= units.total():
        return NumberFormat(None, _in_full(scaled[0]), looks)
    words = [unit for unit in units if not _is_currency(unit)]
    if len({word.casefold().rstrip("s.") for word in words}) > 1:  # "hour" and "hours" are one unit, "cm" and "m" two
        are_units = len(words) <= MOST_UNITS and all(map(_may_be_unit, words))
        return NumberFormat(None, _several(words), looks) if are_units else None
    if words and (2 * units.total() < len(found) if in_column else len(words[0]) == 1):
        return None
    signs = [*(part["before"] for part in found if part["before"]), *units]
    brackets = ("(", ")") if any(part["open"] for part in found) else ()
    strip = tuple(dict.fromkeys((*(options.strip or ()), *signs, *brackets)))
    least = (MOST if in_column else 1) * len(found)
    return _separated(texts, least, options, dataclasses.replace(options, strip=strip))


def _parts(text: str) -> re.Match[str] | None:
    """Return what is before and after the digits of a string that looks like a number, or `None`."""
    match = NUMBER.fullmatch(text)
    if match is None or bool(match["open"]) != bool(match["close"]):
        return None
    before, after = match["before"], match["after"]
    is_unit = not after or (UNIT.fullmatch(after) and after.casefold() not in ENDINGS)
    return match if is_unit and (not before or _is_currency(before)) else None


def _may_be_unit(word: str) -> bool:
    return word in SHORT_UNITS or (len(word) > 1 and " " not in word)


def _is_currency(unit: str) -> bool:
    return unit in CURRENCIES or all(unicodedata.category(character) == "Sc" for character in unit)


def _separated(texts: Any, least: float, options: CellOptions, stripping: CellOptions) -> NumberFormat | None:
    """Return the decimal point and the separator of thousands that read most strings, if they read at least so many."""
    other = {".": ",", ",": "."}[options.decimal]
    candidates = [
        dataclasses.replace(stripping, decimal=decimal, thousands=thousands)
        for decimal in (options.decimal, other)
        for thousands in dict.fromkeys((options.thousands, None, *get_args(Thousands)))
        if thousands != decimal
    ]
    readable = [pc.is_valid(as_numbers(texts, candidate)) for candidate in candidates]
    counts = [pc.sum(found).as_py() for found in readable]
    best = counts.index(max(counts))
    if counts[best] < least or candidates[best] == options:
        return None
    return NumberFormat(candidates[best], _code(candidates[best], options), readable[best])


def _code(changed: CellOptions, options: CellOptions) -> str:
    """Return the options that differ, as code."""
    words = []
    for name in ("decimal", "thousands", "strip"):
        value = getattr(changed, name)
        if value != getattr(options, name):
            words.append(f"{name}={_strip_code(value) if name == 'strip' else repr(value)}")
    return ", ".join(words)


def _strip_code(strip: Sequence[str]) -> str:
    """Return the value of `strip` as code.

    >>> _strip_code(["$", "(", ")"]), _strip_code(["(", ")", "USD"])
    ("'$()'", "['()', 'USD']")
    """
    if all(len(unit) == 1 and not unit.isalnum() for unit in strip):
        return repr("".join(strip))
    brackets = ["()"] if "(" in strip else []
    return repr([*brackets, *(unit for unit in strip if unit not in ("(", ")"))])


def _in_full(scaled: re.Match[str]) -> str:
    """Return what to do about numbers such as 10k and 12%."""
    return f"write such numbers in full in the file, without {scaled['after']!r} (`strip` never scales)"


def _several(units: Sequence[str]) -> str:
    """Return what to do about numbers with several units."""
    return f"convert them to one unit in the file; they have {', '.join(map(repr, units))}"
