"""Labelled: labels and weights of any source. Other tests are in the contract of Sources."""

import numpy as np
import pytest

from keras_oocore.manifest.labels import Labels
from keras_oocore.sources.arrays import ArrayRows
from keras_oocore.sources.base import Source
from keras_oocore.sources.labelled import Labelled

ROWS = np.arange(8.0).reshape(4, 2)


def labelled(values=(5, 6, 7, 8), label_mode="raw", class_names=None, weight=None):
    values = None if values is None else np.asarray(values)
    return Labelled(ArrayRows(ROWS), Labels(values, label_mode, class_names), weight)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [8, 5]),
        ({"values": ROWS}, [[6.0, 7.0], [0.0, 1.0]]),
        ({"values": [0, 1, 2, 1], "label_mode": "int"}, [1, 0]),
        ({"values": [0, 1, 1, 1], "label_mode": "binary", "class_names": ["a", "b"]}, [[1.0], [0.0]]),
        ({"values": [0, 1, 1, 1], "label_mode": "categorical", "class_names": ["a", "b"]}, [[0.0, 1.0], [1.0, 0.0]]),
    ],
)
def test_unpack_gives_labels_of_the_samples(options, expected):
    rows = ROWS[[3, 0]]
    x, y, sample_weight = labelled(**options).unpack(rows, np.array([3, 0]))

    assert x is rows
    assert y.tolist() == expected
    assert sample_weight is None


def test_unpack_without_labels():
    _, y, sample_weight = labelled(None, None).unpack(ROWS[:1], np.array([0]))

    assert y is None
    assert sample_weight is None


def test_unpack_gives_weights_of_the_samples():
    weight = np.arange(4, dtype="float32")
    _, _, sample_weight = labelled(weight=weight).unpack(ROWS[:2], np.array([2, 1]))

    assert sample_weight.tolist() == [2, 1]


def test_fingerprint_contains_the_labels():
    assert labelled(None, None).fingerprint()["labels"] is None
    assert labelled().fingerprint()["labels"] == labelled().fingerprint()["labels"]
    assert labelled().fingerprint()["labels"] != labelled([5, 6, 7, 9]).fingerprint()["labels"]
    assert labelled().fingerprint().items() >= ArrayRows(ROWS).fingerprint().items()


def test_other_methods_are_those_of_the_source():
    calls = []

    class Recorded(ArrayRows):
        rows_per_task, groups_batches, cached = 3, True, True

        def prefetch(self, chunks):
            calls.append(chunks)

        def close(self):
            calls.append("closed")

        def order(self, shuffle, seed, batch_size):
            return shuffle, seed, batch_size

    source = Labelled(Recorded(ROWS), Labels(None, None), None)
    source.prefetch([1, 2])
    source.close()

    assert isinstance(source, Source)
    assert (source.rows_per_task, source.groups_batches, source.cached) == (3, True, True)
    assert source.order("block", 4, 2) == ("block", 4, 2)
    assert calls == [[1, 2], "closed"]
