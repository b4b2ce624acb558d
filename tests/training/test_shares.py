"""Which processes train together: here, this one alone."""

import keras
import pytest
from training_child import data, small_model

import keras_oocore as ko

pytestmark = pytest.mark.backend
REMEDY = {
    "jax": r"Call keras\.distribution\.initialize and keras\.distribution\.set_distribution first",
    "torch": r"Call torch\.distributed\.init_process_group first",
    "tensorflow": r"On tensorflow, `fit` cannot train on several: write a training loop, or use JAX or torch",
}


def shard(index, num_shards):
    return data(last_batch="drop").shard(index, num_shards)


def test_a_shard_without_other_processes_is_an_error(tmp_path):
    message = rf"shard 1 of 2, but Keras trains in one process\. {REMEDY[keras.backend.backend()]}"
    with pytest.raises(ko.OptionError, match=message):
        ko.fit_resumable(small_model(), shard(1, 2), 1, tmp_path / "training", verbose=0)
    with pytest.raises(ko.OptionError, match=message):
        ko.fit_partitions(small_model(), shard(1, 2), 2, verbose=0)
    assert not (tmp_path / "training").exists()


def test_sequences_of_a_training_must_be_the_same_shard():
    with pytest.raises(ko.OptionError, match=r"`validation_data` is shard 1 of 2, and .* shard 0 of 2"):
        ko.fit_partitions(small_model(), shard(0, 2), 1, validation_data=shard(1, 2), verbose=0)
    phases = [ko.Phase(1), ko.Phase(1, data=shard(1, 2), name="large")]
    with pytest.raises(ko.OptionError, match=r"The Sequence to train on of 'large' is shard 1 of 2, and .* 0 of 2"):
        ko.fit_phases(small_model(), phases, shard(0, 2), verbose=0)


def test_one_shard_of_one_trains_alone(tmp_path):
    for epochs, sequence in enumerate([shard(0, 1), data(last_batch="drop")], 1):
        history = ko.fit_resumable(small_model(), sequence, epochs, tmp_path / "training", verbose=0)

    assert history.epoch == [0, 1]
