"""The history of a training in a notebook."""

import keras
import numpy as np
import pytest

import keras_oocore as ko
from keras_oocore.training.history import TrainingHistory


def history_of(**columns):
    history = TrainingHistory()
    history.history = columns
    return history


def test_metrics_at_the_first_the_best_and_the_last_epoch():
    shown = history_of(loss=[3.0, 2.0, 1.0], val_loss=[3.0, 2.5, 2.75], phase=["<script>", "b", "b"])._repr_html_()

    assert "3 epochs, best epoch: 2 by val_loss" in shown
    assert [number in shown for number in (">3<", ">2<", ">1<", ">2.5<", ">2.75<")] == [True] * 5
    assert "&lt;script&gt; (1 epoch), b (2 epochs)" in shown
    assert "<script" not in shown


def test_validation_in_every_second_epoch():
    assert "best epoch: 2 by val_loss" in history_of(loss=[4.0, 3.0, 2.0, 1.0], val_loss=[1.5, 1.7])._repr_html_()


def test_hundreds_of_metrics_are_counted():
    shown = history_of(**{f"metric {i}": [1.0] for i in range(300)})._repr_html_()

    assert "1 epoch" in shown
    assert "… and 270 more" in shown


@pytest.mark.parametrize("columns", [{}, {"loss": []}, {"loss": [np.nan]}, {"a": ["x"], "b": [[1, 2]]}, {"phase": [1]}])
def test_a_history_without_numbers(columns):
    assert "History" in history_of(**columns)._repr_html_()
    assert repr(history_of(**columns)).startswith("<TrainingHistory: ")


@pytest.mark.one_backend
def test_a_training_returns_it_and_keras_stays_as_it_is(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = ko.ArraySequence(np.arange(4.0)[:, None], np.arange(4.0), batch_size=2, seed=1)
    history = ko.fit_resumable(model, data, epochs=1, checkpoint=tmp_path, verbose=0)

    assert isinstance(history, keras.callbacks.History)
    assert "1 epoch" in history._repr_html_()
    assert model.history is history
    assert not hasattr(keras.callbacks.History, "_repr_html_")
    again = ko.fit_resumable(model, data, epochs=2, checkpoint=tmp_path, verbose=0)
    assert "2 epochs" in again._repr_html_()

    own = keras.callbacks.History()
    assert ko.fit_partitions(model, data, 1, callbacks=[own], verbose=0) is own
