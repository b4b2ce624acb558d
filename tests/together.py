"""Threads in place of the processes of a training."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_oocore.training.processes import Processes

COUNT = 3


class Threads:
    """An `Engine` that connects threads."""

    def __init__(self, index, rows, barrier):
        self.index, self.count, self._rows, self._barrier = index, COUNT, rows, barrier

    def gathered(self, row):
        self._rows[self.index] = row.copy()
        self._barrier.wait(60)
        rows = np.stack(self._rows)
        self._barrier.wait(60)
        return rows

    def from_first(self, row):
        return self.gathered(row)[0]


def together(function):
    """Call a function with the `Processes` of each thread, and return the results."""
    rows, barrier = [None] * COUNT, threading.Barrier(COUNT)
    with ThreadPoolExecutor(COUNT) as pool:
        return [*pool.map(function, [Processes(Threads(index, rows, barrier)) for index in range(COUNT)])]
