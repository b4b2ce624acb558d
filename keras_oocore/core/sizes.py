"""Amounts of memory: parse what a user writes, print them, and choose a default for this machine."""

import os
import re

from keras_oocore.core.errors import OptionError

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
DEFAULT_LIMIT_BYTES = 512 * 10**6


def parse_bytes(amount: int | str, name: str = "memory_limit") -> int:
    """Return an amount of memory as a number of bytes.

    Args:
        amount: A number of bytes, or a string with a unit, such as `"128MB"` or `"2 GiB"`.
        name: The name of the argument, for the error message.

    Raises:
        OptionError: If `amount` is not a positive amount.

    >>> parse_bytes("128MB"), parse_bytes("1.5 KiB"), parse_bytes(4096)
    (128000000, 1536, 4096)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", str(amount).lower())
    size_bytes = int(float(match[1]) * UNITS.get(match[2], 0)) if match else 0
    if isinstance(amount, bool) or size_bytes <= 0:
        raise OptionError(
            f'`{name}` should be a number of bytes, or a string such as "128MB". Received: {name}={amount!r}'
        )
    return size_bytes


def format_bytes(size_bytes: int) -> str:
    """Return a size with a unit, for messages.

    >>> format_bytes(999), format_bytes(128_000_000)
    ('999 B', '128.0 MB')
    """
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} B"


def default_limit_bytes() -> int:
    """Return 512 MB or a tenth of this machine's memory, whichever is smaller."""
    try:
        total_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return DEFAULT_LIMIT_BYTES
    return min(DEFAULT_LIMIT_BYTES, total_bytes // 10)
