"""A NumPy generator that begins at the key of each sample."""

import numpy as np


class KeyedGenerator:
    """One generator for many keys. To make a generator per sample would take ten times as long."""

    def __init__(self):
        self._philox = np.random.Philox(0)
        self._generator = np.random.Generator(self._philox)
        self._state = self._philox.state

    def at(self, key: np.ndarray) -> np.random.Generator:
        """Return the generator at the first number of a key, a `uint64` array of shape `(2,)`."""
        self._state["state"]["key"] = key
        self._philox.state = self._state
        return self._generator
