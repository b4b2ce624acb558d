"""Models of NumPy for tests of `ko.predict`, which need no backend."""

import time

import numpy as np


class StubModel:
    """Predicts probabilities, which depend on the samples and on its weights.

    Args:
        width: Number of outputs per sample.
        seed: Seed of the weights.
        seconds: How long a batch takes.
    """

    def __init__(self, width=3, seed=0, seconds=0.0):
        self.weights = [np.random.default_rng(seed).normal(size=width).astype("float32")]
        self.seconds = seconds
        self.num_batches = 0

    def predict_on_batch(self, x):
        time.sleep(self.seconds)
        self.num_batches += 1
        mean = np.asarray(x, "float32").reshape(len(x), -1).mean(axis=1, keepdims=True)
        logits = np.cos(mean * self.weights[0] + np.arange(self.weights[0].size, dtype="float32"))
        shares = np.exp(logits)
        return shares / shares.sum(axis=1, keepdims=True)


class Returns:
    """Predicts what a function returns for the mean of each sample, an array of shape `(n,)`."""

    weights = ()

    def __init__(self, function):
        self.function = function

    def predict_on_batch(self, x):
        return self.function(np.asarray(x, "float32").reshape(len(x), -1).mean(axis=1))
