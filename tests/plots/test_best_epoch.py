"""Which epoch is the best, by which numbers."""

import numpy as np
import pytest

from keras_oocore.plots.best_epoch import best_epoch, higher_is_better


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"loss": [1, 2], "val_loss": [3, 2]}, ("val_loss", 1, 2.0)),
        ({"loss": [1, 2], "val_accuracy": [0.9, 0.5]}, ("val_accuracy", 0, 0.9)),
        ({"accuracy": [0.1, 0.5], "loss": [1, 2]}, ("loss", 0, 1.0)),
        ({"learning_rate": [1, 2], "mae": [2, 1]}, ("mae", 1, 1.0)),
        ({"loss": [2, 1], "val_loss": [np.nan, np.nan]}, ("loss", 1, 1.0)),
        ({"val_loss": [np.nan, np.inf, 3, 3]}, ("val_loss", 2, 3.0)),
        ({"loss": [np.nan]}, None),
        ({"learning_rate": [1.0]}, None),
        ({}, None),
    ],
)
def test_which_numbers_decide(columns, expected):
    assert best_epoch({name: np.array(values, float) for name, values in columns.items()}) == expected


def test_direction_of_metrics():
    higher = (
        "accuracy",
        "val_sparse_top_k_categorical_accuracy",
        "AUC",
        "mean_io_u",
        "mean_iou",
        "f1_score",
        "r2_score",
    )
    lower = ("loss", "mae", "mean_squared_error", "false_positives", "out_accuracy_loss", "perplexity")

    assert all(map(higher_is_better, higher))
    assert not any(map(higher_is_better, lower))
