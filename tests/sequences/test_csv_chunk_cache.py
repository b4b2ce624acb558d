"""CSVChunkSequence: the cache of all rows."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from contracts.reading import as_bytes
from csv_numbers import NUM_ROWS, flat, numbers
from keras import ops

from keras_oocore.core.errors import DataError
from keras_oocore.sequences import rows_of_table as table_sequence
from keras_oocore.tables import passes
from keras_oocore.tables.rows import TableRows


def test_cache_of_an_earlier_run_is_used(open_csv, monkeypatch):
    first = as_bytes(open_csv(cached=True, features=["x", "city"]))
    monkeypatch.setattr(TableRows, "encode_chunk", None)
    monkeypatch.setattr(passes, "in_order", None)
    assert as_bytes(open_csv(cached=True, features=["x", "city"])) == first


@pytest.mark.one_backend
def test_statistics_of_an_earlier_run_are_used(open_csv, monkeypatch):
    def said(train, val):
        means = [ops.convert_to_numpy(part.normalization().mean).tolist() for part in (train, val)]
        return [means, train.vocabulary("city"), val.vocabulary("city"), str(train.summary()), str(val.summary())]

    def parts():
        return open_csv(cached=True, features=["x", "city"]).split(0.25)

    train, val = parts()
    list(train), list(val)
    found = said(train, val)
    monkeypatch.setattr(passes, "in_order", None)
    assert said(*parts()) == found


def test_threads_fill_the_cache_once(open_csv, monkeypatch):
    ready, convert = [], table_sequence.convert
    monkeypatch.setattr(table_sequence, "convert", lambda *arguments: ready.append(1) or convert(*arguments))
    sequence = open_csv(cached=True)
    with ThreadPoolExecutor(4) as threads:
        batches = list(threads.map(lambda index: sequence[index], range(len(sequence))))
    assert len(ready) == 1
    assert sum(len(batch[0]) for batch in batches) == sequence.num_rows


def test_cache_of_changed_files_or_other_options_is_an_error(open_csv, write):
    list(open_csv(cached=True))
    with pytest.raises(DataError, match=r"stores other rows: .*columns: without 'x', with 'city'"):
        list(open_csv(cached=True, features=["city"]))
    write("x,city,y\n1,Rome,2\n")
    with pytest.raises(DataError, match="stores other rows"):
        list(open_csv(cached=True))
    sequence = open_csv(cached=True, overwrite_cache=True)
    assert numbers(sequence) == numbers(sequence) == [[1]]
    assert numbers(open_csv(cached=True)) == [[1]]


def test_whole_sequence_is_cached_besides_its_split_parts(open_csv, tmp_path):
    whole = open_csv(cached=True)
    train, _ = whole.split(0.25)
    list(train)
    assert sorted(flat(numbers(whole))) == list(range(NUM_ROWS))
