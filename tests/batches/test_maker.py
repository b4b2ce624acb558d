"""One batch: rows where they belong, labels and weights beside them, and what becomes of those that cannot be read."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_oocore.batches.loader import BatchLoader
from keras_oocore.batches.maker import BatchMaker, BatchOptions
from keras_oocore.core.errors import OptionError, SampleError
from keras_oocore.manifest.labels import Labels
from keras_oocore.ordering.epoch_order import EpochOrder, partition
from keras_oocore.ordering.window_order import WindowOrder


class Numbered:
    """Samples in memory: sample i is an array full of i, and those in `bad` cannot be read."""

    rows_per_task = 2

    def __init__(self, num_samples, bad=(), shape=(2, 3), dtype="uint8"):
        self.num_samples, self.bad = num_samples, set(bad)
        self.shape, self.dtype = shape, np.dtype(dtype)

    def __len__(self):
        return self.num_samples

    def name(self, sample):
        return f"{sample}.bin"

    def read(self, samples, out):
        failed = {}
        for row, sample in enumerate(samples.tolist()):
            out[row] = 99  # what a decoder leaves behind before it notices
            if sample in self.bad:
                failed[row] = SampleError(f"Cannot read sample {sample}: too bad.")
                failed[row].__cause__ = EOFError(sample)
            else:
                out[row] = sample
        return failed


def maker(num_samples=10, bad=(), labels="numbers", sample_weight=None, shape=(2, 3), stored="uint8", **options):
    """A BatchMaker of batches of 4 in order, whose labels are the numbers of the samples."""
    values = np.arange(num_samples) if labels == "numbers" else labels
    samples = Numbered(num_samples, bad, shape, stored)
    options = BatchOptions(**{"batch_size": 4, "shuffle": False, **options})
    return BatchMaker(samples, Labels(values, "raw"), sample_weight, options)


def make(maker, ticket=0):
    """The batch, its rows filled in two parts and the last part first."""
    job = maker.job(ticket)
    middle = job.num_rows // 2
    job.fill(middle, job.num_rows)
    job.fill(0, middle)
    (batch,) = job.finish()
    return batch


def numbers(x):
    """The sample that each row holds, every element of it."""
    rows = x.reshape(len(x), -1)
    assert (rows == rows[:, :1]).all()
    return rows[:, 0].tolist()


def test_batches_hold_their_samples_with_their_labels_and_the_last_is_shorter():
    batches = [make(maker(), ticket) for ticket in range(3)]

    assert [numbers(x) for x, _ in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [y.tolist() for _, y in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert batches[0][0].shape == (4, 2, 3)
    assert batches[0][0].dtype == np.uint8


def test_tickets_count_on_from_epoch_to_epoch():
    by_epoch = maker(shuffle=True, seed=1)

    for epoch in range(3):
        given = [make(by_epoch, ticket)[1].tolist() for ticket in range(3 * epoch, 3 * epoch + 3)]
        assert given == [by_epoch.planned(epoch, position).tolist() for position in range(3)]
        assert sorted(sample for batch in given for sample in batch) == list(range(10))


def test_the_last_batch_is_dropped_when_told_but_only_if_it_is_not_full():
    assert maker(last_batch="drop").num_batches == 2
    assert maker(last_batch="keep").num_batches == 3
    assert maker(num_samples=8, last_batch="drop").num_batches == 2
    assert maker(num_samples=3, last_batch="drop").num_batches == 0
    assert [len(make(maker(last_batch="drop"), ticket)[1]) for ticket in range(4)] == [4, 4, 4, 4]


def test_without_labels_a_batch_is_its_samples_alone():
    x = make(maker(labels=None), 1)

    assert numbers(x) == [4, 5, 6, 7]


def test_weights_follow_their_samples():
    weighted = maker(sample_weight=np.arange(10, dtype="float32") / 10, shuffle=True, seed=2)

    x, y, weight = make(weighted, 1)

    assert (weight * 10).round().astype(int).tolist() == y.tolist() == numbers(x)


@pytest.mark.parametrize(
    ("options", "dtype", "first"),
    [
        (dict(), "uint8", 5),
        (dict(dtype="float32"), "float32", 5),
        (dict(dtype=np.float16), "float16", 5),
        (dict(rescale=0.5), "float32", 2.5),
        (dict(rescale=0.5, dtype="float64"), "float64", 2.5),
        (dict(rescale=2, dtype="int32"), "int32", 10),
    ],
)
def test_rescale_and_dtype(options, dtype, first):
    x, _ = make(maker(**options, num_samples=12), 1)

    assert x.dtype == dtype
    assert x[1].tolist() == [[first] * 3] * 2
    assert maker(**options).batch_bytes == 4 * 6 * np.dtype(dtype).itemsize


def test_rescale_keeps_the_precision_of_the_dtype():
    x, _ = make(maker(stored="float64", dtype="float64", rescale=1 / 255))

    assert x[3, 0, 0] == 3 * (1 / 255)


def test_channels_come_first_when_told():
    class Channels(Numbered):
        def read(self, samples, out):
            out[:] = samples[:, None, None, None] * 10 + np.arange(3)
            return {}

    options = BatchOptions(batch_size=4, shuffle=False, data_format="channels_first")
    first = BatchMaker(Channels(10, shape=(5, 6, 3)), Labels(None, None), None, options)
    x = make(first, 1)

    assert x.shape == (4, 3, 5, 6)
    assert first.shape == (3, 5, 6)
    assert x[2, :, 4, 5].tolist() == [60, 61, 62]
    assert x.flags.c_contiguous


def test_samples_that_are_single_numbers():
    x, y = make(maker(shape=()))

    assert x.tolist() == y.tolist() == [0, 1, 2, 3]


def test_a_sample_that_cannot_be_read_raises_with_its_name_its_cause_and_what_to_do():
    with pytest.raises(
        SampleError, match=r'sample 2: too bad\. Fix or remove it, or pass on_error="skip" or "repl'
    ) as e:
        make(maker(bad=[2, 3]))

    assert isinstance(e.value.__cause__, EOFError)
    assert numbers(make(maker(bad=[2, 3]), 1)[0]) == [4, 5, 6, 7]


def test_skip_shortens_the_batch_and_label_and_weight_with_it():
    skipping = maker(bad=[0, 2, 9], on_error="skip", sample_weight=np.arange(10, dtype="float32"))

    batches = [make(skipping, ticket) for ticket in range(3)]

    for x, y, weight in batches:
        assert numbers(x) == y.tolist() == weight.tolist()
    assert [y.tolist() for _, y, _ in batches] == [[1, 3], [4, 5, 6, 7], [8]]
    assert {sample: str(error) for sample, error in skipping.bad_samples.items()} == {
        sample: f"Cannot read sample {sample}: too bad." for sample in (0, 2, 9)
    }


def test_skip_of_a_whole_batch_raises():
    skipping = maker(bad=[4, 5, 6, 7], on_error="skip")

    with pytest.raises(SampleError, match=r"None of the 4 samples of a batch can be read. First: .* sample 4: too bad"):
        make(skipping, 1)
    assert numbers(make(skipping, 0)[0]) == [0, 1, 2, 3]


def test_replace_takes_the_next_readable_sample_of_the_plan_with_its_label_and_weight():
    replacing = maker(bad=[1, 3, 4], on_error="replace", sample_weight=np.arange(10, dtype="float32"))

    x, y, weight = make(replacing, 0)

    assert numbers(x) == y.tolist() == weight.tolist() == [0, 2, 2, 5]
    assert sorted(replacing.bad_samples) == [1, 3, 4]
    assert replacing.planned(0, 0).tolist() == [0, 1, 2, 3]


def test_replace_wraps_around_at_the_end_of_the_plan():
    x, y = make(maker(bad=[9, 0, 1], on_error="replace"), 2)

    assert numbers(x) == y.tolist() == [8, 2]


def test_replace_follows_the_plan_of_the_epoch_not_the_order_on_disk():
    replacing = maker(bad=[7], on_error="replace", shuffle=True, seed=3)
    for epoch in range(4):
        order = replacing.order.samples(epoch, 0, 10).tolist()
        place = order.index(7)
        _, y = make(replacing, 3 * epoch + place // 4)
        assert y[place % 4] == order[(place + 1) % 10]


def test_replace_can_take_what_last_batch_drops():
    x, _ = make(maker(num_samples=9, bad=[7], on_error="replace", last_batch="drop"), 1)

    assert numbers(x) == [4, 5, 6, 8]


def test_replace_raises_when_nothing_can_be_read():
    with pytest.raises(SampleError, match=r"No sample can be read. First: Cannot read sample 0: too bad"):
        make(maker(num_samples=4, bad=range(4), on_error="replace"))


def test_replace_converts_as_any_row():
    x, y = make(maker(bad=[1], on_error="replace", rescale=0.5))

    assert numbers(x) == (y * 0.5).tolist() == [0, 1, 1, 1.5]


@given(bad=st.sets(st.integers(0, 12), max_size=12), seed=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_replace_never_serves_a_bad_sample_and_never_moves_a_good_one(bad, seed):
    replacing = maker(num_samples=13, bad=bad, on_error="replace", shuffle=True, seed=seed)
    for ticket in range(replacing.num_batches):
        x, y = make(replacing, ticket)
        planned = replacing.planned(0, ticket)
        assert numbers(x) == y.tolist()
        assert not bad & set(y.tolist())
        readable = ~np.isin(planned, list(bad))
        assert (y[readable] == planned[readable]).all()


@pytest.mark.parametrize("on_error", ["skip", "replace"])
def test_the_same_bytes_for_any_number_of_workers(on_error):
    def noisy(x, y, rng):
        return x + rng.random(x.shape), y

    def batches(num_workers):
        made = maker(num_samples=30, bad=[3, 4, 17], on_error=on_error, shuffle=True, rescale=0.1, transform=noisy)
        with BatchLoader(made.job, num_workers, max_ahead=4) as loader:
            return [[part.tobytes() for part in loader.get(ticket)[0]] for ticket in range(20)]

    assert batches(0) == batches(1) == batches(4)


def test_transform_is_given_the_batch_and_a_generator_keyed_by_seed_epoch_and_batch():
    def draws(seed, ticket):
        seen = []
        made = maker(seed=seed, rescale=0.5, transform=lambda x, y, rng: (seen.append((x, y, rng.random())), (x, y))[1])
        make(made, ticket)
        ((x, y, drawn),) = seen
        assert x.dtype == np.float32
        assert x[:, 0, 0].tolist() == (y * 0.5).tolist()
        return drawn

    drawn = {(seed, ticket): draws(seed, ticket) for seed in range(4) for ticket in range(7)}

    assert len(set(drawn.values())) == 28
    assert all(draws(seed, ticket) == value for (seed, ticket), value in drawn.items())


def test_transform_runs_once_bad_samples_are_gone_and_without_labels_gets_none():
    seen = []

    def transform(x, y, rng):
        seen.append((numbers(x), y))
        return {"image": x}, y

    x = make(maker(labels=None, bad=[2], on_error="skip", transform=transform))

    assert seen == [([0, 1, 3], None)]
    assert numbers(x["image"]) == [0, 1, 3]


@pytest.mark.parametrize(
    ("result", "received"),
    [(None, "NoneType"), (np.zeros(4), "ndarray"), ((1,), "tuple of 1"), ((1, 2, 3), "tuple of 3"), ([1, 2], "list")],
)
def test_what_transform_returns_is_checked(result, received):
    with pytest.raises(OptionError, match=rf"should return a tuple \(x, y\). Received: {received}$"):
        make(maker(transform=lambda x, y, rng: result))


def test_a_batch_gives_its_buffer_back_when_its_last_view_is_gone():
    made = maker()
    made.pool.keep = 5
    x, _ = make(made)
    row = x[0]
    del x
    assert made.pool.num_idle == 0
    del row
    assert made.pool.num_idle == 1


def test_a_job_that_is_finished_or_skips_keeps_no_buffer():
    made = maker(bad=[1], on_error="skip")
    made.pool.keep = 5
    job = made.job(0)
    job.fill(0, 4)
    ((x, _),) = job.finish()

    assert made.pool.num_idle == 1
    assert numbers(x) == [0, 2, 3]


def test_a_maker_pickles_and_makes_the_same_batches():
    made = maker(bad=[2], on_error="skip", shuffle=True, seed=4)
    made.pool.keep = 3
    make(made, 1)
    again = pickle.loads(pickle.dumps(made))

    assert [part.tobytes() for part in make(again, 5)] == [part.tobytes() for part in make(made, 5)]
    assert again.pool.keep == 3


def parts(whole, num_parts):
    """Makers of disjoint parts of the samples."""
    bounds = partition(whole.order.num_samples, whole.options.batch_size, num_parts)
    return [whole.of_order(whole.order.part(*places)) for places in bounds]


def test_makers_of_parts_serve_every_sample_once_with_its_label_and_weight():
    whole = maker(num_samples=42, shuffle=True, seed=3, sample_weight=np.arange(42, dtype="float32"))
    made = parts(whole, 3)

    assert [part.num_batches for part in made] == [3, 4, 4]
    for epoch in range(2):
        served = []
        for part in made:
            for position in range(part.num_batches):
                x, y, weight = make(part, epoch * part.num_batches + position)
                assert numbers(x) == y.tolist() == weight.tolist() == part.planned(epoch, position).tolist()
                served += y.tolist()
        assert sorted(served) == list(range(42))


def test_the_last_batch_of_a_part_is_dropped_when_told():
    whole = maker(num_samples=42, last_batch="drop")

    assert [part.num_batches for part in parts(whole, 3)] == [3, 4, 3]
    assert whole.of_order(whole.order.part(40, 42)).num_batches == 0


def test_several_batches_of_a_part_in_one_job_end_with_the_part():
    part = parts(maker(num_samples=42), 3)[1]
    part.make_together(3)
    jobs = [part.job(number) for number in range(4)]
    for job in jobs:
        job.fill(0, job.num_rows)
    served = [[y.tolist() for _, y in job.finish()] for job in jobs]

    first, last = [[12, 13, 14, 15], [16, 17, 18, 19], [20, 21, 22, 23]], [[24, 25, 26, 27]]
    assert served == [first, last, first, last]


def test_a_maker_of_another_order_shares_what_is_read_and_nothing_that_changes():
    whole = maker(bad=[0, 9], on_error="skip")
    whole.pool.keep = 3
    part = whole.of_order(whole.order.part(4, 10))

    assert [part.samples, part.labels, part.options] == [whole.samples, whole.labels, whole.options]
    assert part.pool is not whole.pool
    make(part, 1)
    assert (list(part.bad_samples), list(whole.bad_samples)) == ([9], [])


def test_replace_stays_within_the_part():
    part = maker(bad=[7, 6], on_error="replace").of_order(EpochOrder(10, False, 0).part(4, 8))

    assert numbers(make(part)[0]) == [4, 5, 4, 4]
    only_bad = maker(bad=[4, 5], on_error="replace").of_order(EpochOrder(10, False, 0).part(4, 6))
    with pytest.raises(SampleError, match=r"No sample can be read. First: Cannot read sample 4: too bad"):
        make(only_bad)


@given(bad=st.sets(st.integers(0, 19), max_size=8), seed=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_replace_never_takes_another_parts_sample(bad, seed):
    for part in parts(maker(num_samples=20, bad=bad, on_error="replace", shuffle=True, seed=seed), 2):
        members = set(part.order.members().tolist())
        for ticket in range(part.num_batches if members - bad else 0):
            x, y = make(part, ticket)
            assert numbers(x) == y.tolist()
            assert set(y.tolist()) <= members - bad


def test_no_two_parts_draw_the_same_for_transform_and_a_part_of_all_draws_what_the_whole_does():
    drawn = []
    whole = maker(num_samples=42, seed=1, transform=lambda x, y, rng: (drawn.append(rng.random()), (x, y))[1])

    for made in (whole, *parts(whole, 3), *parts(whole, 1)):
        for ticket in range(made.num_batches):
            make(made, ticket)

    assert drawn[:11] == drawn[11:22] == drawn[22:]
    assert len(set(drawn)) == 11


class Chunked(Numbered):
    """Samples that lie in chunks, and can be read once their chunk was prepared."""

    def __init__(self, sizes):
        super().__init__(sum(sizes))
        self.prepared, self.starts = [], np.cumsum(sizes)

    def prepare(self, chunks):
        self.prepared += chunks

    def read(self, samples, out):
        assert set(np.searchsorted(self.starts, samples, side="right").tolist()) <= set(self.prepared)
        return super().read(samples, out)


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_part_of_chunks_prepares_its_own_chunks_before_they_are_read(shuffle):
    sizes = (5, 0, 7, 4, 6, 3)
    order, served = WindowOrder(sizes, 2, 1, shuffle), []
    for places in partition(25, 4, 3):
        samples = Chunked(sizes)
        part = BatchMaker(samples, Labels(np.arange(25), "raw"), None, BatchOptions(batch_size=4), order.part(*places))
        for ticket in range(part.num_batches):
            job = part.job(ticket)
            job.fill(0, job.num_rows)
            ((x, y),) = job.finish()
            job.prefetch_next()
            assert numbers(x) == y.tolist()
            served += y.tolist()
        chunks = np.searchsorted(samples.starts, part.order.members(), side="right")
        assert set(samples.prepared) == set(chunks.tolist())
    assert sorted(served) == list(range(25))


@pytest.mark.parametrize(
    "order", [EpochOrder(10, True, 1), WindowOrder((4, 6), 1, 1), EpochOrder(10, True, 1).part(4, 8)]
)
def test_a_maker_that_is_reseeded_is_one_that_was_made_with_that_seed(order):
    def noisy(x, y, rng):
        return x + rng.random(x.shape), y

    made = maker(seed=1, transform=noisy, seed_is_drawn=True).of_order(order)
    other = maker(seed=2, transform=noisy).of_order(order.reseeded(2))
    made.samples.prepare = other.samples.prepare = lambda chunks: None
    before = make(made)

    made.reseed(2)

    assert (made.options.seed, made.options.seed_is_drawn, made.order.seed) == (2, True, 2)
    assert [part.tobytes() for part in make(made)] == [part.tobytes() for part in make(other)]
    assert [part.tobytes() for part in make(made)] != [part.tobytes() for part in before]


def test_a_bad_seed_changes_nothing():
    made = maker(shuffle=True, seed=1)
    with pytest.raises(OptionError, match="`seed` should be a non-negative integer"):
        made.reseed(-1)
    assert (made.options.seed, made.order.seed) == (1, 1)


def test_somebody_asked_for_the_seed_unless_it_is_said():
    assert not BatchOptions(seed=3).seed_is_drawn


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("batch_size", 0, r"`batch_size` should be a positive integer. Received: batch_size=0"),
        ("batch_size", -3, r"Received: batch_size=-3"),
        ("batch_size", 2.0, r"Received: batch_size=2.0"),
        ("batch_size", True, r"Received: batch_size=True"),
        ("batch_size", "8", r"Received: batch_size='8'"),
        (
            "on_error",
            "ignore",
            r"`on_error` should be one of \('raise', 'skip', 'replace'\). Received: on_error='ignore'",
        ),
        ("last_batch", "pad", r"`last_batch` should be one of \('keep', 'drop'\). Received: last_batch='pad'"),
        ("data_format", "NHWC", r"`data_format` should be one of \('channels_last', 'channels_first'\)"),
        ("transform", "flip", r"`transform` should be a function. Received: transform='flip'"),
        ("dtype", "float33", r"`dtype` should be one that numpy has. Received: dtype='float33'"),
        ("dtype", "object", r"`dtype` should be .*Received: dtype='object'"),
        ("dtype", "str", r"`dtype` should be .*Received: dtype='str'"),
        ("rescale", "1/255", r"`rescale` should be a number. Received: rescale='1/255'"),
        ("rescale", [1, 2], r"`rescale` should be a number. Received: rescale=\[1, 2\]"),
        ("seed", -1, r"`seed` should be a non-negative integer or None. Received: seed=-1"),
        ("shuffle", "yes", r"`shuffle` should be True, False or"),
    ],
)
def test_bad_options_are_refused_before_any_data_is_read(option, value, message):
    with pytest.raises(OptionError, match=message):
        maker(**{option: value})
