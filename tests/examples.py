"""How many examples a property test tries: few in `make test`, and many in `make soak`."""

import os

from hypothesis import settings

TIMES = "KERAS_OOCORE_TIMES_EXAMPLES"  # an environment variable: multiplies the number of examples


def examples(number):
    """Return the settings of a property test that tries this many examples in `make test`."""
    return settings(max_examples=number * int(os.environ.get(TIMES, "1")), deadline=None)
