"""Fixtures of the demos."""

import pytest
import sklearn.datasets

NUM_DIGITS = 200


@pytest.fixture
def few_digits(monkeypatch):
    """Let the demo write fewer images than scikit-learn has, and return their number."""
    digits = sklearn.datasets.load_digits()
    digits.images, digits.target = digits.images[:NUM_DIGITS], digits.target[:NUM_DIGITS]
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda: digits)
    return NUM_DIGITS
