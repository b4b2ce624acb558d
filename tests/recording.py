"""A model that records every sample it was given, for tests of the samples that `fit` trained on."""

import copy

import keras
import numpy as np

import keras_oocore.sequences as sequences


def numbered(num_samples, batch_size=4, **options):
    """Return a Sequence whose sample i is the number i."""
    rows = np.arange(num_samples, dtype="float32")[:, np.newaxis]
    return sequences.ArraySequence(rows, labels=rows.copy(), batch_size=batch_size, seed=3, **options)


def planned(sequence, *passes):
    """Return the samples of these passes, in order, without moving the position of the Sequence."""
    plan, samples = copy.copy(sequence), []
    for number in passes:
        plan.cursor.seek(number, 0)
        samples += [int(sample) for batch in range(len(plan)) for sample in plan.samples_of(batch)]
    return samples


class Recorder(keras.Model):
    """A linear model whose train step records its samples in `given`."""

    def __init__(self, fail_at=None):
        super().__init__()
        self.dense = keras.layers.Dense(1, kernel_initializer="zeros")
        self.given = []
        self.weights_given = []
        self.fail_at = fail_at

    def call(self, x):
        return self.dense(x)

    def train_step(self, *args):
        x, _, weight = keras.utils.unpack_x_y_sample_weight(args[-1])
        self.given += keras.ops.convert_to_numpy(x)[:, 0].astype(int).tolist()
        if weight is not None:
            self.weights_given += keras.ops.convert_to_numpy(weight).tolist()
        if self.fail_at is not None and len(self.given) >= self.fail_at:
            raise RuntimeError("the train step fails")
        return self.learn(*args)

    def learn(self, *args):
        return super().train_step(*args)


class IdleRecorder(Recorder):
    """Learns from its first batch alone, which builds it. It saves most of the time in tests of the samples alone."""

    has_learnt = False

    def learn(self, *args):
        if not self.has_learnt:
            self.has_learnt = True
            return super().learn(*args)
        logs = {"loss": keras.ops.zeros(())}
        return (logs, args[0]) if keras.backend.backend() == "jax" else logs  # JAX passes the variables on


def recorder(**options):
    """Return a compiled Recorder."""
    return compiled(Recorder, **options)


def idle_recorder(**options):
    """Return a compiled IdleRecorder."""
    return compiled(IdleRecorder, **options)


def compiled(kind, fail_at=None, **options):
    """Return a compiled model of this kind."""
    model = kind(fail_at)
    model.compile(keras.optimizers.SGD(1e-9), "mse", weighted_metrics=[], run_eagerly=True, **options)
    return model


class StopAt(keras.callbacks.Callback):
    """Stops training inside an epoch."""

    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.batch:
            self.model.stop_training = True
