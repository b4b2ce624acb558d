"""A file of a table in words: its name, its size and when it changed, so that a message shows what differs."""

import datetime
import os
from collections.abc import Mapping

NO_KEYS: Mapping[str, str | None] = {}


def described(path: str, size_bytes: int, changed_ns: int, keys: Mapping[str, str | None] = NO_KEYS) -> str:
    """Return name, size and time of a file, and the columns that its folders name.

    >>> described("data/houses.csv", 1200, 1_400_000_000_000_000_005)
    'houses.csv, 1,200 bytes, of 2014-05-13 16:53:20.000000005 UTC'
    """
    seconds, nanoseconds = divmod(changed_ns, 10**9)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{described_copy(path, size_bytes)}, of {moment}.{nanoseconds:09d} UTC{_named(keys)}"


def described_copy(path: str, size_bytes: int, keys: Mapping[str, str | None] = NO_KEYS) -> str:
    """Return what a copy of a file has in common with it: name, size, and the columns that its folders name.

    >>> described_copy("sales/year=2024/part.parquet", 1200, {"year": "2024"})
    'part.parquet, 1,200 bytes, year=2024'
    """
    return f"{os.path.basename(path)}, {size_bytes:,} bytes{_named(keys)}"


def _named(keys: Mapping[str, str | None]) -> str:
    return "".join(f", {name}={value}" for name, value in keys.items())
