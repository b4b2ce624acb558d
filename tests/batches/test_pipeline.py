"""Pipeline: batches ahead of time, and pipelines of another order or seed."""

import pickle
import threading

import numpy as np
import pytest
from loader_jobs import in_thread, wait_for_batches_ahead

from keras_oocore.batches import job
from keras_oocore.batches.budget import Budget
from keras_oocore.batches.options import BatchOptions
from keras_oocore.batches.per_sample import per_sample
from keras_oocore.batches.pipeline import Pipeline
from keras_oocore.core.errors import OptionError
from keras_oocore.ordering.window_order import WindowOrder
from keras_oocore.sources.arrays import ArrayRows

NUM_SAMPLES = 10


class Single(ArrayRows):
    """Rows of which one job makes one batch."""

    groups_batches = False


def pipeline(order=None, source=None, workers=2, **options):
    source = source or ArrayRows(np.arange(NUM_SAMPLES))
    options = BatchOptions(**{"batch_size": 4, "seed": 1, "seed_is_drawn": True, **options})
    order = order or source.order(options.shuffle, options.seed, options.batch_size)
    return Pipeline(source, order, options, Budget(workers, max_ahead=30))


def batches(made, epochs=2):
    return [made.get(epoch, position).tolist() for epoch in range(epochs) for position in range(made.maker.num_batches)]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("source", [ArrayRows, Single])
def test_batches_do_not_depend_on_workers_or_grouping(workers, source):
    made = pipeline(source=source(np.arange(NUM_SAMPLES)), workers=workers, batch_size=1)

    assert (made.maker.batches_per_job > 1) == (source is ArrayRows and workers > 0)
    assert batches(made) == batches(pipeline(batch_size=1))
    assert made.get(0, 3).tolist() == made.load(0, 3).tolist() == pipeline(batch_size=1).load(0, 3).tolist()
    made.close()
    assert batches(made) == batches(pipeline(batch_size=1))


@pytest.mark.parametrize("part", [None, (4, 8)])
@pytest.mark.parametrize("window", [False, True])
def test_with_seed_equals_a_pipeline_made_with_that_seed(window, part):
    def noisy(x, y, rng):
        return x + rng.random(x.shape), y

    made = pipeline(transform=noisy)
    order = WindowOrder((4, 6), 1, 1) if window else made.order
    order = order if part is None else order.part(*part)
    first, other = made.with_order(order), pipeline(order.reseeded(2), transform=noisy, seed=2)
    before = batches(first)
    again = first.with_seed(2)

    assert (again.options.seed, again.options.seed_is_drawn, again.order.seed) == (2, True, 2)
    assert batches(again) == batches(other) != before
    assert batches(first) == before  # a pipeline never changes


def test_invalid_seed_is_an_error():
    with pytest.raises(OptionError, match="`seed` should be a non-negative integer"):
        pipeline().with_seed(-1)


def test_pickled_pipeline_makes_the_same_batches():
    made = pipeline()
    assert batches(pickle.loads(pickle.dumps(made))) == batches(made)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("source", [ArrayRows, Single])
def test_an_error_drops_the_batches_made_ahead(workers, source):
    """Two batches raise an error, and the user fixes the reason. No other error comes from a batch made before."""
    broken = [5, 7]

    def transform(x, y, rng):
        if x[0] in broken:
            raise ValueError(f"row {x[0]} is broken")
        return x, y

    made = pipeline(source=source(np.arange(NUM_SAMPLES)), workers=workers, batch_size=1, transform=transform)
    order = [int(made.maker.planned(0, position)[0]) for position in range(NUM_SAMPLES)]
    first = min(order.index(5), order.index(7))
    for position in range(first):
        assert made.get(0, position).tolist() == [order[position]]
    wait_for_batches_ahead(made.loader)
    with pytest.raises(ValueError, match=f"row {order[first]} is broken"):
        made.get(0, first)
    broken.clear()
    assert [int(made.get(0, position)[0]) for position in range(first, NUM_SAMPLES)] == order[first:]
    assert sorted(int(made.get(1, position)[0]) for position in range(NUM_SAMPLES)) == list(range(NUM_SAMPLES))


@pytest.mark.parametrize("of_samples", [False, True])
def test_close_waits_for_one_call_of_a_slow_transform(of_samples):
    """A job of small batches calls it many times, and so does a job of one batch with `per_sample`."""
    started, may_end, calls = threading.Event(), threading.Event(), []

    def slow(x, y, rng):
        calls.append(threading.current_thread())
        started.set()
        assert may_end.wait(30)
        return x, y

    source = Single if of_samples else ArrayRows
    transform = per_sample(slow) if of_samples else slow
    size = NUM_SAMPLES if of_samples else 1
    made = pipeline(source=source(np.arange(NUM_SAMPLES)), workers=1, batch_size=size, transform=transform)
    reading, first = in_thread(made.get, 0, 0)
    assert started.wait(30)
    (thread,) = made.loader.abandon()
    made.loader.num_workers = 0  # the thread that reads makes its batch itself, after this one
    may_end.set()
    thread.wait()
    reading.join(30)

    assert calls.count(thread) == 1
    assert [batch.tolist() for batch in first] == [pipeline(batch_size=size).get(0, 0).tolist()]


def test_the_first_batch_waits_for_few_calls_of_a_transform():
    calls, go_on = [], threading.Event()

    def transform(x, y, rng):
        calls.append(x.tolist())
        if len(calls) > 8:
            go_on.wait()
        return x, y

    source, options = ArrayRows(np.arange(1000)), BatchOptions(1, transform=transform)
    made = Pipeline(source, source.order(False, 1, 1), options, Budget(1, max_ahead=500))
    try:
        assert made.get(0, 0).tolist() == [0]
    finally:
        go_on.set()
        made.close()


def test_at_exit_only_batches_that_are_asked_for_are_made(monkeypatch):
    calls = []

    def transform(x, y, rng):
        calls.append(x.tolist())
        return x, y

    expected = batches(pipeline(batch_size=1), epochs=1)
    made = pipeline(batch_size=1, transform=transform)
    monkeypatch.setattr(job, "is_exiting", lambda: True)
    made.loader.num_workers = 0

    assert made.maker.batches_per_job > 1
    assert [made.get(0, position).tolist() for position in (0, 1, 2)] == expected[:3] == calls
