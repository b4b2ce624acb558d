"""The calls of `fit` that one training takes: whatever kills it, the batches asked for are those of one plain `fit`."""

import copy
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.training.schedule import FitCall, Place, next_fit


def plain(num_batches, steps_per_epoch, num_epochs):
    """What one `fit` of Keras trains on: each epoch's batches, as (number of the pass, position in it)."""
    steps = steps_per_epoch or num_batches
    epochs = (
        [(number, position) for position in range(start, min(start + steps, num_batches))]
        for number in itertools.count()
        for start in range(0, num_batches, steps)
    )
    return list(itertools.islice(epochs, num_epochs))


class Killed(Exception):
    pass


class Passes:
    """Pass after pass over the data, from a place on."""

    def __init__(self, number, start, num_batches):
        self.number, self.start, self.num_batches = number, start, num_batches
        self.used = False

    def iterator(self):
        if self.used:
            self.number, self.start, self.used = self.number + 1, 0, False
        for position in range(self.start, self.num_batches):
            self.used = True
            yield self.number, position


class Training:
    """Calls `fit` as `next_fit` says, keeps a place after every batch, and may be killed in any."""

    def __init__(self, num_batches, steps_per_epoch):
        self.num_batches, self.steps_per_epoch = num_batches, steps_per_epoch
        self.saved = Place()
        self.given = {}  # (epoch, step) -> batch; what is given again after a kill has to be the same

    def run(self, end_epoch, live_batches):
        """Go on from the place that was saved, and die in the batch after so many; returns the calls."""
        place, self.live_batches, calls = copy.copy(self.saved), live_batches, []
        while call := next_fit(place, end_epoch, self.num_batches, self.steps_per_epoch):
            calls.append(call)
            assert call.first_epoch == place.epoch < call.end_epoch <= end_epoch
            self.fit(call, place)
            assert place.epoch == call.end_epoch
        return calls

    def fit(self, call, place):
        """As Keras 3.15.1 does, which reads the length once a call: `EpochIterator._enumerate_iterator`."""
        length = self.num_batches if call.num_batches is None else call.num_batches
        passes = Passes(place.pass_number, place.pass_batches, self.num_batches)
        iterator, seen = None, 0
        for epoch in range(call.first_epoch, call.end_epoch):
            if iterator is None or call.steps_per_epoch is None:
                iterator, seen = passes.iterator(), 0
            for step in range(call.steps_per_epoch or length):
                if seen == length:
                    break
                seen += 1
                last = seen == length or step + 1 == call.steps_per_epoch
                self.give(epoch, place, next(iterator), last)
            if seen == length:
                iterator, seen = passes.iterator(), 0
            place.end_epoch(self.num_batches, self.steps_per_epoch)
            self.saved = copy.copy(place)

    def give(self, epoch, place, batch, last):
        if self.live_batches == 0:
            raise Killed
        self.live_batches -= 1
        assert self.given.setdefault((epoch, place.step), batch) == batch
        assert batch == (place.pass_number, place.pass_batches)
        place.step, place.pass_batches, place.batches = place.step + 1, place.pass_batches + 1, place.batches + 1
        if not last:  # the epoch's end follows, and is saved then
            self.saved = copy.copy(place)

    @property
    def epochs(self):
        """The batches by epoch."""
        ordered = itertools.groupby(sorted(self.given.items()), lambda item: item[0][0])
        return [[batch for _, batch in steps] for _, steps in ordered]


@given(st.integers(1, 9), st.none() | st.integers(1, 12), st.integers(1, 7), st.lists(st.integers(0, 20), max_size=8))
def test_killed_at_any_batches_a_training_asks_for_those_of_a_plain_fit(num_batches, steps, num_epochs, lives):
    training = Training(num_batches, steps)
    for live_batches in lives:
        try:
            training.run(num_epochs, live_batches)
        except Killed:
            continue
        break
    training.run(num_epochs, 1000)
    assert training.epochs == plain(num_batches, steps, num_epochs)
    assert training.saved.batches == len(training.given)


@pytest.mark.parametrize("steps", [None, 1, 2, 3, 4, 5, 6, 7, 8, 13])
@pytest.mark.parametrize("num_batches", [1, 2, 5, 6])
def test_from_every_place_that_is_saved(num_batches, steps):
    expected = plain(num_batches, steps, 5)
    for live_batches in range(sum(map(len, expected)) + 1):
        training = Training(num_batches, steps)
        try:
            training.run(5, live_batches)
        except Killed:
            assert training.saved.batches == live_batches
            calls = training.run(5, 1000)
            assert sum(call.end_epoch - call.first_epoch for call in calls) == 5 - calls[0].first_epoch
        assert training.epochs == expected


@given(st.integers(1, 9), st.none() | st.integers(1, 12), st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_more_epochs_go_on_as_if_asked_for_from_the_beginning(num_batches, steps, more):
    training = Training(num_batches, steps)
    for end_epoch in itertools.accumulate(more):
        training.run(end_epoch, 1000)
        assert training.run(end_epoch, 1000) == []
    assert training.epochs == plain(num_batches, steps, sum(more))


@given(st.integers(1, 9), st.none() | st.integers(1, 12), st.integers(1, 9))
def test_a_training_that_is_not_killed_takes_one_call(num_batches, steps, num_epochs):
    assert Training(num_batches, steps).run(num_epochs, 1000) == [FitCall(0, num_epochs, None, steps)]


def test_a_training_that_a_callback_stopped_has_ended():
    assert next_fit(Place(epoch=1, pass_number=1, stopped=True), 5, 4, None) is None


def test_a_pass_that_a_callback_stopped_in_an_epoch_is_not_gone_on_with():
    place = Place(epoch=2, step=3, pass_number=2, pass_batches=3, batches=11)
    place.end_epoch(num_batches=4, steps_per_epoch=None)
    assert place == Place(epoch=3, pass_number=3, batches=11)


def test_a_pass_that_steps_per_epoch_leaves_half_done_is_gone_on_with():
    place = Place(epoch=2, step=3, pass_number=1, pass_batches=3, batches=11)
    place.end_epoch(num_batches=4, steps_per_epoch=3)
    assert place == Place(epoch=3, pass_number=1, pass_batches=3, batches=11)
