"""What every Sequence promises about `served_samples`: the samples of the last pass, in the order they were served."""

import copy
import itertools

import pytest
from contracts.numbered import NumberedSamples


class ServedContract(NumberedSamples):
    """Tests of `served_samples` and `served_paths`."""

    def served(self, batches):
        """The numbers of the samples in batches, as one list."""
        return [number for x, *_ in batches for number in self.numbers(x)]

    @pytest.mark.parametrize(("shuffle", "workers"), [(True, 0), (False, 2), ("block", 2)])
    def test_served_samples_are_those_of_the_last_pass_in_its_order(self, make, shuffle, workers):
        sequence = make(shuffle=shuffle, workers=workers)
        names = make(shuffle=False, batch_size=10).filenames(0)
        assert sequence.served_samples.tolist() == sequence.served_paths == []

        for _ in range(2):
            served = self.served(sequence)
            assert sequence.served_samples.tolist() == served
            assert sequence.served_samples.dtype == "int64"
            pairs = zip(sequence.served_paths, served, strict=True)
            assert all(path.endswith(names[number]) for path, number in pairs)

    def test_served_samples_of_a_loop_that_ended_early_are_those_so_far(self, make):
        sequence, served = make(batch_size=2), []
        list(sequence)
        for batch in itertools.islice(sequence, 3):
            served += self.served([batch])
            assert sequence.served_samples.tolist() == served

        assert sequence.served_samples.tolist() == served
        for batch in itertools.islice(sequence, 1):
            served = self.served([batch])
        assert sequence.served_samples.tolist() == served

    def test_batches_that_are_only_looked_at_are_not_served(self, make):
        sequence = make()
        served = self.served(sequence)
        for batch in (sequence[2], sequence[0], sequence[1], sequence.load_batch(1)):
            assert len(batch[0])
        sequence.profile(num_batches=2)

        assert sequence.served_samples.tolist() == served

    def test_indices_in_any_order_are_served_in_the_order_they_were_asked_for(self, make):
        sequence = make()
        sequence.on_epoch_begin()
        batches = [sequence[index] for index in (2, 0, 2, 1)]
        sequence.on_epoch_end()

        assert sequence.served_samples.tolist() == self.served(batches[1:])  # a batch counts where it came last

    def test_partitions_serve_their_own_samples(self, make):
        for part in make().partition(2):
            assert part.served_samples.tolist() == []
            served = self.served(part)
            assert part.served_samples.tolist() == served

    def test_a_copy_has_served_nothing(self, make):
        sequence = make()
        list(sequence)

        assert len(sequence.served_samples) == 10
        assert len(copy.copy(sequence).served_samples) == 0
