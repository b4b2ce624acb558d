"""Numbers as strings: each is read back as the same number, and none has more digits than necessary."""

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from keras_oocore.predictions.digits import shortest


def num_digits(text):
    """The number of significant digits of a string."""
    digits = text.partition("e")[0].replace(".", "").lstrip("-0").rstrip("0")
    return max(1, len(digits))


def check(values):
    texts = shortest(values)
    back = np.array([np.float32(text) for text in texts])
    assert (back.view(np.uint32) == values.view(np.uint32))[~np.isnan(values)].all()  # every bit
    expected = values.astype("U32").tolist()
    assert all(num_digits(text) <= num_digits(other) for text, other in zip(texts, expected))


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1))
@examples(40)
def test_any_float32_is_kept_in_the_fewest_digits(values):
    check(np.array(values, "float32"))


def test_random_bits_and_probabilities_are_kept_in_the_fewest_digits():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 50_000, np.uint32).view(np.float32)
    check(bits[np.isfinite(bits)])
    check(rng.dirichlet(np.full(100, 0.1), 500).astype("float32").ravel())


def test_powers_of_two_and_ten_and_their_neighbors_are_kept():
    ten = np.array([float(f"1e{exponent}") for exponent in range(-44, 39)], "float32")
    powers = np.concatenate([2.0 ** np.arange(-140, 128), ten]).astype("float32")
    near = [np.nextafter(powers, np.float32(side)) for side in (0, np.inf)]
    check(np.concatenate([powers, *near])[:-1])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.0"), (1, "1.0"), (0.0001, "0.0001"), (0.00001, "1e-05"), (123456.7, "123456.7"), (16777216, "16777216.0")],
)
def test_usual_numbers_look_as_in_python(value, text):
    assert shortest(np.array([value], "float32")) == [text]


def test_float64_is_written_as_in_python():
    assert shortest(np.array([[0.1, 1 / 3], [1e-300, np.inf]])) == ["0.1", repr(1 / 3), "1e-300", "inf"]
