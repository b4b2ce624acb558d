"""Which batch of the plan Keras receives when it asks for index i.

Keras decides in which order it asks for batch indices; the pass decides which batches they are. During an epoch, the
k-th new index is bound to the k-th batch of the plan, and the same index gets the same batch again. Whatever Keras
does, this is a bijection: every batch is served exactly once per pass, in the order of the plan.

The rules follow Keras 3.15.1 (`keras/src/trainers/epoch_iterator.py`, `backend/*/trainer.py`). `fit` starts with a
build step that begins an epoch, draws one or two batches and discards them. `reset()` of a new call of `fit` or
`evaluate` reads `num_batches` and then ends the epoch; `predict` usually does not call it. An epoch that is stopped
early is never ended. With `steps_per_epoch` below the length, one pass continues over several epochs. If `predict`
comes then, it reads the length before its epoch and, for a new generator, at the beginning of it.

Under a `tf.distribute` strategy, every call of `fit` and `evaluate` has a build step, and it draws more batches: the
prefetching of each replica, all on threads of TensorFlow. Only a build step is followed by `reset()` before the thread
that began the epoch reads a batch: a new call reads two batches there, for their spec.

A loop of the user has none of this. It begins a pass of its own, which ends with the loop, also after a `break`.
"""

import threading
from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_oocore.core.forks import register_fork_aware

BUILD_BATCHES = 2  # Keras's build step draws one batch, and at most one more ahead


@dataclass(eq=False)
class Loop:
    """A loop of the user over the batches of one pass. Another loop, or a call of Keras, may interrupt it.

    Attributes:
        number: Number of its pass.
        start: Batch of the pass where the loop begins: 0, except after a resume.
        num_batches: Number of batches of the loop.
        handed_out: Number of batches that were handed out.
    """

    number: int
    start: int
    num_batches: int
    handed_out: int = 0


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
        self.number: int = 0
        self.delivered: int | None = None
        self._start = 0  # batches of this pass that an earlier run used
        self._position = {}  # index that Keras asked for -> position in the plan
        self._bound = False  # whether indices are bound in the order they come; otherwise index i is position i
        self._running = False  # between `begin` and `end`
        self._building = False  # whether this may be Keras's build step
        self._epoch_ended = False  # in this pass, so it is more than Keras's build step
        self._length_read = False  # since the last batch
        self._read_between = False  # whether the length was read since the last epoch
        self._may_be_new = False  # whether this epoch is that of a new call if it reads the length now
        self._reading_thread = None  # that read the length
        self._thread = None  # that began the epoch
        self._read_by_thread = False  # whether that thread read a batch since then
        self._loop = None  # of the user, if it is the last that read batches
        self._asked = None  # index that the loop reads next
        self._next = None  # pass and batch that follow the loop, if they are not the next pass
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
            self._loop = self._asked = self._next = None
            self._may_be_new = self._read_between = False
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
            elif self._loop is not None:
                start = self._start + self._loop.handed_out
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
        with self._lock:
            if self._may_be_new and self._position:
                self._close()  # the pass that `fit` left open
                self._bound = True
            if not self._running:
                self._read_between = True
            self._may_be_new = False
            self._length_read, self._reading_thread = True, threading.get_ident()

    def begin(self) -> None:
        """Begin an epoch."""
        with self._lock:
            if self._running or self._loop is not None:  # the previous epoch, or loop, was abandoned
                self._close()
            self._begin_call()
            self._building = self._length_read  # without a `reset()` it is not an epoch yet
            self._running = self._bound = True
            self._may_be_new, self._read_between = self._read_between, False
            self._length_read = self._read_by_thread = False
            self._thread = threading.get_ident()

    def end(self) -> None:
        """End an epoch. A new call of `fit` or `evaluate` also ends one when it resets its iterator."""
        with self._lock:
            if self._running and self._position and not self._length_read:
                self._epoch_ended = True
            if self._length_read or self._complete:
                reset = self._running and self._length_read and self._reading_thread == self._thread
                self._close(built_by_others=reset and not self._read_by_thread)
            self._running = self._length_read = False

    def enter(self) -> Loop:
        """Begin a loop of the user over the batches. Whatever was open is closed: the loop has a pass of its own."""
        with self._lock:
            self._close()
            self._running = self._length_read = False
            self._loop = Loop(self.number, self._start, self.num_batches - self._start)
            return self._loop

    def ask(self, loop: Loop, index: int) -> None:
        """Let the next `bind(index)` return batch `index` of a loop. An interrupted loop continues with its pass."""
        with self._lock:
            if self._loop is not loop:
                self._close()
                self._running = self._length_read = False
                self._next = (self.number, self._start)
                self._loop, self.number, self._start = loop, loop.number, loop.start
            self._asked, loop.handed_out = index, index + 1

    def leave(self, loop: Loop) -> None:
        """End a loop. Its pass ends too, whether it is complete or not."""
        with self._lock:
            if self._loop is loop:
                self._close()

    def bind(self, index: int) -> tuple[int, int, bool]:
        """Return the number of the pass, the position in its plan that belongs to `index`, and whether a pass is open.

        If no epoch is open, nothing is bound, and index i belongs to position i of the next pass, or in a loop of the
        user, of the pass of that loop.
        """
        with self._lock:
            self._begin_call()
            self._length_read = False
            self._may_be_new = False
            if self._asked == index:
                self._asked = None
                return self.number, self._start + index, True
            if not self._bound:
                return self.number, index, False
            if self._thread == threading.get_ident():
                self._read_by_thread = True
            return self.number, self._position.setdefault(index, self._start + len(self._position)), True

    @property
    def _complete(self) -> bool:
        return self._start + len(self._position) == self.num_batches

    def _begin_call(self) -> None:
        """If a new call begins in a pass that the call before left open, what that call served is past."""
        if self._length_read and not self._running and self._loop is None:
            self._serving = array("q")

    def _close(self, built_by_others: bool = False) -> None:
        """Go to the next pass, unless this one was read by a build step alone."""
        if self._loop is not None:
            used = self._loop.handed_out > 0
        else:
            few = len(self._position) <= BUILD_BATCHES
            continues = self._building if self._start else not self._complete
            built_only = (built_by_others or (few and continues)) and not self._epoch_ended
            used = bool(self._position) and not built_only
        number, start = (self._next or (self.number + 1, 0)) if used else (self.number, self._start)
        if used:
            self._served = (self.number, self._serving)
        self._serving = self._serving[:0]  # not array("q"): a loop may end when Python exits, and names are gone
        # In one line, because Ctrl-C may come between two lines. A pass would be skipped.
        self.number, self._start, self._position, self.delivered = number, start, {}, None
        self._bound = self._epoch_ended = False
        self._loop = self._asked = self._next = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_position": self._position.copy(), "_serving": self._serving[:], "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reset_after_fork()
