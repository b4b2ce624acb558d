"""What every Sequence with labels promises about `sampling`."""

import itertools
import pickle

import numpy as np
from contracts.numbered import NUM_SAMPLES, NumberedSamples

import keras_oocore as ko


class SamplingContract(NumberedSamples):
    """Tests of `sampling` and `samples_per_epoch`."""

    weights = np.where(np.arange(NUM_SAMPLES) % 3 == 0, 4.0, 1.0)

    def test_samples_are_drawn_by_weight_alike_for_any_workers_and_batch_size(self, make):
        options = dict(sampling=self.weights, samples_per_epoch=40)
        whole = make(workers=0, **options)
        epochs = [self.epoch_of(whole) for _ in range(2)]

        for numbers in epochs:
            drawn = np.bincount([*itertools.chain(*numbers)], minlength=NUM_SAMPLES)
            assert drawn.sum() == whole.num_samples == 40
            assert (np.abs(drawn - 40 * self.weights / self.weights.sum()) < 1).all()
        assert epochs[0] != epochs[1]
        assert self.epoch_of(make(workers=3, **options)) == epochs[0]
        other = self.epoch_of(make(batch_size=7, **options))
        assert [*itertools.chain(*other)] == [*itertools.chain(*epochs[0])]

    def test_a_state_continues_in_the_middle_and_shards_have_the_same_draws(self, make):
        options = dict(sampling=self.weights, samples_per_epoch=24)
        whole = make(**options)
        epochs = [self.epoch_of(whole) for _ in range(2)]
        begun = make(**options)
        loop = iter(begun)
        next(loop)
        state = begun.state_dict()
        loop.close()

        later = pickle.loads(pickle.dumps(make(**options)))
        later.load_state_dict(state)
        assert [self.epoch_of(later), self.epoch_of(later)] == [epochs[0][1:], epochs[1]]
        shards = [make(**options).shard(index, 2) for index in range(2)]
        joined = [[*itertools.chain(*parts)] for parts in zip(*map(self.epoch_of, shards))]
        assert joined == epochs[0]

    def test_draws_of_one_sample_are_transformed_differently(self, make):
        @ko.per_sample
        def draw(x, y, rng):
            return np.float64(rng.random()), y

        weights = np.zeros(NUM_SAMPLES)
        weights[3] = 1
        options = dict(sampling=weights, transform=draw)
        values = [np.concatenate([x for x, _ in make(batch_size=size, **options)]) for size in (4, 8)]

        assert len(np.unique(values[0])) == NUM_SAMPLES
        np.testing.assert_array_equal(*values)
