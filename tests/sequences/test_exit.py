"""The interpreter ends after Ctrl-C in `fit`, while batches are being made."""

import signal
import subprocess
import sys
import textwrap

import hidden_packages
import keras
import pytest

pytestmark = [
    pytest.mark.backend,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow",
        reason="there is no other thread; sources/test_cached_faults.py presses Ctrl-C in a child of the first backend",
    ),
]

SCRIPT = """
    import os, signal, threading, time
    import keras, numpy as np, keras_oocore as ko

    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with SIGINT ignored

    def slow(x, y, rng):
        time.sleep(0.3)
        return x, y

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            os.kill(os.getpid(), signal.SIGINT)

    x = np.zeros((400, 3), "float32")
    sequence = ko.ArraySequence(x, x[:, :1], batch_size=4, transform=slow, workers=WORKERS, max_queue_size=8)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(sequence, verbose=0, callbacks=[Interrupt()])
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_the_interpreter_ends_after_ctrl_c_in_fit(workers):
    """TensorFlow draws batches in a thread of its own, which the interpreter would end while it runs Python code."""
    script = textwrap.dedent(SCRIPT.replace("WORKERS", str(workers)))
    command, environment = [sys.executable, "-c", script], hidden_packages.environment()
    child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)

    assert child.returncode == -signal.SIGINT, child.stderr
    assert child.stderr.rstrip().endswith("KeyboardInterrupt")
