"""Reads all columns of Parquet files and compares them with what pyarrow reads, in a child process that may crash.

Usage: python parquet_child.py FILE... It prints a line per file, as JSON: the file, how many columns are right, and why
others, or the whole file, are refused.
"""

import datetime
import json
import math
import sys

import pyarrow.parquet as pq

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.tables.parquet.table import ParquetTable

EPOCH, DAY = datetime.datetime(1970, 1, 1), datetime.timedelta(days=1)


def expected(value, kind):
    """What a cell should be for a value of Python."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if kind == "string":
        return value
    if kind == "date":
        return days(value)
    return float(value)


def days(value):
    if isinstance(value, datetime.time):
        value = datetime.datetime.combine(EPOCH, value)
    if type(value) is datetime.date:
        value = datetime.datetime.combine(value, datetime.time())
    value = getattr(value, "to_pydatetime", lambda: value)()
    if value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return (value - EPOCH) / DAY


def outcome(path):
    try:
        table = ParquetTable(path)
    except (DataError, OptionError) as error:
        return {"refused": str(error)}
    found = {"right": 0, "rows": table.num_rows, "columns refused": dict(table.refused)}
    for name, column in table.columns.items():
        try:
            cells = [
                cell for i in range(table.num_chunks) for cell in table.read(i, [column]).columns[name].to_pylist()
            ]
        except DataError as error:
            found["columns refused"][name] = str(error)
            continue
        try:
            whole = pq.read_table(path, columns=[name], partitioning=None, coerce_int96_timestamp_unit="us")
            values = [expected(value, column.kind) for value in whole[name].to_pylist()]
        except Exception as error:  # pyarrow itself cannot read the file, or Python has no such date
            found.setdefault("not compared", {})[name] = str(error)[:200]
            continue
        same = len(cells) == len(values) and all(
            a == b or (isinstance(a, float) and b is not None and math.isclose(a, b, rel_tol=1e-15))
            for a, b in zip(cells, values)
        )
        if not same:
            return {"wrong": name, "cells": cells[:5], "values": list(map(str, values[:5]))}
        found["right"] += 1
    return found


if __name__ == "__main__":
    for path in sys.argv[1:]:
        print(json.dumps([path, outcome(path)]), flush=True)
