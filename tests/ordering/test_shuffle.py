"""Shuffling as `RandomState` does."""

import numpy as np
import pytest

from keras_oocore.ordering import shuffle
from keras_oocore.ordering.shuffle import drawn_places, shuffled
from keras_oocore.ordering.window_order import WindowOrder

SIZES = [*range(1, 70), 127, 128, 129, 1023, 1024, 1025, 5000, 65_535, 65_536, 65_537, 131_073]


def by_numpy(samples, key):
    shuffled = samples.copy()
    np.random.RandomState(np.random.MT19937(key)).shuffle(shuffled)
    return shuffled.tolist()


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("fewest", [1, shuffle.FEWEST_AT_ONCE])
def test_order_is_that_of_random_state(monkeypatch, dtype, fewest):
    monkeypatch.setattr(shuffle, "FEWEST_AT_ONCE", fewest)
    for size in SIZES:
        samples, key = np.arange(3, size + 3, dtype=dtype), np.random.SeedSequence(7, spawn_key=(size, 1))
        found = shuffled([samples[: size // 3], samples[size // 3 :]], key)
        assert found.tolist() == by_numpy(samples, key), size
        assert found.dtype == dtype


def test_bits_of_negative_and_large_integers_are_kept(monkeypatch):
    monkeypatch.setattr(shuffle, "FEWEST_AT_ONCE", 1)
    for dtype in (np.int32, np.int64):  # as floats, some of them are NaNs that signal
        ends = np.iinfo(dtype)
        samples = np.array(
            [ends.min, ends.max, -1, 0, *range(ends.max // 256 * 255, ends.max // 256 * 255 + 50)], dtype
        )
        key = np.random.SeedSequence(1)
        assert shuffled([samples], key).tolist() == by_numpy(samples, key)


def test_draws_of_a_million_are_those_of_random_state():
    size, ours, numpys = 2**20 + 5, np.random.RandomState(4), np.random.RandomState(4)
    places = np.concatenate([places for _, places in drawn_places(size, ours)])
    highest = np.arange(size, 1, -1)  # NumPy draws below it, and drops bits and draws again as `shuffle` does
    assert np.array_equal(places, numpys.randint(0, highest, dtype=np.uint32))


def test_windows_are_shuffled_by_random_state(monkeypatch):
    order = WindowOrder((3, 2, 4), window_chunks=2, seed=3)
    by_numpy = order.samples(1, 0, 9).tolist()
    monkeypatch.setattr(shuffle, "FEWEST_AT_ONCE", 1)
    order.reset_after_fork()
    assert order.samples(1, 0, 9).tolist() == by_numpy
    assert order.samples_at(1, np.array([8, 0, 5])).tolist() == [by_numpy[i] for i in (8, 0, 5)]
