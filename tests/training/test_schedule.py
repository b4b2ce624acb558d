"""The calls of `fit` of one training: after any kill, they use the batches of one plain `fit`."""

import copy
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.training.schedule import FitCall, TrainingPosition, next_fit


def plain(num_batches, steps_per_epoch, num_epochs):
    """Return the batches of each epoch of one `fit` of Keras, as (number of the pass, position in it)."""
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
    """Consecutive passes over the data, from a position on."""

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
    """Calls `fit` as `next_fit` returns, saves its position after every batch, and may be killed in any."""

    def __init__(self, num_batches, steps_per_epoch):
        self.num_batches, self.steps_per_epoch = num_batches, steps_per_epoch
        self.saved = TrainingPosition()
        self.given = {}  # (epoch, step) -> batch, which must be the same if repeated after a kill

    def run(self, end_epoch, batches_until_kill):
        """Resume from the saved position, raise `Killed` after `batches_until_kill` batches, and return the calls."""
        position, self.batches_until_kill, calls = copy.copy(self.saved), batches_until_kill, []
        while call := next_fit(position, end_epoch, self.num_batches, self.steps_per_epoch):
            calls.append(call)
            assert call.first_epoch == position.epoch < call.end_epoch <= end_epoch
            self.fit(call, position)
            assert position.epoch == call.end_epoch
        return calls

    def fit(self, call, position):
        """Iterate as Keras 3.15.1, which reads the length once per call (`EpochIterator._enumerate_iterator`)."""
        length = self.num_batches if call.num_batches is None else call.num_batches
        passes = Passes(position.pass_number, position.pass_batches, self.num_batches)
        iterator, seen = None, 0
        for epoch in range(call.first_epoch, call.end_epoch):
            if iterator is None or call.steps_per_epoch is None:
                iterator, seen = passes.iterator(), 0
            for step in range(call.steps_per_epoch or length):
                if seen == length:
                    break
                seen += 1
                last = seen == length or step + 1 == call.steps_per_epoch
                self.give(epoch, position, next(iterator), last)
            if seen == length:
                iterator, seen = passes.iterator(), 0
            position.end_epoch(self.num_batches, self.steps_per_epoch)
            self.saved = copy.copy(position)

    def give(self, epoch, position, batch, last):
        if self.batches_until_kill == 0:
            raise Killed
        self.batches_until_kill -= 1
        assert self.given.setdefault((epoch, position.step), batch) == batch
        assert batch == (position.pass_number, position.pass_batches)
        position.step, position.pass_batches, position.batches = (
            position.step + 1,
            position.pass_batches + 1,
            position.batches + 1,
        )
        if not last:  # the position is saved at the end of the epoch, which follows
            self.saved = copy.copy(position)

    @property
    def epochs(self):
        """The batches of each epoch."""
        ordered = itertools.groupby(sorted(self.given.items()), lambda item: item[0][0])
        return [[batch for _, batch in steps] for _, steps in ordered]


@given(st.integers(1, 9), st.none() | st.integers(1, 12), st.integers(1, 7), st.lists(st.integers(0, 20), max_size=8))
def test_resumed_trainings_use_the_batches_of_a_plain_fit(num_batches, steps, num_epochs, kills):
    training = Training(num_batches, steps)
    for batches_until_kill in kills:
        try:
            training.run(num_epochs, batches_until_kill)
        except Killed:
            continue
        break
    training.run(num_epochs, 1000)
    assert training.epochs == plain(num_batches, steps, num_epochs)
    assert training.saved.batches == len(training.given)


@pytest.mark.parametrize("steps", [None, 1, 2, 3, 4, 5, 6, 7, 8, 13])
@pytest.mark.parametrize("num_batches", [1, 2, 5, 6])
def test_resume_from_every_saved_position(num_batches, steps):
    expected = plain(num_batches, steps, 5)
    for batches_until_kill in range(sum(map(len, expected)) + 1):
        training = Training(num_batches, steps)
        try:
            training.run(5, batches_until_kill)
        except Killed:
            assert training.saved.batches == batches_until_kill
            calls = training.run(5, 1000)
            assert sum(call.end_epoch - call.first_epoch for call in calls) == 5 - calls[0].first_epoch
        assert training.epochs == expected


@given(st.integers(1, 9), st.none() | st.integers(1, 12), st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_more_epochs_continue_as_in_one_training(num_batches, steps, more):
    training = Training(num_batches, steps)
    for end_epoch in itertools.accumulate(more):
        training.run(end_epoch, 1000)
        assert training.run(end_epoch, 1000) == []
    assert training.epochs == plain(num_batches, steps, sum(more))


@given(st.integers(1, 9), st.none() | st.integers(1, 12), st.integers(1, 9))
def test_uninterrupted_training_is_one_call_of_fit(num_batches, steps, num_epochs):
    assert Training(num_batches, steps).run(num_epochs, 1000) == [FitCall(0, num_epochs, None, steps)]


def test_stopped_training_has_no_next_call():
    assert next_fit(TrainingPosition(epoch=1, pass_number=1, stopped=True), 5, 4, None) is None


def test_pass_ends_when_a_callback_stops_within_an_epoch():
    position = TrainingPosition(epoch=2, step=3, pass_number=2, pass_batches=3, batches=11)
    position.end_epoch(num_batches=4, steps_per_epoch=None)
    assert position == TrainingPosition(epoch=3, pass_number=3, batches=11)


def test_pass_continues_when_steps_per_epoch_ends_the_epoch():
    position = TrainingPosition(epoch=2, step=3, pass_number=1, pass_batches=3, batches=11)
    position.end_epoch(num_batches=4, steps_per_epoch=3)
    assert position == TrainingPosition(epoch=3, pass_number=1, pass_batches=3, batches=11)
