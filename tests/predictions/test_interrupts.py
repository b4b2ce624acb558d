"""Ctrl-C while predictions are written: the next call continues, and the file has the same bytes."""

import os
import random

import numpy as np
import pytest
from interrupts import (
    InterruptAtLine,
    assert_no_thread_is_left,
    in_another_thread,
    interrupts_in_finalizers_are_ignored,
)
from stub_models import StubModel

import keras_oocore as ko
from keras_oocore.batches import loader as batch_loader
from keras_oocore.predictions import written

FEW_LINES = 20


@pytest.fixture(autouse=True)
def small_parts_and_short_idle_time(monkeypatch):
    """Write a part for about two batches. A loading thread that is not woken ends soon."""
    monkeypatch.setattr(written, "PART_BYTES", (1000, 1000))
    monkeypatch.setattr(batch_loader, "IDLE_SECONDS", 0.05)
    with interrupts_in_finalizers_are_ignored():
        yield


def predict(folder, name):
    values = np.arange(24, dtype="float32").reshape(12, 2)
    sequence = ko.ArraySequence(values, np.arange(12) % 2, batch_size=2, class_names=["cat", "dog"])
    return ko.predict(StubModel(2), sequence, to=folder / name)


def number_of_lines(folder, suffix):
    with InterruptAtLine(10**9) as counted:
        predict(folder, f"counted.{suffix}")
    (folder / f"counted.{suffix}").unlink()
    return 10**9 - counted.left


def continues_after(folder, suffix, lines):
    """Interrupt at each line, and continue."""
    expected = predict(folder, f"whole.{suffix}").read_bytes()
    name = f"interrupted.{suffix}"
    for line in lines:
        with InterruptAtLine(line):
            predict(folder, name)
        assert_no_thread_is_left("keras_oocore-writer")

        path = in_another_thread(lambda: predict(folder, name))

        assert path.read_bytes() == expected, line
        assert sorted(os.listdir(folder)) == sorted([name, f"whole.{suffix}"]), line
        path.unlink()
    assert_no_thread_is_left()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_ctrl_c_in_any_line_leaves_the_same_bytes(tmp_path, suffix):
    predict(tmp_path, f"first.{suffix}").unlink()  # imports
    last = number_of_lines(tmp_path, suffix)
    assert last > 1000

    continues_after(tmp_path, suffix, random.Random(0).sample(range(1, last), FEW_LINES))


@pytest.mark.soak
@pytest.mark.timeout(7200)  # thousands of lines
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_ctrl_c_in_every_line_leaves_the_same_bytes(tmp_path, suffix):
    predict(tmp_path, f"first.{suffix}").unlink()

    continues_after(tmp_path, suffix, range(1, number_of_lines(tmp_path, suffix), 3))
