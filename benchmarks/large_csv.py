"""A large CSV file for the measurements: the rows of a smaller one, repeated."""

import csv
import os
from pathlib import Path

FEATURES = ["bedrooms", "bathrooms", "sqft_living", "sqft_lot", "grade", "yr_built"]
TARGET = "price"
BATCH_SIZE = 1024


def repeated(source, megabytes, path):
    """Write the rows of `source` until the file has so many megabytes. Keep a file that is large enough."""
    header, rows = Path(source).read_bytes().split(b"\n", 1)
    rows = rows if rows.endswith(b"\n") else rows + b"\n"
    times = -(-megabytes * 10**6 // len(rows))
    if not os.path.exists(path) or os.path.getsize(path) != len(header) + 1 + times * len(rows):
        with open(path, "wb") as file:
            file.write(header + b"\n")
            for _ in range(times):
                file.write(rows)
    return str(path)


def unquoted(source, path):
    """Write the rows of `source` without the quotes around cells, none of which needs them."""
    with open(source, newline="") as rows, open(path, "w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_NONE, lineterminator="\n").writerows(csv.reader(rows))
    return str(path)
