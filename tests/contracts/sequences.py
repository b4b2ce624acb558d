"""What every Sequence promises, as tests that the test class of each Sequence inherits."""

import inside_sequence as inside
import keras
import numpy as np
import pytest
from contracts.numbered import NUM_SAMPLES
from contracts.options import OptionContract
from contracts.padding import PaddingContract
from contracts.partitions import PartitionContract
from contracts.passes import PassContract
from contracts.reading import add_noise, as_bytes, read_batches
from contracts.served import ServedContract
from contracts.shards import ShardContract
from contracts.states import StateContract
from contracts.workers import WorkerContract


class ReadingContract(PassContract, WorkerContract, StateContract, PartitionContract):
    """The part of the contract that depends on how samples are read.

    It is enough for a second source of a Sequence that passes the whole contract with another one: options, labels,
    weights, padding and shards are made of rows that were read, whatever the source.
    """


class SequenceContract(ReadingContract, OptionContract, PaddingContract, ShardContract, ServedContract):
    """The whole contract. A subclass implements `prepare`, `open` and `numbers`."""

    def test_filenames_name_the_samples_of_the_current_epoch(self, make):
        sequence, by_number = make(), make(shuffle=False, batch_size=10).filenames(0)
        assert len(set(by_number)) == NUM_SAMPLES
        for _ in range(2):
            for index in range(3):
                assert sequence.filenames(index) == [by_number[i] for i in self.numbers(sequence[index][0])]
            list(sequence)
        with pytest.raises(IndexError, match="Batch 3 of 3 does not exist"):
            sequence.filenames(3)

    def test_repr_describes_the_batches(self, make):
        text = repr(make(workers=2, max_queue_size=3))

        assert text.startswith(f"<{type(make()).__name__}: 10 samples")
        for part in (
            "3 batches of 4, shuffled, seed=7",
            ", y int32 (4,)",
            "2 threads, 3 batches ahead",
            "in flight>",
        ):
            assert part in text
        assert "in order" in repr(make(shuffle=False))
        assert "shuffled in blocks" in repr(make(shuffle="block"))

    @pytest.mark.one_backend  # test_arrays.py runs it on every backend
    def test_fit_trains_and_predict_follows_the_order_of_the_samples(self, make):
        shape = inside.row_shape(make())
        inputs = keras.Input(shape)
        features = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
        model = keras.Model(inputs, keras.layers.Dense(3)(features))
        model.compile(
            "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), weighted_metrics=["accuracy"]
        )
        history = model.fit(make(class_weight="balanced"), validation_data=make(shuffle=False), epochs=1, verbose=0)
        assert np.isfinite([history.history["loss"][0], history.history["val_loss"][0]]).all()

        same = keras.Model(inputs, keras.layers.Rescaling(1.0)(inputs))
        sequence = make(shuffle=False)
        sequence.on_epoch_begin()
        read_batches(sequence, (2, 1, 0))  # an epoch that was interrupted
        assert self.numbers(same.predict(sequence, verbose=0)) == list(range(NUM_SAMPLES))

    @pytest.mark.parametrize("workers", [0, 2])
    def test_profile_does_not_move_the_position(self, make, workers, capsys):
        sequence, plan = make(transform=add_noise, workers=workers), make(transform=add_noise)
        given = []
        for index, batch in enumerate(sequence):
            given.append(batch)
            if index == 1:
                profile = sequence.profile(num_batches=5)

        assert [as_bytes(given), as_bytes(sequence)] == [as_bytes(plan), as_bytes(plan)]
        if inside.batches_per_job(sequence) == 1:  # otherwise, a few more are timed
            assert (profile.num_batches, profile.num_samples) == (5, 2 + 4 + 4 + 2 + 4)  # after two that warm up
        assert profile.num_batches >= 5
        assert np.isfinite([profile.samples_per_second, *profile.seconds_per_batch.values()]).all()
        assert min(profile.seconds_per_batch.values()) >= 0
        assert f"{profile}\n" == capsys.readouterr().out

    def test_profile_respects_the_memory_limit(self, make, leases):
        batch_bytes = inside.batch_bytes(make(batch_size=1))
        sequence = make(batch_size=1, memory_limit=5 * batch_bytes, workers=2)
        next(iter(sequence))
        sequence.profile(num_batches=20)

        assert leases["most"] <= 5
