"""Checks of arguments that several rooms share."""

import numpy as np

from keras_oocore.core.errors import OptionError


def positive(value: int, name: str) -> int:
    """`value` as an integer, when it is one of 1 or more.

    Raises:
        OptionError: which names the argument.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise OptionError(f"`{name}` should be a positive integer. Received: {name}={value!r}")
    return int(value)
