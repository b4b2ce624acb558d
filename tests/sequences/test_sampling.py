"""`sampling`: balanced classes, weights, epochs of stated length, and what does not fit together."""

import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import OptionError

CLASSES = np.repeat([0, 1, 2], (40, 8, 2))
ROWS = np.arange(50)


def make(**options):
    return ko.ArraySequence(ROWS, **{"labels": CLASSES, "batch_size": 10, "seed": 0, **options})


def test_every_class_is_drawn_equally_often():
    sequence = make(sampling="balanced")
    labels = np.concatenate([y for _, y in sequence])

    assert sorted(np.bincount(labels)) == [16, 17, 17]
    assert "50 per epoch, balanced classes" in repr(sequence)
    longer = make(sampling="balanced", samples_per_epoch=300)
    assert (len(longer), longer.num_samples) == (30, 300)
    assert np.bincount(np.concatenate([y for _, y in longer])).tolist() == [100, 100, 100]


def test_split_keeps_sampling_for_training_alone():
    train, val = make(sampling="balanced", samples_per_epoch=60).split(validation_split=0.2, stratify=True)

    assert np.bincount(np.concatenate([y for _, y in train])).tolist() == [20, 20, 20]
    parts = [{*np.concatenate([x for x, _ in part]).tolist()} for part in (train, val)]
    assert not parts[0] & parts[1]
    assert val.num_samples == 10
    weights = np.where(CLASSES == 2, 1.0, 0.0)
    first, _ = make(sampling=weights).split(validation_split=0.2, stratify=True)
    assert {*np.concatenate([y for _, y in first])} == {2}


def test_every_sample_is_predicted_once():
    class Model:
        def predict_on_batch(self, x):
            return x.reshape(-1, 1).astype("float32")

    table = ko.predict(Model(), make(sampling="balanced", samples_per_epoch=7))
    assert table["row"].tolist() == ROWS.tolist()


def test_weights_of_the_whole_are_those_of_a_subset():
    weights = np.linspace(0, 1, 50)
    train = make(sampling=weights, validation_split=0.5, subset="training")

    assert train.num_samples == 25
    assert 0 not in np.concatenate([x for x, _ in train])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(samples_per_epoch=10), "`samples_per_epoch` requires `sampling`"),
        (dict(sampling="balanced", shuffle=False), "use shuffle=True"),
        (dict(sampling="equal"), '`sampling` should be "balanced" or one weight per sample'),
        (dict(sampling=[1, 2]), "50 weights, one per sample"),
        (dict(sampling=-np.ones(50)), "should be 0 or more"),
        (dict(sampling=np.zeros(50)), "All weights in `sampling` are 0"),
        (dict(sampling="balanced", samples_per_epoch=0), "`samples_per_epoch` should be a positive integer"),
        (dict(sampling="balanced", labels=None), "requires one class per sample"),
        (dict(sampling="balanced", labels=np.linspace(0, 1, 50)), "labels of dtype float64"),
        (dict(sampling="balanced", validation_split=0.2, subset="validation"), "distort the metrics of validation"),
        (dict(sampling="balanced", class_weight="balanced"), "`class_weight` and `sampling`"),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused(options, words):
    with pytest.raises(OptionError, match=words):
        make(**options)
