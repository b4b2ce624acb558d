"""BatchMaker and BatchJob: rows, labels and weights of batches, and how unreadable samples are handled."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_oocore.batches.loader import BatchLoader
from keras_oocore.batches.maker import BatchMaker
from keras_oocore.batches.options import BatchOptions
from keras_oocore.core.errors import OptionError, SampleError
from keras_oocore.manifest.labels import Labels
from keras_oocore.ordering.epoch_order import EpochOrder, partition
from keras_oocore.ordering.window_order import WindowOrder
from keras_oocore.sources.base import RowSpec, Source
from keras_oocore.sources.labelled import Labelled


class Numbered(Source):
    """Samples in memory. Every element of sample i is i, and samples in `bad` cannot be read."""

    rows_per_task = 2

    def __init__(self, num_samples, bad=(), shape=(2, 3), dtype="uint8"):
        self.num_samples, self.bad = num_samples, set(bad)
        self.spec = RowSpec(shape, np.dtype(dtype))

    def __len__(self):
        return self.num_samples

    def name(self, sample):
        return f"{sample}.bin"

    def fingerprint(self):
        return {"samples": self.num_samples}

    def read(self, samples, out):
        failed = {}
        for row, sample in enumerate(samples.tolist()):
            out[row] = 99  # a decoder may write before it raises
            if sample in self.bad:
                failed[row] = SampleError(f"Cannot read sample {sample}: too bad.")
                failed[row].__cause__ = EOFError(sample)
            else:
                out[row] = sample
        return failed


def maker(
    num_samples=10,
    bad=(),
    labels="numbers",
    sample_weight=None,
    shape=(2, 3),
    stored="uint8",
    keep_buffers=0,
    order=None,
    source=None,
    **options,
):
    """A BatchMaker of batches of 4 in order. Labels are the numbers of the samples."""
    values = np.arange(num_samples) if labels == "numbers" else labels
    source = Labelled(source or Numbered(num_samples, bad, shape, stored), Labels(values, "raw"), sample_weight)
    options = BatchOptions(**{"batch_size": 4, "shuffle": False, **options})
    order = order or source.order(options.shuffle, options.seed, options.batch_size)
    return BatchMaker(source, order, options, keep_buffers=keep_buffers)


def of_order(whole, order, **options):
    """A BatchMaker of the same samples in another order."""
    return BatchMaker(whole.source, order, whole.options, **options)


def make(maker, ticket=0):
    """The batch of a job. Its rows are filled in two parts, the last part first."""
    job = maker.job(ticket)
    middle = job.num_rows // 2
    job.fill(middle, job.num_rows)
    job.fill(0, middle)
    (batch,) = job.finish()
    return batch


def numbers(x):
    """The number of the sample in each row, checked in every element."""
    rows = x.reshape(len(x), -1)
    assert (rows == rows[:, :1]).all()
    return rows[:, 0].tolist()


def test_batches_contain_their_samples_and_labels_and_the_last_is_shorter():
    batches = [make(maker(), ticket) for ticket in range(3)]

    assert [numbers(x) for x, _ in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [y.tolist() for _, y in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert batches[0][0].shape == (4, 2, 3)
    assert batches[0][0].dtype == np.uint8


def test_job_numbers_continue_from_epoch_to_epoch():
    by_epoch = maker(shuffle=True, seed=1)

    for epoch in range(3):
        given = [make(by_epoch, ticket)[1].tolist() for ticket in range(3 * epoch, 3 * epoch + 3)]
        assert given == [by_epoch.planned(epoch, position).tolist() for position in range(3)]
        assert sorted(sample for batch in given for sample in batch) == list(range(10))


def test_last_batch_drop_drops_only_a_batch_that_is_not_full():
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
    assert maker(**options).format.batch_bytes == 4 * 6 * np.dtype(dtype).itemsize


def test_rescale_keeps_the_precision_of_the_dtype():
    x, _ = make(maker(stored="float64", dtype="float64", rescale=1 / 255))

    assert x[3, 0, 0] == 3 * (1 / 255)


def test_data_format_channels_first():
    class Channels(Numbered):
        def read(self, samples, out):
            out[:] = samples[:, None, None, None] * 10 + np.arange(3)
            return {}

    first = maker(labels=None, source=Channels(10, shape=(5, 6, 3)), data_format="channels_first")
    x = make(first, 1)

    assert x.shape == (4, 3, 5, 6)
    assert first.format.shape == (3, 5, 6)
    assert x[2, :, 4, 5].tolist() == [60, 61, 62]
    assert x.flags.c_contiguous


def test_samples_that_are_single_numbers():
    x, y = make(maker(shape=()))

    assert x.tolist() == y.tolist() == [0, 1, 2, 3]


def test_on_error_raise_names_the_sample_its_cause_and_the_remedy():
    with pytest.raises(
        SampleError, match=r'sample 2: too bad\. Fix or remove it, or pass on_error="skip" or "repl'
    ) as e:
        make(maker(bad=[2, 3]))

    assert isinstance(e.value.__cause__, EOFError)
    assert numbers(make(maker(bad=[2, 3]), 1)[0]) == [4, 5, 6, 7]


def test_on_error_skip_shortens_batch_labels_and_weights():
    skipping = maker(bad=[0, 2, 9], on_error="skip", sample_weight=np.arange(10, dtype="float32"))

    batches = [make(skipping, ticket) for ticket in range(3)]

    for x, y, weight in batches:
        assert numbers(x) == y.tolist() == weight.tolist()
    assert [y.tolist() for _, y, _ in batches] == [[1, 3], [4, 5, 6, 7], [8]]
    assert {sample: str(error) for sample, error in skipping.bad_samples.items()} == {
        sample: f"Cannot read sample {sample}: too bad." for sample in (0, 2, 9)
    }


def test_on_error_skip_of_a_whole_batch_raises():
    skipping = maker(bad=[4, 5, 6, 7], on_error="skip")

    with pytest.raises(
        SampleError, match=r"None of the 4 samples of a batch can be read. The first error: .* sample 4: too bad"
    ):
        make(skipping, 1)
    assert numbers(make(skipping, 0)[0]) == [0, 1, 2, 3]


def test_on_error_replace_uses_the_next_readable_sample_with_label_and_weight():
    replacing = maker(bad=[1, 3, 4], on_error="replace", sample_weight=np.arange(10, dtype="float32"))

    x, y, weight = make(replacing, 0)

    assert numbers(x) == y.tolist() == weight.tolist() == [0, 2, 2, 5]
    assert sorted(replacing.bad_samples) == [1, 3, 4]
    assert replacing.planned(0, 0).tolist() == [0, 1, 2, 3]


def test_on_error_replace_wraps_around_at_the_end_of_the_epoch():
    x, y = make(maker(bad=[9, 0, 1], on_error="replace"), 2)

    assert numbers(x) == y.tolist() == [8, 2]


def test_on_error_replace_follows_the_order_of_the_epoch():
    replacing = maker(bad=[7], on_error="replace", shuffle=True, seed=3)
    for epoch in range(4):
        order = replacing.order.samples(epoch, 0, 10).tolist()
        position = order.index(7)
        _, y = make(replacing, 3 * epoch + position // 4)
        assert y[position % 4] == order[(position + 1) % 10]


def test_on_error_replace_can_use_samples_that_last_batch_drops():
    x, _ = make(maker(num_samples=9, bad=[7], on_error="replace", last_batch="drop"), 1)

    assert numbers(x) == [4, 5, 6, 8]


def test_on_error_replace_raises_if_no_sample_can_be_read():
    with pytest.raises(SampleError, match=r"No sample can be read. The first error: Cannot read sample 0: too bad"):
        make(maker(num_samples=4, bad=range(4), on_error="replace"))


def test_on_error_replace_converts_the_sample():
    x, y = make(maker(bad=[1], on_error="replace", rescale=0.5))

    assert numbers(x) == (y * 0.5).tolist() == [0, 1, 1, 1.5]


@given(bad=st.sets(st.integers(0, 12), max_size=12), seed=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_on_error_replace_keeps_good_samples_in_place(bad, seed):
    replacing = maker(num_samples=13, bad=bad, on_error="replace", shuffle=True, seed=seed)
    for ticket in range(replacing.num_batches):
        x, y = make(replacing, ticket)
        planned = replacing.planned(0, ticket)
        assert numbers(x) == y.tolist()
        assert not bad & set(y.tolist())
        readable = ~np.isin(planned, list(bad))
        assert (y[readable] == planned[readable]).all()


@pytest.mark.parametrize("on_error", ["skip", "replace"])
def test_batches_do_not_depend_on_the_number_of_workers(on_error):
    def noisy(x, y, rng):
        return x + rng.random(x.shape), y

    def batches(num_workers):
        made = maker(num_samples=30, bad=[3, 4, 17], on_error=on_error, shuffle=True, rescale=0.1, transform=noisy)
        with BatchLoader(made.job, num_workers, max_ahead=4) as loader:
            return [[part.tobytes() for part in loader.get(ticket)[0]] for ticket in range(20)]

    assert batches(0) == batches(1) == batches(4)


def test_transform_draws_by_seed_epoch_and_batch():
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


def test_transform_runs_after_bad_samples_are_skipped():
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
def test_result_of_transform_is_checked(result, received):
    with pytest.raises(OptionError, match=rf"should return a tuple \(x, y\). Received: {received}$"):
        make(maker(transform=lambda x, y, rng: result))


def test_buffer_returns_to_the_pool_with_the_last_view_of_a_batch():
    made = maker(keep_buffers=5)
    x, _ = make(made)
    row = x[0]
    del x
    assert made.pool.num_idle == 0
    del row
    assert made.pool.num_idle == 1


def test_finished_job_keeps_no_buffer():
    made = maker(bad=[1], on_error="skip", keep_buffers=5)
    job = made.job(0)
    job.fill(0, 4)
    ((x, _),) = job.finish()

    assert made.pool.num_idle == 1
    assert numbers(x) == [0, 2, 3]


def test_pickled_maker_makes_the_same_batches():
    made = maker(bad=[2], on_error="skip", shuffle=True, seed=4, keep_buffers=3)
    make(made, 1)
    again = pickle.loads(pickle.dumps(made))

    assert [part.tobytes() for part in make(again, 5)] == [part.tobytes() for part in make(made, 5)]
    assert again.pool.keep == 3


def parts(whole, num_parts):
    """Makers of disjoint parts of the samples."""
    bounds = partition(whole.order.num_samples, whole.options.batch_size, num_parts)
    return [of_order(whole, whole.order.part(*bound)) for bound in bounds]


def test_parts_serve_every_sample_once_with_label_and_weight():
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


def test_last_batch_drop_in_parts():
    whole = maker(num_samples=42, last_batch="drop")

    assert [part.num_batches for part in parts(whole, 3)] == [3, 4, 3]
    assert of_order(whole, whole.order.part(40, 42)).num_batches == 0


def test_job_of_several_batches_ends_with_the_part():
    whole = maker(num_samples=42)
    part = of_order(whole, whole.order.part(12, 28), batches_per_job=3)
    jobs = [part.job(number) for number in range(4)]
    for job in jobs:
        job.fill(0, job.num_rows)
    served = [[y.tolist() for _, y in job.finish()] for job in jobs]

    first, last = [[12, 13, 14, 15], [16, 17, 18, 19], [20, 21, 22, 23]], [[24, 25, 26, 27]]
    assert served == [first, last, first, last]


def test_makers_of_one_source_share_no_state():
    whole = maker(bad=[0, 9], on_error="skip", keep_buffers=3)
    part = of_order(whole, whole.order.part(4, 10))

    assert [part.source, part.options] == [whole.source, whole.options]
    assert part.pool is not whole.pool
    make(part, 1)
    assert (list(part.bad_samples), list(whole.bad_samples)) == ([9], [])


def test_on_error_replace_stays_within_the_part():
    part = maker(bad=[7, 6], on_error="replace", order=EpochOrder(10, False, 0).part(4, 8))

    assert numbers(make(part)[0]) == [4, 5, 4, 4]
    only_bad = maker(bad=[4, 5], on_error="replace", order=EpochOrder(10, False, 0).part(4, 6))
    with pytest.raises(SampleError, match=r"No sample can be read. The first error: Cannot read sample 4: too bad"):
        make(only_bad)


@given(bad=st.sets(st.integers(0, 19), max_size=8), seed=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_on_error_replace_uses_only_samples_of_the_part(bad, seed):
    for part in parts(maker(num_samples=20, bad=bad, on_error="replace", shuffle=True, seed=seed), 2):
        members = set(part.order.members().tolist())
        for ticket in range(part.num_batches if members - bad else 0):
            x, y = make(part, ticket)
            assert numbers(x) == y.tolist()
            assert set(y.tolist()) <= members - bad


def test_transform_draws_differently_in_each_part():
    drawn = []
    whole = maker(num_samples=42, seed=1, transform=lambda x, y, rng: (drawn.append(rng.random()), (x, y))[1])

    for made in (whole, *parts(whole, 3), *parts(whole, 1)):
        for ticket in range(made.num_batches):
            make(made, ticket)

    assert drawn[:11] == drawn[11:22] == drawn[22:]
    assert len(set(drawn)) == 11


class Chunked(Numbered):
    """Samples in chunks. A sample can be read after its chunk was prefetched."""

    def __init__(self, sizes):
        super().__init__(sum(sizes))
        self.prefetched, self.starts = [], np.cumsum(sizes)

    def prefetch(self, chunks):
        self.prefetched += chunks

    def read(self, samples, out):
        assert set(np.searchsorted(self.starts, samples, side="right").tolist()) <= set(self.prefetched)
        return super().read(samples, out)


@pytest.mark.parametrize("shuffle", [True, False])
def test_chunks_are_prefetched_before_they_are_read(shuffle):
    sizes = (5, 0, 7, 4, 6, 3)
    order, served = WindowOrder(sizes, 2, 1, shuffle), []
    for bound in partition(25, 4, 3):
        samples = Chunked(sizes)
        part = maker(25, source=samples, order=order.part(*bound))
        for ticket in range(part.num_batches):
            job = part.job(ticket)
            job.fill(0, job.num_rows)
            ((x, y),) = job.finish()
            job.prefetch_next()
            assert numbers(x) == y.tolist()
            served += y.tolist()
        chunks = np.searchsorted(samples.starts, part.order.members(), side="right")
        assert set(samples.prefetched) == set(chunks.tolist())
    assert sorted(served) == list(range(25))
