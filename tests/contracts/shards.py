"""What every Sequence promises about `shard`: joined, the shards are the batches of one process."""

import itertools
import pickle

import numpy as np
import pytest
from contracts.numbered import NUM_SAMPLES, NumberedSamples
from contracts.reading import add_noise
from products import few_of_product

import keras_oocore as ko
from keras_oocore.core.errors import DataError, OptionError


class ShardContract(NumberedSamples):
    """Tests of `shard`."""

    def joined(self, shards):
        """The batches of an epoch of all shards: the numbers of the samples, by batch."""
        return [[*itertools.chain(*parts)] for parts in zip(*map(self.epoch_of, shards))]

    @few_of_product(
        "shards, shuffle",
        [((1, "keep"), "block"), ((2, "keep"), True), ((2, "keep"), "block"), ((4, "drop"), False)],
        *([(1, "keep"), (2, "keep"), (4, "drop")], [True, "block", False]),
    )
    def test_joined_shards_are_the_batches_of_one_process(self, make, shards, shuffle):
        num_shards, last_batch = shards
        whole = make(shuffle=shuffle, last_batch=last_batch)
        shards = [whole.shard(index, num_shards) for index in range(num_shards)]

        assert {len(shard) for shard in shards} == {len(whole)}
        assert {(shard.batch_size, shard.num_samples) for shard in shards} == {(4, NUM_SAMPLES)}
        for _ in range(2):
            assert self.joined(shards) == self.epoch_of(whole)

    def test_state_continues_with_another_number_of_shards(self, make):
        options = dict(last_batch="drop", workers=2)
        expected = make(**options)
        epochs = [self.epoch_of(expected) for _ in range(2)]

        shards, states, served = [make(**options).shard(index, 2) for index in range(2)], [], []
        for shard in shards:
            loop = iter(shard)
            served.append(self.numbers(next(loop)[0]))
            states.append(shard.state_dict())
            loop.close()
        assert states[0] == states[1]
        assert [*itertools.chain(*served)] == epochs[0][0]

        later = [pickle.loads(pickle.dumps(make(**options).shard(index, 4))) for index in range(4)]
        for shard in later:
            shard.load_state_dict(states[0])
        assert self.joined(later) == epochs[0][1:]
        assert self.joined(later) == epochs[1]
        whole = make(**options)
        whole.load_state_dict(states[1])
        assert self.epoch_of(whole) == epochs[0][1:]

    def test_draws_per_sample_are_those_of_one_process_and_draws_per_batch_differ(self, make):
        def batches(transform, num_shards):
            whole = make(dtype="float32", transform=transform)
            return [[x for x, _ in whole.shard(index, num_shards)] for index in range(num_shards)]

        (alone,) = batches(ko.per_sample(add_noise), 1)
        first, second = batches(ko.per_sample(add_noise), 2)
        for batch, parts in zip(alone, zip(first, second)):
            np.testing.assert_array_equal(batch, np.concatenate(parts))

        def noise(x):
            return (np.asarray(x, np.float64).ravel() % 1)[:3].tolist()

        (alone,) = batches(add_noise, 1)
        first, second = batches(add_noise, 2)
        assert len({str(noise(shard[0])) for shard in (alone, first, second)}) == 3

    def test_what_shards_cannot_have_is_an_error(self, make):
        with pytest.raises(OptionError, match=r"so 3 shards should divide it. Received: batch_size=4"):
            make().shard(0, 3)
        with pytest.raises(
            OptionError, match=r'The last batch has 2 samples, which 4 shards .*last_batch="pad" to train, .*"drop"'
        ):
            make().shard(0, 4)
        with pytest.raises(OptionError, match=r"`index` should be from 0 to 1. Received: index=2"):
            make().shard(2, 2)
        for wrong in (0, True, 1.5, None):
            with pytest.raises(OptionError, match="`num_shards` should be a number of shards, 1 or more"):
                make().shard(0, wrong)
        with pytest.raises(OptionError, match=r"each process would draw a seed of its own. Pass seed="):
            make(seed=None).shard(0, 2)
        shard = make().shard(0, 2)
        with pytest.raises(OptionError, match=r"Only a Sequence of whole batches can be sharded"):
            shard.shard(0, 2)
        with pytest.raises(OptionError, match=r"Only a whole Sequence can be split.*Received: a result of `shard`"):
            shard.split(0.5)
        with pytest.raises(DataError, match="belongs to other data"):
            shard.load_state_dict(make(batch_size=2).state_dict())

    def test_shards_of_a_partition_are_its_batches(self, make):
        part = make().partition(2)[0]

        assert self.joined([make().partition(2)[0].shard(index, 2) for index in range(2)]) == self.epoch_of(part)

    @pytest.mark.parametrize("shuffle", [True, "block"])
    def test_partitions_of_shards_are_the_shards_of_partitions(self, make, shuffle):
        parts = make(shuffle=shuffle).partition(3)
        shards = [make(shuffle=shuffle).shard(index, 2).partition(3) for index in range(2)]

        for number, part in enumerate(parts):
            pair = [shard[number] for shard in shards]
            assert {(len(one), one.num_samples, one.batch_size) for one in pair} == {(len(part), part.num_samples, 4)}
            assert pair[0].state_dict() == part.state_dict()
            for _ in range(2):
                assert self.joined(pair) == self.epoch_of(part)
        with pytest.raises(OptionError, match="Only a whole Sequence can be partitioned"):
            shards[0][0].partition(2)

    def test_repr_says_which_shard_it_is(self, make):
        text = repr(make().shard(1, 2))

        assert ", shard 1 of 2" in text
        assert "3 batches of 4" in text
        assert "y int32 (2,)" in text

    def test_on_error_skip_is_an_error(self, make):
        try:
            skipping = make(on_error="skip")
        except OptionError:
            return  # rows of an array cannot be unreadable
        with pytest.raises(OptionError, match='on_error="skip" gives the shards of a batch different sizes'):
            skipping.shard(0, 2)
