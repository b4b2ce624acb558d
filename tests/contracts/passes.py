"""What every Sequence promises about an epoch: each sample once, in an order that the seed determines."""

import random

import inside_sequence as inside
import keras
import numpy as np
import pytest
from contracts.numbered import NUM_SAMPLES, NumberedSamples
from contracts.reading import add_noise, as_bytes

from keras_oocore.core.errors import DataError


class PassContract(NumberedSamples):
    """Tests of an epoch."""

    def test_length_is_the_number_of_batches(self, make):
        sequence = make()

        assert len(sequence) == sequence.num_batches == 3
        assert sequence.num_samples == NUM_SAMPLES
        assert len(make(batch_size=5)) == 2
        assert len(make(batch_size=100)) == 1
        assert len(make(last_batch="drop")) == 2

    @pytest.mark.parametrize("shuffle", [True, False, "block"])
    def test_each_epoch_reads_every_sample_once_with_its_label(self, make, shuffle):
        sequence = make(shuffle=shuffle, batch_size=3)

        for _ in range(3):
            batches = self.epoch_of(sequence)
            assert [len(batch) for batch in batches] == [3, 3, 3, 1]
            assert sorted(number for batch in batches for number in batch) == list(range(NUM_SAMPLES))

    def test_without_shuffling_samples_come_in_the_order_on_disk(self, make):
        sequence = make(shuffle=False)

        assert self.epoch_of(sequence) == self.epoch_of(sequence) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]

    def test_the_last_batch_is_shorter_or_dropped(self, make):
        kept, dropped = make(shuffle=False), make(shuffle=False, last_batch="drop")
        x, y = kept[2]

        assert (len(x), len(y)) == (2, 2)
        assert [len(x) for x, _ in dropped] == [4, 4]
        with pytest.raises(
            DataError, match=r"10 samples do not fill a batch of 11. .*smaller batch_size, or last_batch="
        ):
            make(batch_size=11, last_batch="drop")

    def test_each_loop_reads_the_next_epoch(self, make):
        looped, plan = make(), make()

        assert [self.epoch_of(looped) for _ in range(3)] == [
            [inside.planned(plan, number, position) for position in range(3)] for number in range(3)
        ]
        assert self.numbers(looped[1][0]) == inside.planned(plan, 3, 1)  # outside an epoch: of the one to come

    def test_a_whole_epoch_follows_a_loop_that_ended_early(self, make):
        sequence = make(batch_size=2)
        for index, _ in enumerate(sequence):
            if index == 3:
                break

        assert sorted(number for batch in self.epoch_of(sequence) for number in batch) == list(range(NUM_SAMPLES))

    def test_batches_of_an_epoch_do_not_depend_on_the_order_of_indices(self, make):
        """As `fit(shuffle=True)` asks, and again for an index that it has."""
        sequence, plan = make(), make()
        sequence.on_epoch_begin()
        given = [self.numbers(sequence[index][0]) for index in (2, 0, 2, 1, 0)]
        sequence.on_epoch_end()
        first, second, third = (inside.planned(plan, 0, position) for position in range(3))

        assert given == [first, second, first, third, second]

    def test_indexing_outside_an_epoch_gives_the_batches_of_the_next_epoch(self, make):
        in_order = as_bytes(make())
        sequence = make()

        for index in (2, 0, 1, 1, 2, 1, 0):
            assert as_bytes([sequence[index]]) == [in_order[index]]
            assert sequence.samples_of(index).tolist() == self.numbers(sequence[index][0])
        assert as_bytes(sequence) == in_order

    def test_negative_indices_count_from_the_end(self, make):
        sequence = make()

        assert as_bytes([sequence[-1], sequence[np.int64(-3)]]) == as_bytes([sequence[2], sequence[0]])
        for index in (3, -4, 1000):
            with pytest.raises(IndexError, match=f"Batch {index} of 3 does not exist"):
                sequence[index]
        assert len(list(sequence)) == 3

    def test_seed_determines_every_epoch(self, make):
        passes = {seed: [as_bytes(make(seed=seed)) for _ in range(2)] for seed in (0, 1, 2)}

        assert all(first == again for first, again in passes.values())
        assert passes[0] != passes[1] != passes[2]
        sequence = make(seed=0)
        assert as_bytes(sequence) != as_bytes(sequence)  # epoch 1 is not epoch 0
        assert as_bytes(sequence) != passes[1][0]  # seed 0 in a later epoch is not seed 1

    def test_seed_none_draws_a_seed_from_the_generator_of_keras(self, make):
        def drawn():
            return make(seed=None).seed

        random.seed(3)
        first = drawn(), drawn()
        random.seed(3)
        assert (drawn(), drawn()) == first
        assert first[0] != first[1]
        keras.utils.set_random_seed(5)
        governed = make(seed=None)
        keras.utils.set_random_seed(5)
        again = make(seed=None)
        assert as_bytes(governed) == as_bytes(again) == as_bytes(make(seed=governed.seed))
        assert make(seed=np.int64(4)).seed == 4

    def test_reading_leaves_global_random_generators_unchanged(self, make):
        sequence = make(transform=add_noise)
        before = random.getstate(), np.random.get_state()[1].tolist()
        list(sequence)

        assert (random.getstate(), np.random.get_state()[1].tolist()) == before

    def test_a_loop_that_ended_early_ends_its_epoch(self, make):
        sequence = make(batch_size=2)
        for number, _ in enumerate(sequence):
            if number == 2:
                break
        assert inside.epoch(sequence) == 1
        for index in (2, 0):
            assert self.numbers(sequence[index][0]) == sequence.samples_of(index).tolist()
