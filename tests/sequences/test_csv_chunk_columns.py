"""CSVChunkSequence: columns, row numbers, vocabularies, statistics and profile."""

import numpy as np
import pytest
from csv_numbers import NUM_ROWS, cached, flat, numbers

from keras_oocore.core.errors import OptionError
from keras_oocore.tables.csv import table as csv_table


def test_columns_num_rows_and_repr(open_csv):
    sequence = open_csv(workers=2, features={"a": ["x", "city"], "b": ["city"]})
    assert (sequence.columns, sequence.num_rows, sequence.num_samples) == (["x", "city", "y"], 118, 118)
    assert repr(sequence) == (
        "<CSVChunkSequence: 118 rows from 'houses.csv'\n"
        "  30 batches of 4, shuffled, seed=7\n"
        "  a float32 (4, 2), b int32 (4, 1), target 'y' float32 (4,)\n"
        "  2 threads, 256 batches ahead, at most 16.5 kB in flight, 2.4 kB of parsed rows>"
    )


@cached
@pytest.mark.parametrize("missing", ["error", "drop"])
def test_row_numbers(open_csv, write, cached, missing):
    for part in range(3):
        lines = [f"{i if i % 7 or missing == 'error' else ''},{2 * i}\n" for i in range(40 * part, 40 * part + 40)]
        write("x,y\n" + "".join(lines), f"part-{part}.csv")
    whole = open_csv(data="part-*.csv", cached=cached, missing=missing)
    for rows in (whole, *whole.split(0.25)):
        numbers = {
            sample: int(y) // 2
            for index in range(len(rows))
            for sample, y in zip(rows.samples_of(index).tolist(), rows[index][1])
        }
        assert rows.row_numbers.tolist() == [numbers[sample] for sample in range(len(numbers))]
        assert rows.row_numbers.dtype == np.int64


def test_paths_with_tilde(open_csv, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    list(open_csv(data="~/houses.csv", cache="~/kept"))
    assert (tmp_path / "kept" / "store.json").exists()


def test_profile_times_parsing(open_csv, capsys):
    profile = open_csv(batch_size=10, workers=1).profile()
    assert profile.seconds_per_batch["parsing"] > 0
    assert profile.num_samples == NUM_ROWS
    assert "Parsing takes" in str(profile)
    assert "parsing" not in open_csv(batch_size=10, cached=True).profile(5).seconds_per_batch


def test_vocabulary_and_class_names(open_csv):
    assert open_csv(features=["city"]).vocabulary("city") == ["Rome", "Oslo"]
    assert open_csv(target="city").class_names == ["Oslo", "Rome"]
    assert open_csv().class_names is None
    assert {row: int(y) for x, ys in open_csv(target="city") for row, y in zip(x[:, 0].tolist(), ys)} == {
        i: int(bool(i % 3)) for i in range(NUM_ROWS)
    }
    with pytest.raises(OptionError, match=r"`column` should be a column of strings: 'city'. Received: 'x'"):
        open_csv(features=["city", "x"]).vocabulary("x")
    with pytest.raises(OptionError, match=r"strings: none is a feature or a target here\. Received: 'city'"):
        open_csv(features=["x"]).vocabulary("city")


def test_a_category_that_is_not_used_is_a_warning(open_csv):
    with pytest.warns(UserWarning, match="`categorical` names columns that are not used: 'city'. Name them in"):
        open_csv(features=["x"], categorical=["city"])


def test_summary(open_csv):
    assert str(open_csv(features=["x", "city"]).summary()) == "\n".join(
        [
            "118 rows, 3 columns, from 'houses.csv'",
            " column  kind     mean      std  min  max  missing  distinct",
            " x       float32  58.5  34.0624    0  117        0       118",
            " city    string                                  0         2",
            " y       float32   117  68.1249    0  234        0       118",
        ]
    )


def test_methods_of_file_sequences_are_errors_that_name_alternatives(open_csv, capsys):
    with pytest.raises(AttributeError, match='rows of CSV files are stored with cache="DIR"'):
        open_csv().pack("packed")
    with pytest.raises(AttributeError, match="has no attribute 'show_batch'"):
        open_csv().show_batch()
    assert open_csv(cached=True).profile(3).samples_per_second > 0
    assert "samples/s" in capsys.readouterr().out


def test_saved_index_is_used(open_csv, monkeypatch):
    open_csv().save_index()
    monkeypatch.setattr(csv_table, "index_records", None)
    assert sorted(flat(numbers(open_csv()))) == list(range(NUM_ROWS))
