"""EpochPass: whatever Keras calls, every batch of the plan is served exactly once, in the order of the plan."""

import pickle
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_oocore.ordering.epoch_pass import EpochPass


class FakeKeras:
    """Makes the calls that Keras 3.15.1 makes, and records the batches that its model would get.

    Args:
        epochs: The `EpochPass`.
        reads_spec: Whether batches 0 and 1 are read for their spec when an iterator is made, as on TensorFlow.
        build_draws: Number of batches that the build step of the first `fit` draws and discards. It is 0 on TensorFlow
            without a distribution strategy, where there is no build step.
        prefetch: Number of batches that are drawn before the step that needs them, as by `tf.data`.
        shuffle: Whether indices are permuted, as by `fit(shuffle=True)`.
        strategy: Whether a `tf.distribute` strategy is used: every call has a build step, and other threads draw.
    """

    def __init__(self, epochs, reads_spec=False, build_draws=1, prefetch=0, shuffle=True, strategy=False):
        self.epochs = epochs
        self.reads_spec = reads_spec
        self.build_draws = build_draws
        self.prefetch = prefetch
        self.shuffle = shuffle
        self.thread = ThreadPoolExecutor(1) if strategy else None
        self.built = False
        self.random = random.Random(5)

    def num_batches(self):
        self.epochs.length_read()
        return self.epochs.remaining

    def generator(self, shuffle):
        """`PyDatasetAdapter._finite_generator`, and the prefetching between it and the model."""
        indices = list(range(self.drawn(self.num_batches)))
        if shuffle:
            self.random.shuffle(indices)
        ahead = []
        for index in indices:
            ahead.append(self.drawn(self.epochs.bind, index)[:2])
            if len(ahead) > self.prefetch:
                yield ahead.pop(0)
        yield from ahead

    def iterator(self, shuffle):
        """`EpochIterator._get_iterator`: nothing is drawn before the first `next`."""
        if self.thread is None:
            self.num_batches()
        return self.generator(shuffle)

    def drawn(self, function, *args):
        """What the generator reads, on the thread that runs it."""
        return function(*args) if self.thread is None else self.thread.submit(function, *args).result()

    def read_spec(self):
        if self.reads_spec:
            for index in range(min(2, self.num_batches())):
                self.epochs.bind(index)

    def reset(self):
        self.num_batches()
        self.epochs.end()

    def build(self, shuffle):
        if self.build_draws and (self.thread or not self.built):
            self.built = True
            self.epochs.begin()
            iterator = self.iterator(shuffle)
            for _ in range(self.build_draws):
                next(iterator, None)

    def fit(self, num_epochs=1, steps_per_epoch=None, stop_after=None, between=lambda epoch: None):
        """The `(pass, position)` of each batch that the model gets, in one list per epoch."""
        num_batches = self.num_batches()
        self.read_spec()
        self.build(self.shuffle)
        self.reset()
        given_by_epoch, iterator, steps_seen = [], None, 0
        for epoch in range(num_epochs):
            given_by_epoch.append([])
            self.epochs.begin()
            if iterator is None or steps_per_epoch is None:
                iterator, steps_seen = self.iterator(self.shuffle), 0
            for step in range(steps_per_epoch or num_batches):
                if steps_seen >= num_batches:
                    break  # "Your input ran out of data"
                steps_seen += 1
                given = next(iterator, None)
                if given is None:  # "Your input ran out of data": `catch_stop_iteration` ends the epoch
                    iterator = None
                    break
                given_by_epoch[-1].append(given)
                if stop_after == (epoch, step):
                    return given_by_epoch  # `stop_training`, an exception or Ctrl-C: no `on_epoch_end`
            if iterator is not None and steps_seen >= num_batches:
                iterator, steps_seen = self.iterator(self.shuffle), 0
            self.epochs.end()
            between(epoch)
        return given_by_epoch

    def evaluate(self):
        """The batches of one call of `evaluate`, which requests them in order."""
        self.num_batches()
        self.read_spec()
        self.build(shuffle=False)
        self.reset()
        return self.whole_pass()

    def predict(self):
        """The batches of one call of `predict`, which does not reset its iterator."""
        self.num_batches()
        self.read_spec()
        return self.whole_pass()

    def whole_pass(self):
        self.epochs.begin()
        given = list(self.iterator(shuffle=False))
        self.epochs.end()
        return given


BACKENDS = {
    "jax": dict(),
    "torch": dict(build_draws=2),
    "tensorflow": dict(reads_spec=True, build_draws=0, prefetch=3),
    "tensorflow with a long prefetch": dict(reads_spec=True, build_draws=0, prefetch=100),
    "unshuffled": dict(shuffle=False),
    # With 1 and 2 replicas, build steps were measured to draw 5, and 5 to 6 batches.
    "tensorflow with a strategy": dict(reads_spec=True, prefetch=4, strategy=True),
}


@pytest.fixture(params=BACKENDS)
def backend(request):
    return BACKENDS[request.param]


def flat(epochs):
    return [given for epoch in epochs for given in epoch]


def planned(num_batches, *passes):
    return [(number, position) for number in passes for position in range(num_batches)]


def test_each_epoch_of_fit_is_a_whole_pass(backend):
    keras = FakeKeras(EpochPass(5), **backend)

    assert keras.fit(num_epochs=3) == [planned(5, 0), planned(5, 1), planned(5, 2)]


def test_second_fit_continues_with_the_next_pass(backend):
    keras = FakeKeras(EpochPass(5), **backend)

    assert flat(keras.fit(num_epochs=2)) + flat(keras.fit(num_epochs=1)) == planned(5, 0, 1, 2)


@pytest.mark.parametrize("steps_per_epoch", [3, 5, 7, 10, 12])
def test_steps_per_epoch_continues_a_pass_over_several_epochs(backend, steps_per_epoch):
    keras = FakeKeras(EpochPass(12), **backend)

    given_by_epoch = keras.fit(num_epochs=9, steps_per_epoch=steps_per_epoch)

    given = flat(given_by_epoch)
    assert given == planned(12, *range(9))[: len(given)]
    assert len(given) > 12
    assert max(map(len, given_by_epoch)) == steps_per_epoch


@pytest.mark.parametrize("steps_per_epoch", [1, 2])
def test_one_or_two_steps_per_epoch_serve_every_batch(backend, steps_per_epoch):
    keras = FakeKeras(EpochPass(6), **backend)

    assert flat(keras.fit(num_epochs=12 // steps_per_epoch, steps_per_epoch=steps_per_epoch)) == planned(6, 0, 1)


def test_unfinished_pass_of_fit_with_steps_is_followed_by_the_next_pass(backend):
    keras = FakeKeras(EpochPass(6), **backend)
    keras.fit(num_epochs=2, steps_per_epoch=2)

    assert flat(keras.fit(num_epochs=1)) == planned(6, 1)


def test_predict_after_fit_with_steps_is_in_the_order_of_the_plan(backend):
    """It does not end the pass that `fit` left open, but its rows belong to the samples in their order."""
    keras = FakeKeras(EpochPass(6), **backend)
    keras.fit(num_epochs=2, steps_per_epoch=2)

    assert keras.predict() == planned(6, 1)
    assert flat(keras.fit(num_epochs=1)) == planned(6, 2)


def test_fit_after_a_stop_within_an_epoch_is_a_whole_pass(backend):
    keras = FakeKeras(EpochPass(6), **backend)
    keras.fit(num_epochs=3, stop_after=(1, 3))

    assert flat(keras.fit(num_epochs=2)) == planned(6, 2, 3)


def test_predict_is_in_the_order_of_the_plan_after_an_interrupted_fit(backend):
    keras = FakeKeras(EpochPass(6), **backend)
    keras.fit(num_epochs=3, stop_after=(1, 3))

    assert keras.predict() == planned(6, 2)
    assert keras.predict() == planned(6, 3)
    assert flat(keras.fit()) == planned(6, 4)


def test_validation_data_is_a_whole_pass_after_each_epoch(backend):
    training, validation = FakeKeras(EpochPass(4), **backend), FakeKeras(EpochPass(3), **backend)
    validated = []
    trained = training.fit(num_epochs=3, between=lambda epoch: validated.extend(validation.evaluate()))

    assert flat(trained) == planned(4, 0, 1, 2)
    assert validated == planned(3, 0, 1, 2)


@given(
    num_batches=st.integers(1, 12),
    prefetch=st.integers(0, 12),
    calls=st.lists(st.sampled_from(["evaluate", 1, 2]), min_size=1, max_size=4),
    start=st.integers(0, 11),
)
@settings(deadline=None, max_examples=40)
def test_build_steps_under_a_strategy_skip_no_pass(num_batches, prefetch, calls, start):
    """However many batches they draw. A pass of one batch is whole in its build step, too."""
    start = min(start, num_batches - 1)
    epochs = EpochPass(num_batches)
    keras = FakeKeras(epochs, reads_spec=True, prefetch=prefetch, strategy=True)
    epochs.seek(3, start)

    given = [given for call in calls for given in (keras.evaluate() if call == "evaluate" else flat(keras.fit(call)))]

    num_passes = sum(1 if call == "evaluate" else call for call in calls)
    assert given == passes_from(num_batches, 3, start, num_passes)


def test_fit_under_a_strategy_after_a_stop_is_the_next_pass():
    keras = FakeKeras(EpochPass(12), reads_spec=True, prefetch=4, strategy=True)
    keras.fit(num_epochs=2, stop_after=(1, 0))

    assert flat(keras.fit(num_epochs=1)) == planned(12, 2)


@pytest.mark.parametrize("num_batches", [1, 2])
def test_passes_of_one_or_two_batches_are_whole(backend, num_batches):
    """A build step reads one or two batches, which looks like a whole pass here. The first pass may be pass 1."""
    keras = FakeKeras(EpochPass(num_batches), **backend)

    given = keras.fit(num_epochs=3)

    first = given[0][0][0]
    assert first in (0, 1)
    assert given == [planned(num_batches, first + epoch) for epoch in range(3)]


def test_repeated_index_is_the_same_batch():
    epochs = EpochPass(4)
    epochs.begin()

    assert [epochs.bind(index) for index in (3, 3, 0, 3, 0)] == [
        (0, 0, True),
        (0, 0, True),
        (0, 1, True),
        (0, 0, True),
        (0, 1, True),
    ]


def test_index_outside_an_epoch_is_the_position_in_the_next_pass():
    epochs = EpochPass(3)
    assert [epochs.bind(index) for index in (2, 0)] == [(0, 2, False), (0, 0, False)]
    epochs.begin()
    assert [epochs.bind(index)[1] for index in (2, 0, 1)] == [0, 1, 2]
    epochs.end()

    assert epochs.bind(2) == (1, 2, False)


def test_reading_the_length_between_two_epochs_does_not_end_the_pass():
    """A callback may read it. A new call reads it too, but then ends an epoch that has not begun."""
    epochs = EpochPass(5)
    epochs.begin()
    for index in range(3):
        epochs.bind(index)
    epochs.end()
    epochs.length_read()
    epochs.begin()
    epochs.end()
    epochs.begin()

    assert epochs.bind(3) == (0, 3, True)


def test_epoch_that_is_left_early_is_followed_by_the_next_pass():
    epochs = EpochPass(5)
    epochs.begin()
    for index in range(3):
        epochs.bind(index)
    epochs.begin()

    assert epochs.bind(4) == (1, 0, True)


@pytest.mark.parametrize("drawn", [0, 1, 2])
def test_epoch_that_is_left_before_its_third_batch_starts_over(drawn):
    epochs = EpochPass(5)
    epochs.begin()
    for index in range(drawn):
        epochs.bind(index)
    epochs.begin()

    assert epochs.bind(4) == (0, 0, True)


@given(data=st.data(), num_batches=st.integers(1, 12))
@settings(deadline=None)
def test_complete_pass_serves_each_position_once_after_any_history(data, num_batches):
    """The history has complete and abandoned passes, build steps, resets, and reads between them, in any order."""
    epochs = EpochPass(num_batches)
    indices = st.integers(0, num_batches - 1)
    last_complete = -1
    for _ in range(data.draw(st.integers(1, 8))):
        for index in data.draw(st.lists(indices, max_size=3)):
            epochs.bind(index)
        if data.draw(st.booleans()):
            epochs.length_read()
            epochs.end()
        epochs.begin()
        order = data.draw(st.permutations(range(num_batches)))
        if data.draw(st.booleans()):
            for index in order[: data.draw(st.integers(0, num_batches))]:
                epochs.bind(index)
            continue  # abandoned
        if data.draw(st.booleans()):
            epochs.length_read()
        bound = []
        for index in order:
            bound += [epochs.bind(index)[:2]] * (index not in order[: len(bound)])
            epochs.bind(data.draw(st.sampled_from(order[: len(bound)])))  # requested again
        epochs.end()
        number = bound[0][0]
        assert bound == planned(num_batches, number)
        assert number > last_complete
        last_complete = number
        assert epochs.number == number + 1


@given(num_batches=st.integers(1, 30), num_passes=st.integers(1, 4), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_complete_passes_are_numbered_consecutively(num_batches, num_passes, seed):
    epochs, shuffler = EpochPass(num_batches), random.Random(seed)
    for number in range(num_passes):
        epochs.begin()
        indices = list(range(num_batches))
        shuffler.shuffle(indices)
        assert [epochs.bind(index)[:2] for index in indices] == planned(num_batches, number)
        epochs.end()


# Resuming


def passes_from(num_batches, number, start, num_passes):
    """The batches of these passes from a position on. The end of a pass is the beginning of the next one."""
    if start == num_batches:
        number, start = number + 1, 0
    return planned(num_batches, *range(number, number + num_passes))[start:]


@given(data=st.data(), name=st.sampled_from([*BACKENDS]), num_batches=st.integers(2, 12), number=st.integers(0, 3))
@settings(deadline=None, max_examples=150)
def test_resumed_pass_serves_every_remaining_batch_once_in_order(data, name, num_batches, number):
    """After any calls of `fit`, `predict` and `evaluate`, with a model that is built or not."""
    start = data.draw(st.integers(0, num_batches))
    epochs, backend = EpochPass(num_batches), BACKENDS[name]
    keras = FakeKeras(epochs, **backend)
    if num_batches == 2 or data.draw(st.booleans()):  # with two batches, a build step looks like a whole pass
        keras.fit(num_epochs=2, stop_after=(1, data.draw(st.integers(0, num_batches - 1))))
    epochs.seek(number, start)
    assert epochs.position() == passes_from(num_batches, number, start, 1)[0]

    given, num_passes = [], 0
    for call in data.draw(st.lists(st.sampled_from(["predict", "evaluate", 1, 2, 3]), min_size=1, max_size=4)):
        given += getattr(keras, call)() if isinstance(call, str) else flat(keras.fit(call))
        num_passes += 1 if isinstance(call, str) else call

    assert given == passes_from(num_batches, number, start, num_passes)
    assert epochs.position() == (given[-1][0] + 1, 0)


@given(
    data=st.data(),
    name=st.sampled_from([*BACKENDS]),
    num_batches=st.integers(3, 12),
    steps_per_epoch=st.integers(1, 14),
)
@settings(deadline=None, max_examples=100)
def test_steps_per_epoch_of_a_resumed_pass_skips_and_repeats_no_batch(data, name, num_batches, steps_per_epoch):
    start = data.draw(st.integers(0, num_batches - 1))
    epochs = EpochPass(num_batches)
    keras = FakeKeras(epochs, **BACKENDS[name])
    epochs.seek(2, start)
    given = flat(keras.fit(num_epochs=9, steps_per_epoch=steps_per_epoch))

    assert given == passes_from(num_batches, 2, start, 9)[: len(given)]
    assert len(given) >= min(num_batches - start, 9 * steps_per_epoch)


def loop_over(epochs, stop_after=None):
    """The batches of a loop of the user, which breaks after some of them. `None` for a whole loop."""
    loop, given = epochs.enter(), []
    for index in range(loop.num_batches if stop_after is None else min(stop_after, loop.num_batches)):
        epochs.ask(loop, index)
        given.append(epochs.bind(index)[:2])
    epochs.leave(loop)
    return given


@given(num_batches=st.integers(1, 9), start=st.integers(0, 9), used=st.integers(0, 9))
def test_position_within_a_loop_counts_from_the_resumed_position(num_batches, start, used):
    epochs = EpochPass(num_batches)
    epochs.seek(4, min(start, num_batches))
    expected = passes_from(num_batches, 4, min(start, num_batches), 1)
    used = min(used, len(expected))
    loop = epochs.enter()
    assert loop.num_batches == len(expected)
    for index in range(used):
        epochs.ask(loop, index)
        assert epochs.bind(index)[:2] == expected[index]
    position = (*expected, (expected[-1][0] + 1, 0))[used]

    assert epochs.position() == position
    if used:
        assert epochs.position(used) == position
    epochs.leave(loop)
    assert epochs.remaining == num_batches
    assert epochs.position() == ((expected[-1][0] + 1, 0) if used else expected[0])


@pytest.mark.parametrize("taken", [1, 2, 3, 5])
def test_each_loop_has_a_pass_of_its_own_wherever_it_ends(taken):
    epochs = EpochPass(5)

    assert [loop_over(epochs, taken) for _ in range(3)] == [planned(5, number)[:taken] for number in range(3)]


@pytest.mark.parametrize("steps_per_epoch", [1, 2, 4])
def test_loop_after_fit_with_steps_is_the_next_pass(backend, steps_per_epoch):
    epochs = EpochPass(6)
    FakeKeras(epochs, **backend).fit(num_epochs=1, steps_per_epoch=steps_per_epoch)

    loop = epochs.enter()
    epochs.ask(loop, 0)
    assert (epochs.bind(0), epochs.position()) == ((1, 0, True), (1, 1))


def test_nested_loops_have_a_pass_each():
    epochs, outer, inner = EpochPass(3), [], []
    loop = epochs.enter()
    for index in range(3):
        epochs.ask(loop, index)
        outer.append(epochs.bind(index)[:2])
        inner += loop_over(epochs)
    epochs.leave(loop)

    assert outer == planned(3, 0)
    assert inner == planned(3, 1, 2, 3)
    assert epochs.position() == (4, 0)


def test_loop_that_a_call_of_keras_interrupts_continues_with_its_pass(backend):
    epochs, given, predicted = EpochPass(4), [], []
    keras = FakeKeras(epochs, **backend)
    loop = epochs.enter()
    for index in range(4):
        epochs.ask(loop, index)
        given.append(epochs.bind(index)[:2])
        predicted += keras.predict() if index < 2 else flat(keras.fit()) if index == 2 else []
    epochs.leave(loop)

    assert given == planned(4, 0)
    assert predicted == planned(4, 1, 2, 3)
    assert epochs.position() == (4, 0)


def test_index_in_a_loop_that_is_not_its_next_is_a_position_in_its_pass():
    epochs = EpochPass(4)
    epochs.seek(2, 1)
    loop = epochs.enter()
    epochs.ask(loop, 0)

    assert epochs.bind(0) == (2, 1, True)
    assert [epochs.bind(index) for index in (0, 3)] == [(2, 0, False), (2, 3, False)]
    assert epochs.position() == (2, 2)


def test_position_that_is_loaded_within_a_loop_stays_after_its_break():
    epochs = EpochPass(4)
    loop = epochs.enter()
    epochs.ask(loop, 0)
    epochs.bind(0)
    epochs.seek(7, 2)
    epochs.leave(loop)

    assert epochs.position() == (7, 2)


def test_position_is_the_number_of_delivered_batches_if_counted():
    epochs = EpochPass(5)
    epochs.seek(1, 2)
    epochs.begin()
    for index in range(3):  # Keras prefetches to the end
        epochs.bind(index)
    assert epochs.position() == (2, 0)
    assert epochs.position(1) == (1, 3)  # the first batch after the resumed position
    epochs.delivered = 4
    assert epochs.position() == (1, 4)
    epochs.delivered = 5
    assert epochs.position() == (2, 0)
    epochs.seek(0, 1)
    assert epochs.position() == (0, 1)


@pytest.mark.timeout(300)
def test_threads_bind_each_position_once():
    epochs, start, given = EpochPass(4000), threading.Barrier(4), []
    epochs.begin()

    def work(number):
        start.wait()
        given.extend(epochs.bind(index)[:2] for index in range(number, 4000, 4))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(given) == planned(4000, 0)


def test_pickle_within_a_pass():
    epochs = EpochPass(4)
    epochs.begin()
    first = epochs.bind(3)
    again = pickle.loads(pickle.dumps(epochs))

    assert again.bind(3) == first
    assert [again.bind(index)[1] for index in (1, 0, 2)] == [epochs.bind(index)[1] for index in (1, 0, 2)]
    again.end()
    assert (again.number, epochs.number) == (1, 0)


class RecordingPass(EpochPass):
    """Records every batch that is bound as served, as a Sequence does when it hands the batch out."""

    def bind(self, index):
        number, position, within_epoch = super().bind(index)
        if within_epoch:
            self.record_served(number, position)
        return number, position, within_epoch


def served(epochs):
    number, positions = epochs.last_served()
    return [(number, position) for position in positions.tolist()]


def test_last_served_is_what_the_last_call_was_given_after_any_call(backend):
    keras = FakeKeras(RecordingPass(6), **backend)
    calls = [
        lambda: keras.fit(num_epochs=2)[-1],
        lambda: keras.fit(num_epochs=1, steps_per_epoch=2) and None,  # a pass that stays open
        keras.predict,
        keras.evaluate,
        lambda: keras.fit(num_epochs=2, stop_after=(1, 3)) and None,
        keras.predict,
        lambda: keras.fit(num_epochs=1, steps_per_epoch=4) and None,
        keras.evaluate,
    ]
    for call in calls:
        given = call()
        if given is not None:
            assert served(keras.epochs) == given


def test_build_step_is_not_served():
    epochs = RecordingPass(5)
    keras = FakeKeras(epochs)
    keras.num_batches()
    keras.build(shuffle=True)
    keras.reset()

    assert served(epochs) == []


def test_seek_and_copies_forget_what_was_served():
    epochs = RecordingPass(3)
    FakeKeras(epochs).predict()
    assert len(served(epochs)) == 3

    epochs.seek(1, 0)
    assert served(epochs) == []


def test_batch_that_arrives_after_its_pass_was_abandoned_is_not_served():
    epochs = EpochPass(5)
    epochs.begin()
    number, position, _ = [epochs.bind(index) for index in range(4)][-1]
    epochs.begin()
    epochs.record_served(number, position)

    assert served(epochs) == []


CALLS = {
    "fit": lambda keras: keras.fit(num_epochs=2)[-1],
    "fit with steps": lambda keras: keras.fit(num_epochs=1, steps_per_epoch=3) and None,
    "fit that is stopped": lambda keras: keras.fit(num_epochs=2, stop_after=(1, 3)) and None,
    "evaluate": lambda keras: keras.evaluate(),
    "predict": lambda keras: keras.predict(),
}


def assert_served_after_every_call(calls, num_batches, **backend):
    keras = FakeKeras(RecordingPass(num_batches), **backend)
    for call in calls:
        given = CALLS[call](keras)
        if given is not None:
            assert served(keras.epochs) == given


calls_and_sizes = given(
    calls=st.lists(st.sampled_from([*CALLS]), max_size=12),
    num_batches=st.integers(1, 9),
    backend=st.sampled_from(list(BACKENDS.values())),
)


@calls_and_sizes
@settings(deadline=None, max_examples=60)
def test_last_served_is_what_a_whole_pass_was_given_after_any_calls(calls, num_batches, backend):
    assert_served_after_every_call(calls, num_batches, **backend)


@pytest.mark.soak
@calls_and_sizes
@settings(deadline=None, max_examples=5_000, print_blob=True)
def test_last_served_after_very_many_calls(calls, num_batches, backend):
    assert_served_after_every_call(calls, num_batches, **backend)
