"""Parquet and Feather files, folders and patterns of them, in every command that reads tables."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

import keras_oocore as ko


@pytest.fixture
def houses(in_tmp_path):
    """60 houses in several files, with a copy of one row."""
    rows = np.arange(60)
    table = pa.table(
        {
            "sqft": pa.array([None if row % 20 == 3 else 1000.0 + row for row in rows], pa.float64()),
            "city": [["Rome", "Oslo"][row % 2] for row in rows],
            "day": [f"2024-01-{1 + row % 28:02}" for row in rows],
            "tags": [[int(row)] for row in rows],
            "price": rows * 7.5,
        }
    )
    for year, part in ((2023, table[:30]), (2024, table[30:])):
        (in_tmp_path / "sales" / f"year={year}").mkdir(parents=True)
        pq.write_table(part, in_tmp_path / "sales" / f"year={year}" / "part.parquet", row_group_size=10)
    pq.write_table(table, "houses.parquet")
    feather.write_feather(table, "houses.feather")
    feather.write_feather(table, "größe.data")
    return table


DATA = {"houses.parquet": "Parquet", "sales": "Parquet", "*.parquet": "Parquet", "houses.feather": "Arrow"}


@pytest.mark.parametrize("path", [*DATA, "größe.data"])
def test_info_describes_the_columns_and_prints_code(houses, run, path):
    status, output, _ = run("info", path)
    assert status == 0
    assert output.startswith(f"{path}: {DATA.get(path, 'Arrow')}\n60 rows, ")
    assert re.search(r"\n  sqft   float32  1000, 1001, 1002  \(\d missing in the first rows\)\n", output)
    assert "'day' is read as strings, though its cells look like dates, such as '2024-01-01'" in output
    assert "column 'tags' of " in output
    assert f'rows = ko.TableSequence(\n    "{path}",\n    target="price",' in output
    facts = json.loads(run("info", path, "--json")[1])
    assert (facts["num_samples"], facts["columns"]["city"]["kind"]) == (60, "string")


@pytest.mark.one_backend
def test_the_printed_code_trains(houses, run):
    code = json.loads(run("info", "sales", "--json")[1])["python"]
    exec(code.replace("epochs=10", "epochs=1, verbose=0"), {})


@pytest.mark.parametrize("path", DATA)
def test_all_rows_are_verified_and_checked(houses, run, path):
    assert run("verify", path)[:2] == (0, f"{path}: 60 rows read, no problem\n  column 'sqft': 3 cells missing\n")
    status, output, _ = run("check", path, "--against", "houses.parquet", "--target", "price")
    assert status == 1
    assert " against houses.parquet: 60 rows checked" in output
    assert "60 rows in both" in output


def test_a_damaged_file_is_named(houses, run, in_tmp_path):
    path = in_tmp_path / "sales" / "year=2024" / "part.parquet"
    path.write_bytes(path.read_bytes()[:300])
    status, output, _ = run("verify", "sales")
    assert status == 1
    assert "sales/year=2024/part.parquet: cannot be read as Parquet" in output


@pytest.mark.one_backend
def test_rows_are_packed_profiled_and_predicted(houses, run):
    words = ("--target", "price", "--features", "sqft", "city", "--missing", "mean")
    status, output, _ = run("pack", "houses.feather", "cache", *words, "--validation-split", 0.2)
    assert status == 0
    assert 'ko.TableSequence("houses.feather", ..., cache="cache").split(0.2, seed=0)' in output
    assert run("profile", "sales", *words, "--num-batches", 2)[0] == 0
    train = ko.TableSequence("houses.parquet", "price", ["sqft", "city"], missing="mean")
    train.save_features("features.json")
    import keras

    model = keras.Sequential([train.inputs(), keras.layers.Dense(1)])
    model.save("model.keras")
    words = ("--load-features", "features.json", "--to", "prices.csv")
    assert run("predict", "model.keras", "sales", *words)[1] == "60 rows in prices.csv\n"
    ko.TableSequence("houses.parquet", "price", ["sqft"], missing="mean", cache="of parquet")[0]
    assert 'ko.TableSequence(\n    "houses.parquet",\n    target="price",' in run("info", "of parquet")[1]
    ko.TableSequence(houses.select(["sqft", "price"]).to_reader(), "price", missing="mean", cache="of a stream")[0]
    assert "make the Sequence with the arguments it was stored with" in run("info", "of a stream")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("verify", "houses.parquet", "--delimiter", ";"), "an option of CSV files, and 'houses.parquet' is a Parquet"),
        (("pack", "houses.feather", "c"), "Columns: 'sqft', 'city', 'day', 'price'. Type --target COLUMN"),
        (("split", "sales", "parts"), "ko.TableSequence('sales', target=...).split(validation_split=0.2"),
        (("predict", "features.json", "sales", "--to", "a.csv"), "'features.json' does not exist"),
    ],
)
def test_wrong_use(houses, run, words, message):
    status, _, error = run(*words)
    assert status == 2
    assert message in error
