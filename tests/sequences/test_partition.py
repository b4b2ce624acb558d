"""partition(): what `fit` trains on, and memory. Other tests are in the contract of all Sequences."""

import tracemalloc

import inside_sequence as inside
import numpy as np
import pytest
from recording import idle_recorder, numbered, planned

import keras_oocore as ko


@pytest.mark.backend
@pytest.mark.parametrize(
    ("n", "workers"), [(3, 2), *(pytest.param(n, 0, marks=pytest.mark.one_backend) for n in (2, 7))]
)
def test_fit_on_all_partitions_trains_on_every_sample_once_per_epoch(n, workers):
    parts, model = numbered(26, workers=workers).partition(n), idle_recorder()
    given = []
    for part in parts:
        model.given = []
        model.fit(part, epochs=2, verbose=0)
        if len(part) > 2:  # a pass of one or two batches looks like a build step
            assert model.given == planned(part, 0, 1)
        assert sorted(model.given[: part.num_samples]) == sorted(model.given[part.num_samples :])
        given += model.given

    assert sorted(given) == sorted([*range(26)] * 2)


@pytest.mark.backend
def test_alternating_fits_continue_with_the_next_pass_of_each_partition():
    (first, second), model = numbered(24).partition(2), idle_recorder()
    given = []
    for part in (first, second, first, second):
        model.given = []
        model.fit(part, verbose=0)
        given.append(model.given)

    assert given == [planned(part, number) for number in (0, 1) for part in (first, second)]
    assert given[0] != given[2]


@pytest.mark.backend
def test_partition_as_validation_data():
    (training, validation), model = numbered(24).partition(2), idle_recorder(metrics=["mae"])
    history = model.fit(training, validation_data=validation, epochs=2, verbose=0).history

    assert model.given == planned(training, 0, 1)
    members = inside.members(validation)
    assert history["val_mae"] == pytest.approx([np.mean(members)] * 2, rel=1e-3)


@pytest.mark.parametrize("shuffle", [True, False, "block"])
def test_partitions_of_a_million_rows_store_no_list_of_samples(tmp_path, shuffle):
    np.save(tmp_path / "rows.npy", np.zeros((10**6, 1), "uint8"))
    whole = ko.ArraySequence(tmp_path / "rows.npy", labels=None, shuffle=shuffle, workers=0, seed=1)
    whole[0]  # the first batch imports modules and opens the file
    tracemalloc.start()
    parts = whole.partition(2)
    partitioned_bytes, _ = tracemalloc.get_traced_memory()
    for part in parts:
        part[0]
        part.state_dict()
    served_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    many = whole.partition(100)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert partitioned_bytes < 50_000
    assert served_bytes < 10**6  # a list of the samples of one half would be 4 MB
    assert most_bytes - served_bytes < 10**6
    assert sum(part.num_samples for part in many) == 10**6
    assert len(inside.members(parts[0])) == parts[0].num_samples == 500_000
