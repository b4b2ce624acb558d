"""Processes that are killed while they write predictions, and the memory that writing needs."""

import os
import random
import signal

import numpy as np
import pytest
from forked_child import forked_child
from predicting_child import SMALL_PARTS, measuring, predicting, rows
from stub_models import StubModel

import keras_oocore as ko
from keras_oocore.predictions import written

SECONDS_PER_BATCH = 0.003  # 0.3 seconds in all


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(written, "PART_BYTES", SMALL_PARTS)


def killed(folder, suffix, num_kills, most_seconds):
    """Kill processes after random times while they predict, until one is done. Return the number of kills."""
    chance, kills = random.Random(0), 0
    for attempt in range(3 * num_kills + 1):
        with forked_child(predicting, folder, suffix, SECONDS_PER_BATCH) as child:
            assert child.stdout.readline() == "ready\n"
            if kills < num_kills:
                child.process.join(chance.uniform(0, most_seconds))
                child.process.kill()
            code, _, errors = child.finish()
        assert code in (0, -signal.SIGKILL), errors
        kills += code != 0
        if code == 0 and kills == num_kills:
            return attempt
        if code == 0:  # it was faster than the kill
            (folder / f"killed.{suffix}").unlink()
    raise AssertionError("the process never ended")


def has_the_same_bytes(folder, suffix, num_kills, most_seconds):
    whole = ko.predict(StubModel(), rows(folder), to=folder / f"whole.{suffix}")

    killed(folder, suffix, num_kills, most_seconds)

    assert (folder / f"killed.{suffix}").read_bytes() == whole.read_bytes()
    assert sorted(os.listdir(folder)) == sorted([f"killed.{suffix}", f"whole.{suffix}", "rows.npy"])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_two_kills_leave_the_same_bytes(tmp_path, suffix):
    has_the_same_bytes(tmp_path, suffix, num_kills=2, most_seconds=0.4)


@pytest.mark.soak
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_twenty_kills_leave_the_same_bytes(tmp_path, suffix):
    has_the_same_bytes(tmp_path, suffix, num_kills=20, most_seconds=0.15)


@pytest.mark.parametrize(("suffix", "num_rows"), [("csv", 40_000), ("parquet", 250_000)])
def test_memory_is_at_most_a_tenth_of_a_large_file(tmp_path, suffix, num_rows):
    np.save(tmp_path / "many.npy", np.random.default_rng(0).normal(size=(num_rows, 1)).astype("float32"))

    with forked_child(measuring, tmp_path, suffix) as child:
        code, said, errors = child.finish()
    assert code == 0, errors
    file_bytes, memory_bytes = map(int, said.split("measured")[1].split())

    assert file_bytes > 300 * num_rows
    assert memory_bytes < file_bytes / 10
