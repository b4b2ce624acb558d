"""Every check returns a plain Python value, or names the argument and what it received."""

import numpy as np
import pytest

from keras_oocore.core.checks import boolean, choice, fraction, non_negative, positive
from keras_oocore.core.errors import OptionError


@pytest.mark.parametrize(
    ("check", "value", "returned"),
    [
        (positive, 1, 1),
        (positive, np.int64(3), 3),
        (non_negative, 0, 0),
        (non_negative, np.uint8(7), 7),
        (boolean, False, False),
        (boolean, np.True_, True),
        (fraction, 0.5, 0.5),
        (fraction, np.float32(0.5), 0.5),
    ],
)
def test_values_that_are_allowed(check, value, returned):
    checked = check(value, "argument")
    assert checked == returned
    assert type(checked) is type(returned)


@pytest.mark.parametrize(
    ("check", "expected", "values"),
    [
        (positive, "a positive integer", [0, -1, True, 1.0, "1", None, np.array([1, 2])]),
        (non_negative, "a non-negative integer", [-1, False, 0.0, "0", None]),
        (boolean, "True or False", [0, 1, "yes", None, np.array([True])]),
        (fraction, "a fraction between 0 and 1", [0, 1, 0.0, 1.0, -0.1, 1.5, True, float("nan"), "0.5", None]),
    ],
)
def test_values_that_are_refused(check, expected, values):
    for value in values:
        with pytest.raises(OptionError) as caught:
            check(value, "argument")
        assert str(caught.value) == f"`argument` should be {expected}. Received: argument={value!r}"


def test_choice():
    assert choice("block", "shuffle", (True, False, "block")) == "block"
    assert choice(None, "label_mode", ("int", None)) is None
    for value in (1, 0, None, "blocks", ["block"], np.array([True, False])):
        with pytest.raises(OptionError, match=r"`shuffle` should be one of True, False, 'block'\. Received: shuffle="):
            choice(value, "shuffle", (True, False, "block"))
