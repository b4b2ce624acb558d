"""CSVChunkSequence: `num_rows`, for a first try with the first rows of large files."""

import numpy as np
import pytest
from csv_numbers import NUM_ROWS, cached, flat, numbers

from keras_oocore.core.errors import DataError, OptionError
from keras_oocore.tables.csv import table as csv_table


@cached
def test_first_rows_are_served_and_split(open_csv, cached):
    sequence = open_csv(num_rows=20, cached=cached)
    assert sequence.num_rows == 20
    assert sorted(flat(numbers(sequence))) == list(range(20))
    assert repr(sequence).startswith("<CSVChunkSequence: 20 rows from 'houses.csv' (num_rows=20)\n")
    assert str(sequence.summary()).startswith("20 rows, 3 columns, from 'houses.csv' (num_rows=20)")
    train, val = sequence.split(0.25)
    assert sorted(flat(numbers(train)) + flat(numbers(val))) == list(range(20))


def test_more_rows_than_there_are(open_csv):
    assert open_csv(num_rows=10**9).num_rows == NUM_ROWS


def test_rows_of_several_files(open_csv, write):
    for part in range(3):
        write("x,y\n" + "".join(f"{10 * part + i},{20 * part + 2 * i}\n" for i in range(10)), f"part-{part}.csv")
    write("x,z\n1,2\n", "part-2.csv")  # which has other columns, and is not read
    sequence = open_csv(data="part-*.csv", num_rows=20, shuffle=False)
    assert flat(numbers(sequence)) == list(range(20))
    assert "from 'part-0.csv', 'part-1.csv' (num_rows=20)" in repr(sequence)
    assert open_csv(data="part-*.csv", num_rows=3).num_rows == 3
    with pytest.raises(DataError, match="no column 'y'"):
        open_csv(data="part-*.csv", num_rows=21)


def test_cache_and_state_of_other_rows_are_errors(open_csv):
    part = open_csv(num_rows=20, cached=True)
    list(part)
    with pytest.raises(DataError, match=r"stores other rows: .*num_rows was 20, is None"):
        list(open_csv(cached=True))
    with pytest.raises(DataError, match=r"num_rows was 20, is 30"):
        list(open_csv(cached=True, num_rows=30))
    with pytest.raises(DataError, match=r"num_rows was 20, is None"):
        open_csv().load_state_dict(part.state_dict())
    assert sorted(flat(numbers(open_csv(num_rows=20, cached=True)))) == list(range(20))


def test_saved_index_of_the_file_is_used_and_that_of_a_part_is_not_saved(open_csv, tmp_path, monkeypatch):
    open_csv(num_rows=20).save_index()
    list(open_csv(num_rows=20, cached=True))
    assert not list(tmp_path.rglob("*index*.json"))
    open_csv().save_index()
    monkeypatch.setattr(csv_table, "index_records", None)
    assert sorted(flat(numbers(open_csv(num_rows=20)))) == list(range(20))


@pytest.mark.parametrize("num_rows", [0, -5, 2.5, "20", np.float32(3), True])
def test_other_numbers_are_refused(open_csv, num_rows):
    with pytest.raises(OptionError, match=r"`num_rows` should be a positive integer\. Received: num_rows="):
        open_csv(num_rows=num_rows)
