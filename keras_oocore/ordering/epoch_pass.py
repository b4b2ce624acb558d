"""Which batch of the plan Keras receives when it asks for index i.

Keras decides in which order it asks for batch indices; the pass decides which batches they are. During an epoch, the
k-th new index is bound to the k-th batch of the plan, and the same index gets the same batch again. Whatever Keras
does, this is a bijection: every batch is served exactly once per pass, in the order of the plan.

The rules follow Keras 3.15.1 (`keras/src/trainers/epoch_iterator.py`, `backend/*/trainer.py`). `fit` starts with a
build step that begins an epoch, draws one or two batches and discards them. `reset()` of a new call of `fit` or
`evaluate` reads `num_batches` and then ends the epoch; `predict` usually does not call it. An epoch that is stopped
early is never ended. With `steps_per_epoch` below the length, one pass continues over several epochs.
"""

import threading
from array import array

import numpy as np

from keras_oocore.core.forks import register_fork_aware

BUILD_BATCHES = 2  # Keras's build step draws one batch, and at most one more ahead


class EpochPass:
    """One pass over the plan. The calls of Keras open it, bind its batches and close it.

    Args:
        num_batches: Number of batches per pass.

    Attributes:
        number: Number of the current pass, from 0.
        delivered: Number of batches of the pass that the model received, or `None` if they are not counted. Keras may
            have asked for more.

    >>> epochs = EpochPass(num_batches=3)
    >>> epochs.begin(); [epochs.bind(index) for index in (2, 0, 2, 1)]
    [(0, 0, True), (0, 1, True), (0, 0, True), (0, 2, True)]
    >>> epochs.end(); epochs.number
    1
    """

    def __init__(self, num_batches: int):
        self.num_batches = num_batches
        self.number = 0
        self.delivered = None
        self._start = 0  # batches of this pass that an earlier run used
        self._position = {}  # index that Keras asked for -> position in the plan
        self._bound = False  # whether indices are bound in the order they come; otherwise index i is position i
        self._running = False  # between `begin` and `end`
        self._building = False  # whether this may be Keras's build step
        self._epoch_ended = False  # in this pass, so it is more than Keras's build step
        self._length_read = False  # since the last batch
        self.forget_served()
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Create an unlocked lock, for a new pass, a copy, or a forked child."""
        self._lock = threading.Lock()
        register_fork_aware(self)

    @property
    def remaining(self) -> int:
        """Number of batches that Keras should ask for. At the start of a resumed epoch, only the remaining batches."""
        return self.num_batches - self._start if self._running and not self._position else self.num_batches

    def count_delivered(self, batches: int | None) -> None:
        """Set how many batches of the pass the model received; `None` if no training counts them."""
        self.delivered = batches

    def seek(self, number: int, start: int) -> None:
        """Go to batch `start` of pass `number`, where the next epoch begins."""
        with self._lock:
            self.number, self._start = (number, start) if start < self.num_batches else (number + 1, 0)
            self._position, self.delivered = {}, None
            self._bound = self._running = self._building = self._epoch_ended = self._length_read = False
            self.forget_served()

    def position(self, batches: int | None = None) -> tuple[int, int]:
        """Return the number of the pass, and the number of its batches that were delivered or, if not counted, bound.

        Args:
            batches: Number of batches that the caller counted since the pass began or was resumed, or `None` if the
                caller did not count.
        """
        with self._lock:
            if batches is not None:
                start = batches + (self._start if self.delivered is None else 0)
            else:
                start = self._start + len(self._position) if self.delivered is None else self.delivered
            return (self.number, start) if start < self.num_batches else (self.number + 1, 0)

    def forget_served(self) -> None:
        """Forget which batches were served, because their samples cannot be told any more."""
        self._served = (0, array("q"))  # number of the last pass, and its positions in the order they were handed out
        self._serving = array("q")  # the same positions of the current pass

    def record_served(self, number: int, position: int) -> None:
        """Record that the batch at a position of pass `number` was handed out. A batch that failed is not recorded."""
        if number == self.number:  # otherwise Keras abandoned the pass meanwhile
            self._serving.append(position)

    def last_served(self) -> tuple[int, np.ndarray]:
        """Return the number of the pass that was served last, and its positions in the order they were handed out.

        That is the current pass if it has handed out batches, else the pass before. Batches that Keras drew for its
        build step do not count, and a batch that was handed out twice counts where it was handed out last.
        """
        with self._lock:
            number, served = (self.number, self._serving) if self._serving else self._served
            positions = np.array(served[:], np.int64)  # a copy, because another thread may append
        _, last = np.unique(positions[::-1], return_index=True)
        return number, positions[np.sort(len(positions) - 1 - last)]

    def length_read(self) -> None:
        """Record that Keras read the number of batches. If an epoch ends before the next batch, a new call began."""
        self._length_read = True

    def begin(self) -> None:
        """Begin an epoch."""
        with self._lock:
            if self._running:  # the previous epoch was abandoned
                self._close()
            self._begin_call()
            self._building = self._length_read  # without a `reset()` it is not an epoch yet
            self._running = self._bound = True
            self._length_read = False

    def end(self) -> None:
        """End an epoch. A new call of `fit` or `evaluate` also ends one when it resets its iterator."""
        with self._lock:
            if self._running and self._position and not self._length_read:
                self._epoch_ended = True
            if self._length_read or self._complete:
                self._close()
            self._running = self._length_read = False

    def enter(self) -> None:
        """Begin a loop over the batches."""
        self._length_read = False
        self.begin()

    def leave(self) -> None:
        """End a loop over the batches. Its pass ends too, whether it is complete or not."""
        if self._serving:
            self._served = (self.number, self._serving)  # also if it ended after one batch
        self._length_read = not self._complete
        self.end()

    def bind(self, index: int) -> tuple[int, int, bool]:
        """Return the number of the pass, the position in its plan that belongs to `index`, and whether a pass is open.

        If no pass is open, nothing is bound, and index i belongs to position i of the next pass.
        """
        with self._lock:
            self._begin_call()
            self._length_read = False
            if not self._bound:
                return self.number, index, False
            return self.number, self._position.setdefault(index, self._start + len(self._position)), True

    @property
    def _complete(self) -> bool:
        return self._start + len(self._position) == self.num_batches

    def _begin_call(self) -> None:
        """If a new call begins in a pass that the call before left open, what that call served is past."""
        if self._length_read and not self._running:
            self._serving = array("q")

    def _close(self) -> None:
        few = len(self._position) <= BUILD_BATCHES
        continues = self._building if self._start else not self._complete
        built_only = few and continues and not self._epoch_ended
        if self._position and not built_only:
            self._served = (self.number, self._serving)
            self.number, self._start = self.number + 1, 0
        self._serving = array("q")
        self._position, self.delivered = {}, None
        self._bound = self._epoch_ended = False

    def __getstate__(self):
        return {**vars(self), "_position": self._position.copy(), "_serving": self._serving[:], "_lock": None}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.reset_after_fork()
