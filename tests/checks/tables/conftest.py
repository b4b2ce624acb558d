"""Tables with planted faults, as CSV files."""

import csv

import numpy as np
import pytest


@pytest.fixture
def write(tmp_path):
    """A function that writes columns as a CSV file, and returns its path."""

    def write(name="rows.csv", /, **columns):
        path = tmp_path / name
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        return path

    return write


@pytest.fixture
def houses():
    """A function that returns the columns of a clean table: nothing is wrong with it."""

    def houses(num_rows=400, seed=0):
        rng = np.random.default_rng(seed)
        size = rng.normal(2000, 500, num_rows).round(1)
        year = rng.integers(1900, 2020, num_rows)
        city = rng.choice(["Rome", "Oslo", "Bern", "Köln"], num_rows)
        price = (size * 100 + rng.normal(0, 40_000, num_rows)).round(2)
        return {"size": [*size], "year": [*year], "city": [*city], "price": [*price]}

    return houses
