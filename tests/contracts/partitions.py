"""What every Sequence promises about `partition`: disjoint parts that together are the whole."""

import functools
import itertools
import pickle
import sys

import cloudpickle
import inside_sequence as inside
import keras
import numpy as np
import pytest
from contracts.numbered import LABELS, NUM_SAMPLES, NumberedSamples
from contracts.reading import (
    TIMEOUT,
    add_noise,
    as_bytes,
    assert_rejects,
    assert_resumes_everywhere,
    read_batches,
    read_in_a_fork,
    saved,
    spawned_process,
)
from products import few_of_product

from keras_oocore.core.errors import DataError, OptionError


class PartitionContract(NumberedSamples):
    """Tests of `partition`."""

    @few_of_product(
        "n, shuffle, last_batch",
        [(1, True, "keep"), (2, "block", "drop"), (2, False, "keep"), (3, True, "drop"), (3, "block", "keep")],
        *([1, 2, 3], [True, "block", False], ["keep", "drop"]),
    )
    def test_partitions_are_disjoint_complete_and_equal_in_size(self, make, n, shuffle, last_batch):
        parts = make(batch_size=3, shuffle=shuffle, last_batch=last_batch).partition(n)
        lengths = [len(part) for part in parts]
        members = [sorted(inside.members(part)) for part in parts]

        assert len(parts) == n
        assert [len(mine) for mine in members] == [part.num_samples for part in parts]
        assert max(lengths) - min(lengths) <= 1
        assert sum(lengths) == (4 if last_batch == "keep" else 3)
        assert sorted(itertools.chain(*members)) == list(range(NUM_SAMPLES))
        for part, mine in zip(parts, members):
            epochs = [[number for batch in self.epoch_of(part) for number in batch] for _ in range(3)]
            for served in epochs:
                assert len(set(served)) == len(served) == min(len(part) * 3, part.num_samples)
                assert set(served) <= set(mine)
                assert last_batch == "drop" or sorted(served) == mine
                assert shuffle or served == mine[: len(served)]
            if part.num_samples > 2:
                assert (len(set(map(tuple, epochs))) > 1) == bool(shuffle)

    def test_there_are_at_most_as_many_partitions_as_batches(self, make):
        sequence = make(batch_size=3)
        parts = sequence.partition(np.int64(4))

        assert [(len(part), part.num_samples) for part in parts] == [(1, 3)] * 3 + [(1, 1)]
        assert sorted(number for part in parts for batch in self.epoch_of(part) for number in batch) == [*range(10)]
        for wrong in (5, 0, -1, True, 2.5, "2", None):
            message = "`n` should be a number of partitions from 1 to 4, the number of batches. Received: n="
            with pytest.raises(OptionError, match=f"{message}{wrong!r}"):
                sequence.partition(wrong)
        for whole in (parts, make().partition(1)):
            with pytest.raises(OptionError, match=r"Only a whole Sequence can be partitioned"):
                whole[0].partition(1)

    def test_seed_determines_the_members_of_a_partition(self, make):
        def members(seed):
            return [inside.members(part) for part in make(seed=seed).partition(2)]

        assert members(7) == members(7)
        assert len({str(members(seed)) for seed in range(5)}) > 1
        whole = make()
        list(whole.partition(2)[0])
        assert as_bytes(whole) == as_bytes(make())
        assert ", partition " not in repr(whole)
        assert [f", partition {k} of 3\n" in repr(part) for k, part in enumerate(make().partition(3))] == [True] * 3

    @pytest.mark.one_backend
    @pytest.mark.parametrize("shuffle", [True, False])
    def test_attributes_of_a_partition_describe_its_samples(self, make, shuffle):
        whole = make(shuffle=False, batch_size=NUM_SAMPLES)
        names, paths = whole.filenames(0), whole.file_paths or None
        same = keras.Sequential([keras.Input(inside.row_shape(whole)), keras.layers.Rescaling(1.0)])
        for part in make(shuffle=shuffle, batch_size=2).partition(2):
            for _ in range(2):
                for index in range(len(part)):
                    numbers = self.numbers(part[index][0])
                    assert part.samples_of(index).tolist() == numbers
                    assert part.filenames(index) == [names[number] for number in numbers]
                list(part)
            numbers = self.numbers(same.predict(part, verbose=0))
            if shuffle:
                numbers.sort()
            assert part.num_samples == len(numbers)
            assert part.labels.tolist() == [LABELS[number] for number in numbers]
            assert part.file_paths == ([paths[number] for number in numbers] if paths else [])
            assert part.class_names == whole.class_names
        assert all(part.labels is None for part in make(label_mode=None, labels=None).partition(2))

    def test_weights_follow_their_samples_into_a_partition(self, make):
        for part in make(sample_weight=[number / 4 for number in range(10)], batch_size=2).partition(3):
            for x, _, weight in part:
                assert (weight * 4).tolist() == self.numbers(x)
        by_label = {0: 10 / 12, 1: 10 / 9, 2: 10 / 9}  # of the whole
        for part in make(class_weight="balanced", batch_size=2).partition(3):
            for _, y, weight in part:
                np.testing.assert_allclose(weight, [by_label[label] for label in y.tolist()], rtol=1e-6)

    def test_a_partition_of_a_subset(self, make):
        training, validation = make(batch_size=2).split(validation_split=0.3)
        served = [
            sorted(number for part in subset.partition(2) for batch in self.epoch_of(part) for number in batch)
            for subset in (training, validation)
        ]

        assert [len(numbers) for numbers in served] == [7, 3]
        assert sorted(served[0] + served[1]) == list(range(NUM_SAMPLES))

    def test_transform_draws_differently_in_each_partition(self, make):
        parts = make(transform=lambda x, y, rng: (x, rng.random(2)), batch_size=2).partition(2)

        assert len({tuple(y) for part in parts for _ in range(2) for _, y in part}) == 10

    def test_a_partition_resumes_from_its_own_state_only(self, make):
        def part_of(number, n=2, **options):
            return make(**{"batch_size": 2, "transform": add_noise, **options}).partition(n)[number]

        assert_resumes_everywhere(functools.partial(part_of, 1))
        first, second, whole = saved(part_of(0)), part_of(1, shuffle=False), saved(make(batch_size=2))
        assert_rejects(part_of(1), first, DataError, "partition was '0 of 2', is '1 of 2'")
        assert_rejects(part_of(0, n=3), first, DataError, "partition was '0 of 2', is '0 of 3'")
        assert_rejects(part_of(0), whole, DataError, "num_samples was 10, is 4; partition was None, is '0 of 2'")
        assert_rejects(make(batch_size=2), first, DataError, "partition was '0 of 2', is None")
        message = "shuffle was True, is False; (.*; )?partition was '0 of 2', is '1 of 2'"
        assert_rejects(second, first, DataError, message)

    def test_closing_a_partition_leaves_the_others_open(self, make):
        whole = make(workers=2, batch_size=1)
        first, second = whole.partition(2)
        expected = as_bytes(make(workers=0, batch_size=1).partition(2)[1])
        read_batches(first, (0, 1))
        stream = iter(second)
        given = as_bytes([next(stream)])
        threads, others = inside.threads(first), inside.threads(second)
        first.close()

        assert threads
        assert not threads & others
        assert not any(thread.is_alive() for thread in threads)
        assert given + as_bytes(stream) == expected
        assert len(list(first)) == len(list(whole)) // 2

    def test_a_pickled_partition_gives_the_same_batches(self, make):
        part = make(transform=add_noise, batch_size=2, workers=2).partition(2)[1]
        stream = iter(part)
        given = as_bytes([next(stream)])
        again = pickle.loads(cloudpickle.dumps(part))

        assert saved(again) == saved(part)
        assert repr(again).split("\n")[0] == repr(part).split("\n")[0]
        assert as_bytes(read_batches(again, (0,))) == given
        given += as_bytes(stream)
        again.on_epoch_begin()
        again.on_epoch_end()
        again.load_state_dict({**saved(part), "epoch": 0})
        assert as_bytes(again) == given

    def test_a_spawned_process_reads_a_partition(self, make):
        part = make(transform=add_noise, batch_size=2).partition(2)[1]
        here = as_bytes(read_batches(part, (1, 0)))

        assert as_bytes(spawned_process().submit(read_batches, part, (1, 0)).result(timeout=TIMEOUT)) == here

    @pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
    @pytest.mark.skipif(not hasattr(sys.modules["os"], "fork"), reason="this system has no fork")
    def test_a_forked_process_reads_a_partition(self, make):
        part = make(transform=add_noise, workers=2, batch_size=1).partition(2)[1]
        read_batches(part, (0, 1))  # threads are at work ahead

        assert as_bytes(read_in_a_fork(part, (3, 4, 0))) == as_bytes(read_batches(part, (3, 4, 0)))
