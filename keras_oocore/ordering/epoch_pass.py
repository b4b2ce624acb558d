"""Which batch of the plan Keras gets when it asks for index i. It knows neither samples nor Keras's classes.

Keras decides in which order it asks for batch indices; we decide which batches those are. While an epoch runs, the
k-th new index asked for is bound to the k-th batch of the plan, and asking again returns the same batch: a bijection
whatever Keras does, so that every batch is served exactly once a pass, in plan order.

Behaviour of Keras 3.15.1 that this follows (`keras/src/trainers/epoch_iterator.py`, `backend/*/trainer.py`):
`fit` opens with a build step that begins an epoch, draws a batch or two and throws them away; `reset()` of a new call
of fit or evaluate reads `num_batches` and then ends the epoch, and predict mostly begins without it; an epoch stopped
inside is never ended; with `steps_per_epoch` below the length one pass goes on over several epochs.
"""

import threading

from keras_oocore.core.forks import register_fork_aware

BUILD_BATCHES = 2  # the most that Keras's build step draws: one, and one of look-ahead


class EpochPass:
    """One pass over the plan, opened, bound and closed by the calls that Keras makes.

    >>> epochs = EpochPass(num_batches=3)
    >>> epochs.begin(); [epochs.bind(index) for index in (2, 0, 2, 1)]
    [(0, 0, True), (0, 1, True), (0, 0, True), (0, 2, True)]
    >>> epochs.end(); epochs.number
    1
    """

    def __init__(self, num_batches: int):
        self.num_batches = num_batches
        self.number = 0
        self.delivered = None  # batches that the model was given, where somebody counts; Keras may ask ahead of it
        self._start = 0  # batches of this pass that were handed out by an earlier run
        self._position = {}  # index that Keras asked for -> position in the plan
        self._bound = False  # indices are bound in the order they come; otherwise index i is position i
        self._running = False  # between `begin` and `end`
        self._building = False  # within Keras's build step, so far as the calls tell
        self._epoch_ended = False  # in this pass, so that it was more than Keras's build step
        self._length_read = False  # since the last batch
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """A lock that nobody holds: in a new pass, a copy, or a forked child."""
        self._lock = threading.Lock()
        register_fork_aware(self)

    @property
    def remaining(self) -> int:
        """Batches that Keras is to get; as an epoch begins that goes on from an earlier run, what is left of it."""
        return self.num_batches - self._start if self._running and not self._position else self.num_batches

    def seek(self, number: int, start: int) -> None:
        """Go to a batch of a pass: the next epoch begins there."""
        with self._lock:
            self.number, self._start = (number, start) if start < self.num_batches else (number + 1, 0)
            self._position, self.delivered = {}, None
            self._bound = self._running = self._building = self._epoch_ended = self._length_read = False

    def place(self, batches: int | None = None) -> tuple[int, int]:
        """The pass's number, and how many of its batches were delivered, or handed out where nobody counts.

        With `batches`, the caller counted them since the pass began, or went on here from an earlier run.
        """
        with self._lock:
            if batches is not None:
                start = batches + (self._start if self.delivered is None else 0)
            else:
                start = self._start + len(self._position) if self.delivered is None else self.delivered
            return (self.number, start) if start < self.num_batches else (self.number + 1, 0)

    def length_read(self) -> None:
        """Keras read the number of batches: a new call, if an epoch's end follows before the next batch."""
        self._length_read = True

    def begin(self) -> None:
        """An epoch begins."""
        with self._lock:
            if self._running:  # the one before was abandoned
                self._close()
            self._building = self._length_read  # no `reset()` came between: it is not an epoch yet
            self._running = self._bound = True
            self._length_read = False

    def end(self) -> None:
        """An epoch ends, or a new call resets its iterator."""
        with self._lock:
            if self._running and self._position and not self._length_read:
                self._epoch_ended = True
            if self._length_read or self._complete:
                self._close()
            self._running = self._length_read = False

    def enter(self) -> None:
        """A loop over the batches begins."""
        self._length_read = False
        self.begin()

    def leave(self) -> None:
        """A loop over the batches ends, and its pass with it, complete or not."""
        self._length_read = not self._complete
        self.end()

    def bind(self, index: int) -> tuple[int, int, bool]:
        """The pass's number, the position in its plan that `index` stands for, and whether a pass is open.

        With none open nothing is bound, and index i is position i of the pass to come.
        """
        with self._lock:
            self._length_read = False
            if not self._bound:
                return self.number, index, False
            return self.number, self._position.setdefault(index, self._start + len(self._position)), True

    @property
    def _complete(self) -> bool:
        return self._start + len(self._position) == self.num_batches

    def _close(self) -> None:
        few = len(self._position) <= BUILD_BATCHES
        going_on = self._building if self._start else not self._complete
        built_only = few and going_on and not self._epoch_ended
        if self._position and not built_only:
            self.number, self._start = self.number + 1, 0
        self._position, self.delivered = {}, None
        self._bound = self._epoch_ended = False

    def __getstate__(self):
        return {**vars(self), "_position": self._position.copy(), "_lock": None}

    def __setstate__(self, state):
        vars(self).update(state)
        self.reset_after_fork()
