"""Trainings in child processes that get a signal, for sequences/test_fit.py."""

import os
import signal
import threading

import keras
from recording import numbered, planned, recorder

import keras_oocore.batches.loader


class Interrupt(keras.callbacks.Callback):
    """Sends this process the signal of Ctrl-C within an epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 5:
            os.kill(os.getpid(), signal.SIGINT)


def interrupted_fit():
    """Press Ctrl-C in `fit`. Print the threads that are left, and whether the next `fit` is a whole pass."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with SIGINT ignored
    keras_oocore.batches.loader.IDLE_SECONDS = 0.05
    model, sequence = recorder(), numbered(118, workers=2)
    try:
        model.fit(sequence, verbose=0, callbacks=[Interrupt()])
    except KeyboardInterrupt:
        print("interrupted")
    for thread in threading.enumerate():
        if thread.name == "keras_oocore-loader":
            thread.join(20)
    print([thread.name for thread in threading.enumerate() if thread.name == "keras_oocore-loader"])
    model.given = []
    model.fit(sequence, verbose=0)
    print(model.given == planned(sequence, 1))


def endless_fit():
    print("ready", flush=True)
    recorder().fit(numbered(4000, workers=4), epochs=1000, verbose=0)
