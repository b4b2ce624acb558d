"""One batch: rows where they belong, labels and weights beside them, and what becomes of those that cannot be read."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_oocore.batch_loader import BatchLoader
from keras_oocore.batch_maker import BatchMaker, BatchOptions
from keras_oocore.errors import OptionError, SampleError
from keras_oocore.labels import Labels


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
        SampleError, match=r'sample 2: too bad\. Mend or remove it, or pass on_error="skip" or "repl'
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
