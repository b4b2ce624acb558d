"""Strings as numbers: the decimal point, thousands, and signs and units before or after the digits."""

import functools
import re
from typing import Any

from keras_oocore.csv.cells import LARGEST_FLOAT32
from keras_oocore.csv.dialect import BLANKS, CellOptions

try:
    import pyarrow as pa
    import pyarrow.compute as pc
except ImportError:  # the `csv` extra is not installed
    pa = None

INFINITE = r"^[+-]?inf(inity)?$"
WRITTEN_ALIKE = {" ": BLANKS, "'": "'\u2019"}  # separators of thousands that are several characters
SIGNS = {"": False, "+": False, "-": True, "()": True}  # the signs of a number → whether it is negative


def as_numbers(texts: Any, options: CellOptions) -> Any:
    """Convert strings to `double`; null if a string is not a number that `float32` can represent.

    Args:
        texts: `pyarrow` array of strings without spaces around them.
        options: `decimal`, `thousands` and `strip` are used.

    >>> options = CellOptions(thousands=",", strip="$()")
    >>> as_numbers(pa.array(["1", "$1,234.50", "-$5", "($2)", "1,5", "$"]), options).to_pylist()
    [1.0, 1234.5, -5.0, -2.0, None, None]
    """
    return _values(*_plain(texts, options))


def as_digits(texts: Any, options: CellOptions) -> Any:
    """Convert strings to strings that Python's `float` and `Decimal` read, as `as_numbers` does.

    >>> as_digits(pa.array(["9,007,199,254,740,993", "1e3", "x"]), CellOptions(thousands=",")).to_pylist()
    ['9007199254740993', '1e3', None]
    """
    digits, infinite = _plain(texts, options)
    return pc.if_else(pc.is_valid(_values(digits, infinite)), digits, pa.scalar(None, pa.string()))


def _values(digits: Any, infinite: Any) -> Any:
    """Return plain numbers as `double`; null if `float32` cannot represent them."""
    values = digits.cast(pa.float64())
    too_large = pc.and_(pc.greater(pc.abs(values), LARGEST_FLOAT32), pc.invert(infinite))
    return pc.if_else(too_large, pa.scalar(None, pa.float64()), values)


def _plain(texts: Any, options: CellOptions) -> tuple[Any, Any]:
    """Return numbers without separators and units, null for other strings, and which of them are infinite."""
    infinite = pc.match_substring_regex(texts, INFINITE, ignore_case=True)
    plain = pc.match_substring_regex(texts, f"^[+-]?{_number(options)}$")
    digits = pc.if_else(plain, texts, pa.scalar(None, pa.string()))
    others = pc.invert(plain).fill_null(False)
    if (options.thousands is not None or options.strip) and pc.any(others).as_py():
        digits = pc.replace_with_mask(digits, others, _digits(texts.filter(others), options))
    if options.decimal == ",":
        digits = pc.replace_substring(digits, ",", ".")
    return pc.if_else(infinite, texts, digits), infinite


def _number(options: CellOptions) -> str:
    """Return the regular expression of a number without a sign and without thousands."""
    point = re.escape(options.decimal)
    return rf"(?:\d+{point}?\d*|{point}\d+)(?:[eE][+-]?\d+)?"


def _digits(texts: Any, options: CellOptions) -> Any:
    """Return numbers with a sign, without what groups and surrounds their digits; null for other strings."""
    if not options.strip:
        grouped = pc.match_substring_regex(texts, _pattern(options))
        return pc.if_else(grouped, _joined(texts, options), pa.scalar(None, pa.string()))
    parts = pc.extract_regex(texts, _pattern(options))
    opened, sign, inner, digits, closed = (
        pc.struct_field(parts, name) for name in ("open", "sign", "inner", "digits", "close")
    )
    signs = pc.binary_join_element_wise(opened, sign, inner, closed, "")
    minus = pc.if_else(pc.is_in(signs, pa.array([text for text, negative in SIGNS.items() if negative])), "-", "")
    known = pc.is_in(signs, pa.array(list(SIGNS)))
    joined = pc.binary_join_element_wise(minus, _joined(digits, options), "")
    return pc.if_else(known, joined, pa.scalar(None, pa.string()))


def _joined(digits: Any, options: CellOptions) -> Any:
    """Return numbers without the separators of thousands."""
    if options.thousands is None:
        return digits
    for separator in WRITTEN_ALIKE.get(options.thousands, options.thousands):
        digits = pc.replace_substring(digits, separator, "")
    return digits


@functools.lru_cache(maxsize=64)
def _pattern(options: CellOptions) -> str:
    """Return the regular expression of a number with thousands, and with signs and units at either end."""
    number = _number(options)
    if options.thousands is not None:
        separators = WRITTEN_ALIKE.get(options.thousands, options.thousands)
        between, point = f"[{re.escape(separators)}]", re.escape(options.decimal)
        western = rf"[1-9]\d{{0,2}}(?:{between}\d{{3}})+"
        indian = rf"[1-9]\d?(?:{between}\d{{2}})+{between}\d{{3}}"
        number = rf"(?:{western}|{indian})(?:{point}\d*)?|{number}"
    spaces = f"[{BLANKS}]*"
    units = sorted((re.escape(unit) for unit in options.strip if unit not in ("(", ")")), key=len, reverse=True)
    before = "".join(f"(?:{unit}){spaces}|" for unit in units if not unit[-1].isdigit()).rstrip("|")
    after = "".join(f"{spaces}(?:{unit})|" for unit in units).rstrip("|")
    if ")" in options.strip:
        opening, closing = rf"(?P<open>\(?){spaces}", rf"{spaces}(?P<close>\)?)"
    else:
        opening, closing = "(?P<open>)", "(?P<close>)"
    gap = spaces if units else ""
    lead = rf"{opening}(?P<sign>[+-]?){gap}(?:{before})*(?P<inner>[+-]?){gap}"
    return rf"^{lead}(?P<digits>{number})(?:{after})*{closing}$"
