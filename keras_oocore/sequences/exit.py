"""Ends the iterators of TensorFlow before the interpreter ends."""

import atexit
import functools
import gc
import sys
import traceback

import keras

from keras_oocore.batches.loader import close_all


@functools.cache
def end_iterators_at_exit() -> None:
    """On TensorFlow, delete the iterators of a `fit` that Ctrl-C or an error ended, when the interpreter exits.

    The last traceback, a copy of the variables of `fit`, and reference cycles keep them alive. Each has a thread that
    runs Python code to get the next batch. If the interpreter ends first, it ends this thread within TensorFlow, which
    then waits for the thread forever (Keras 3.15.1, TensorFlow 2.21; it does the same with any slow `PyDataset`).
    """
    if keras.backend.backend() == "tensorflow":
        atexit.register(_end_iterators)


def _end_iterators() -> None:
    close_all()  # otherwise the threads of the iterators wait for many batches
    error = getattr(sys, "last_value", None)  # what the interpreter has printed
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        for frame, _ in traceback.walk_tb(error.__traceback__):
            frame.f_locals  # noqa: B018  # before Python 3.13, this empties the copy that `keras_call` left
        error = error.__context__
    gc.collect()
