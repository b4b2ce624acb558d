"""Bit sets in words of 64 bits."""

import numpy as np
from csv_scans import BARE
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.csv.bits import (
    as_flags,
    at,
    count,
    every_other,
    filled,
    first,
    has,
    last,
    next_one,
    packed,
    parities,
    positions,
)
from keras_oocore.csv.scan import index_records


def test_count_without_numpys_bitwise_count(write, monkeypatch):
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    index = index_records(write(b'1,"\n"\n' * 1000), BARE, chunk_bytes=600)
    assert (index.num_rows, index.num_chunks, index.lines[-1]) == (1000, 10, 2001)


@given(st.lists(st.booleans(), min_size=1, max_size=200), st.integers(0, 199))
@examples(40)
def test_operations_match_plain_python(flags, place):
    words, ones, place = packed(np.array(flags)), [i for i, flag in enumerate(flags) if flag], place % len(flags)
    assert positions(words).tolist() == ones
    assert (count(words), first(words), last(words)) == (len(ones), ones[0] if ones else -1, ones[-1] if ones else -1)
    assert has(words, place) == flags[place]
    before = [i for i in ones if i < place]
    assert (count(words, place), last(words, place)) == (len(before), before[-1] if before else -1)
    assert next_one(words, place) == min((i for i in ones if i >= place), default=-1)
    assert positions(parities(words))[: len(flags)].tolist()[: sum(np.cumsum(flags) % 2)] == [
        i for i in range(len(flags)) if np.cumsum(flags)[i] % 2
    ]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 150)), min_size=1, max_size=6), st.sets(st.integers(0, 899)))
@examples(40)
def test_operations_on_runs_match_plain_python(runs, places):
    flags = np.repeat([flag for flag, _ in runs], [length for _, length in runs])
    words, starts = packed(flags), packed(np.isin(np.arange(len(flags)), list(places)))
    is_filled, position_in_run, reached, number = [], [], False, 0
    for place, flag in enumerate(flags):
        reached = bool(flag) and (reached or place in places)
        number = number + 1 if flag else 0
        is_filled.append(reached)
        position_in_run.append(number)
    assert as_flags(filled(starts, words), len(flags)).tolist() == is_filled
    assert as_flags(every_other(words), len(flags)).tolist() == [number % 2 == 1 for number in position_in_run]
    assert at(words, np.arange(len(flags))).tolist() == flags.tolist()
