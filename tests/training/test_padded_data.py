"""Training functions refuse a padded last batch whose weights, or whose metrics, would not be exact."""

import warnings

import keras
import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.core.errors import OptionError

X = np.random.default_rng(0).random((10, 3)).astype("float32")
pytestmark = [pytest.mark.backend, pytest.mark.one_backend]


def rows(last_batch):
    return ko.ArraySequence(X, X[:, 0], label_mode="raw", batch_size=4, seed=1, last_batch=last_batch)


def fit(x, validation_data, metrics=None, weighted_metrics=None, **options):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=metrics, weighted_metrics=weighted_metrics)
    phases = [ko.Phase(epochs=1)]
    return ko.fit_phases(model, phases, x, validation_data=validation_data, verbose=0, **options).history


def test_each_kind_of_padding_has_its_place():
    with pytest.raises(OptionError, match=r'`x` have weights for evaluation. Use last_batch="pad" for training'):
        fit(rows("pad_for_evaluation"), None)
    with pytest.raises(OptionError, match=r'`validation_data` have weights for training.*"pad_for_evaluation"'):
        fit(rows("pad"), rows("pad"))


@pytest.mark.parametrize("metrics", [["mae"], [[], ["mae"]], {"dense": "mae"}, [keras.metrics.MeanAbsoluteError()]])
def test_metrics_of_padded_validation_data_are_refused(metrics):
    with pytest.raises(OptionError, match=r"`metrics=` of `compile` counts .* with `weighted_metrics=` instead"):
        fit(rows("pad"), rows("pad_for_evaluation"), metrics)
    fit(rows("pad"), (X, X[:, 0]), ["mae"])


def test_metrics_of_validation_data_of_full_batches_are_exact(recwarn):
    full = ko.ArraySequence(
        X[:8], X[:8, 0], label_mode="raw", batch_size=4, shuffle=False, last_batch="pad_for_evaluation"
    )
    history = fit(rows("pad"), full, ["mae"], ["mae"])

    np.testing.assert_allclose(history["val_mae"], history["val_weighted_mae"], rtol=1e-6)
    assert not [warning for warning in recwarn if "weighted_metrics" in str(warning.message)]


@pytest.mark.parametrize("metrics", [None, [], {}])
def test_weighted_metrics_are_no_reason_to_warn(metrics):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        history = fit(rows("pad"), rows("pad_for_evaluation"), metrics, ["mae"])

    assert np.isfinite(history["val_mae"]).all()


def test_validation_steps_of_padded_data_are_refused():
    with pytest.raises(OptionError, match=r"weights of the samples are those of a whole pass. Remove `validation_st"):
        fit(rows("pad"), rows("pad_for_evaluation"), validation_steps=2)
