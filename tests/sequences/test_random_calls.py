"""Random sequences of calls: `fit`, `evaluate`, `predict`, loops that break, partitions, early stops, steps and states.

Whatever is called, each call reads the batches of the plan that follow, and a new call begins a new pass. The only
exception is a call that was stopped after at most two batches of a pass, which may begin that pass again.
"""

import random
import warnings

import keras
import pytest
from recording import IdleRecorder, numbered, planned

BATCH_SIZE = 3
CALLS = ("fit", "fit", "evaluate", "predict", "loop", "loop", "new model")
pytestmark = pytest.mark.backend


class Given(IdleRecorder):
    """Records the samples of `evaluate` as well."""

    def test_step(self, *args):
        x, _, _ = keras.utils.unpack_x_y_sample_weight(args[-1])
        self.given += keras.ops.convert_to_numpy(x)[:, 0].astype(int).tolist()
        return super().test_step(*args)


class Watcher(keras.callbacks.Callback):
    """Stops the training after some batches, and takes the state after some batches of the first epoch."""

    def __init__(self, sequence, stop_after, state_after):
        super().__init__()
        self.sequence, self.stop_after, self.state_after = sequence, stop_after, state_after
        self.num_batches, self.state = 0, None

    def on_train_batch_end(self, batch, logs=None):
        self.num_batches += 1
        if self.num_batches == self.state_after:
            self.state = self.sequence.state_dict(batches=batch + 1)
        if self.num_batches == self.stop_after:
            self.model.stop_training = True


class Driver:
    """Makes random calls, and knows which batches each of them should read.

    Args:
        seed: Seed of the calls.
    """

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.options = dict(
            num_samples=self.random.randint(4 * BATCH_SIZE, 9 * BATCH_SIZE),
            batch_size=BATCH_SIZE,
            workers=self.random.choice([0, 1, 2]),
            shuffle=self.random.choice([True, True, False, "block"]),
        )
        self.part = self.random.choice([None, None, 0, 1])
        if self.part is not None:
            self.options["num_samples"] *= 2
        self.sequence = self.fresh()
        self.places = [(0, 0)]  # where the next call may begin: a pass and a batch
        self.new_model()

    def fresh(self):
        sequence = numbered(**self.options)
        return sequence if self.part is None else sequence.partition(2)[self.part]

    def new_model(self):
        self.model = Given()
        self.model.compile(keras.optimizers.SGD(1e-9), "mse", run_eagerly=True)

    def stream(self, place, num_passes):
        """The samples of `num_passes` passes, the first of which begins at `place`."""
        number, start = place
        return planned(self.sequence, *range(number, number + num_passes))[start * BATCH_SIZE :]

    def begun_at(self, given, num_passes):
        """Check that samples are those of the plan that follow. Return where they may begin.

        That is more than one place if passes are equal (`shuffle=False`) and the last call may have been a build step.
        """
        places = [place for place in self.places if given == self.stream(place, num_passes)[: len(given)]]
        if not places:
            raise AssertionError(f"given {given}, expected {[self.stream(place, num_passes) for place in self.places]}")
        return places

    def at(self, place, num_batches):
        """The pass and batch that follow `num_batches` batches after a place."""
        return divmod(place[0] * len(self.sequence) + place[1] + num_batches, len(self.sequence))

    def call(self, name):
        if name == "new model":
            return self.new_model()
        if name == "loop":
            return self.loop()
        if name == "fit":
            return self.fit()
        self.model.given = []
        if name == "evaluate":
            self.model.evaluate(self.sequence, verbose=0)
            given = self.model.given
        else:
            self.model(keras.ops.zeros((1, 1)))
            self.model.dense.kernel.assign([[1.0]])
            self.model.dense.bias.assign([0.0])
            given = self.model.predict(self.sequence, verbose=0)[:, 0].round().astype(int).tolist()
        places = self.begun_at(given, 1)
        assert len(given) in [len(self.stream(place, 1)) for place in places]
        self.places = [(number + 1, 0) for number, _ in places]

    def loop(self):
        taken, with_state = self.random.randint(1, len(self.sequence)), self.random.random() < 0.4
        given, state = [], None
        for num_batches, (x, _) in enumerate(self.sequence, 1):
            given += x[:, 0].astype(int).tolist()
            if num_batches == taken:
                state = self.sequence.state_dict() if with_state else None
                break
        places = self.begun_at(given, 1)
        self.places = [(number + 1, 0) for number, _ in places]
        if state is not None:
            self.resume(state, [self.at(place, taken) for place in places])

    def fit(self):
        epochs, length = self.random.randint(1, 2), len(self.sequence)
        steps = self.random.choice([None, None, 1, 2, self.random.randint(1, length + 2)])
        stop = self.random.choice([None, None, self.random.randint(1, 2 * length)])
        watcher = Watcher(self.sequence, stop, self.random.choice([None, None, self.random.randint(1, length)]))
        self.model.given = []
        self.model.fit(self.sequence, epochs=epochs, steps_per_epoch=steps, callbacks=[watcher], verbose=0)
        given = self.model.given
        places, states, self.places = self.begun_at(given, epochs + 1), [], []
        for place in places:
            self.places += self.after_fit(place, epochs, steps, stop, watcher.num_batches)
            rest = length - place[1]
            if watcher.state is not None and watcher.state_after <= min(steps or rest, rest):
                states.append(self.at(place, watcher.state_after))
        if states:
            self.resume(watcher.state, states)

    def after_fit(self, place, epochs, steps, stop, num_batches):
        """Check how many batches `fit` read from a place. Return where the next call may begin."""
        length = len(self.sequence)
        rest = length - place[1]
        wanted = rest + (epochs - 1) * length if steps is None else min(epochs * steps, rest)
        assert num_batches >= min(wanted, stop or wanted)
        assert steps or num_batches <= wanted
        last = self.at(place, num_batches - 1)  # the last batch that was given
        of_last_pass = num_batches if last[0] == place[0] else last[1] + 1
        following = [(last[0] + 1, 0)]
        if stop and num_batches == stop and of_last_pass <= 2:
            following.append(place if last[0] == place[0] else (last[0], 0))
        return following

    def resume(self, state, places):
        assert (state["epoch"], state["batches"]) in places
        if self.random.random() < 0.5:
            self.sequence = self.fresh()
        self.sequence.load_state_dict(state)
        self.places = [(state["epoch"], state["batches"])]


def drive(seed, num_calls=6):
    driver, called = Driver(seed), []
    for _ in range(num_calls):
        called.append(driver.random.choice(CALLS))
        try:
            driver.call(called[-1])
        except Exception as error:
            error.add_note(f"seed={seed}, {driver.options}, part={driver.part}, calls={called}")
            raise


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(s, marks=pytest.mark.one_backend) for s in range(4, 12))])
def test_random_calls_read_each_pass_in_the_order_of_the_plan(seed):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Your input ran out of data")
        drive(seed)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_random_calls_read_each_pass_in_the_order_of_the_plan():
    first = random.SystemRandom().randrange(10**9)
    print(f"seeds {first} to {first + 199}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Your input ran out of data")
        for seed in range(first, first + 200):
            drive(seed)
