"""Columns that say nothing about other rows."""

import os
from pathlib import Path

import pytest

from keras_oocore.csv.cells import pa
from keras_oocore.csv.dialect import Dialect
from keras_oocore.tables.csv.suspects import suspicion
from keras_oocore.tables.csv.table import CSVTable

SCATTERED = [str(7919 * i % 1_000_003) for i in range(1, 1001)]  # distinct, in no order


@pytest.mark.parametrize(
    ("name", "kind", "texts", "reason"),
    [
        *((name, "float32", SCATTERED[:20], "a different number per row")
          for name in ("id", "customer_id", "PassengerId", "ID", "house id", "uuid", "Unnamed: 0", "index")),
        *((name, "float32", SCATTERED[:20], "") for name in ("paid", "grid", "valid", "price", "heat_index", "idle")),
        ("id", "float32", SCATTERED[:19], ""),
        ("id", "float32", [*SCATTERED[:19], *SCATTERED[:19]], ""),
        ("id", "float32", ["1.5", *SCATTERED[:19]], ""),
        ("a", "float32", [str(i) for i in range(100)], "numbers of the rows"),
        ("a", "float32", [str(i) for i in range(99)], ""),
        ("a", "float32", [str(3 * i) for i in range(999)], ""),
        ("a", "float32", SCATTERED, "a different number per row"),
        ("a", "float32", [*SCATTERED, SCATTERED[0]], ""),
        ("a", "string", [f"review {i}, good" for i in range(20)], "free text"),
        ("a", "string", [f"user{i}" for i in range(20)], "a different string per row"),
        ("a", "string", ["Rome", "Oslo"] * 10, ""),
        ("a", "string", ["[0.1, 2]"] * 20, "lists in its cells"),
        ("a", "string", ["70 80 82"] * 20, "lists in its cells"),
        ("a", "string", ['{"a": 1}'] * 20, "lists in its cells"),
        ("a", "date", [f"2014-01-{day:02}" for day in range(1, 29)], ""),
    ],
)  # fmt: skip
def test_suspicion(name, kind, texts, reason):
    assert suspicion(name, kind, pa.array(texts)) == reason


def test_of_the_real_houses_only_the_id_is_named():
    data = Path(os.environ.get("KERAS_OOCORE_DATA", Path(__file__).parents[4] / "shared" / "data"))
    if not (data / "kc_house_data.csv").is_file():
        pytest.skip(f"kc_house_data.csv is not in {data}. Set KERAS_OOCORE_DATA to its folder.")
    table = CSVTable(data / "kc_house_data.csv", Dialect())
    assert table.suspects == {"id": "a different number per row"}
    assert table.columns["date"].format == "%Y%m%dT%H%M%S"
