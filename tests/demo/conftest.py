"""Fixtures of the demos."""

import pytest

NUM_DIGITS = 200


@pytest.fixture
def few_digits(monkeypatch):
    """Let the demo write fewer images than scikit-learn has, and return their number."""
    from sklearn import datasets  # hidden from the tests of models

    digits = datasets.load_digits()
    digits.images, digits.target = digits.images[:NUM_DIGITS], digits.target[:NUM_DIGITS]
    monkeypatch.setattr(datasets, "load_digits", lambda: digits)
    return NUM_DIGITS
