"""How the contracts read Sequences: in loops, in child processes, and from a state on."""

import concurrent.futures
import functools
import json
import multiprocessing
import threading
import weakref

import pytest

from keras_oocore.batches.pool import BufferPool

TIMEOUT = 300  # seconds until a child process has surely failed, also on a busy machine


def read_batches(sequence, indices):
    """The batches with these indices, outside an epoch. Child processes call it too."""
    return [sequence[index] for index in indices]


def as_bytes(batches):
    return [[array.tobytes() for part in batch for array in arrays_of(part)] for batch in batches]


def arrays_of(part):
    """The arrays of a part of a batch, which may be a dictionary."""
    return part.values() if isinstance(part, dict) else [part]


def add_noise(x, y, rng):
    """A transform that pickles. It changes all inputs."""
    if isinstance(x, dict):
        return {name: add_noise(values, None, rng)[0] for name, values in x.items()}, y
    return x + rng.random(x.shape).astype("float32"), y


# Child processes


def read_into_pipe(sequence, indices, pipe):
    pipe.send(read_batches(sequence, indices))


def read_in_a_fork(sequence, indices):
    """The batches as a forked child process reads them."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=read_into_pipe, args=(sequence, indices, sender), daemon=True)
    child.start()
    sender.close()
    try:
        assert receiver.poll(TIMEOUT), "the forked child hangs"
        batches = receiver.recv()
        child.join(TIMEOUT)
        assert child.exitcode == 0
    finally:
        child.kill()
    return batches


@functools.cache
def spawned_process():
    """A process that shares nothing with this one. It has no backend, because reading does not need one."""
    executor = concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "numpy")
        executor.submit(int).result(timeout=TIMEOUT)
    return executor


# Threads and memory


def loader_threads():
    return {thread for thread in threading.enumerate() if thread.name == "keras_oocore-loader"}


def counted_leases(monkeypatch):
    """How many batch buffers are in use from here on, and the largest number so far."""
    count, lock, lease = {"now": 0, "most": 0}, threading.RLock(), BufferPool.lease

    def change(step):
        with lock:
            count["now"] += step
            count["most"] = max(count["most"], count["now"])

    def counted(pool):
        lent = lease(pool)
        change(1)
        weakref.finalize(lent, change, -1).atexit = False
        return lent

    monkeypatch.setattr(BufferPool, "lease", counted)
    return count


# Position


def saved(sequence, **options):
    """The state as it comes back from a file: small, and made of plain values."""
    state = sequence.state_dict(**options)
    text = json.dumps(state)
    assert len(text) < 2000
    assert json.loads(text) == state
    return json.loads(text)


def given_and_states(sequence, num_epochs):
    """The bytes of each batch of these epochs, and the state before the first batch and after each batch."""
    given, states = [], [saved(sequence)]
    for _ in range(num_epochs):
        for batch in sequence:
            given += as_bytes([batch])
            states.append(saved(sequence))
    return given, states


def resumed(make, state, num_batches):
    """The bytes of the batches that a new Sequence gives from this state on, in whole loops, and the Sequence."""
    sequence = make(seed=None)
    num_batches_per_epoch = len(sequence)
    sequence.load_state_dict(state)
    given = []
    while len(given) < num_batches:
        given += as_bytes(sequence)
    assert sequence.seed == state["seed"]
    assert len(sequence) == num_batches_per_epoch
    return given, sequence


def assert_resumes_everywhere(make):
    """A new Sequence gives the same bytes as the first one, to the end of the next epoch.

    It begins at each batch of an epoch, and at some of the next one.
    """
    first = make()
    num_batches = len(first)
    given, states = given_and_states(first, 2)
    given += as_bytes(first)
    assert [(state["epoch"], state["batches"]) for state in states] == [
        divmod(used, num_batches) for used in range(2 * num_batches + 1)
    ]
    for used in sorted({*range(num_batches + 2), 2 * num_batches}):
        stop = min(used // num_batches + 2, 3) * num_batches
        tail, again = resumed(make, states[used], stop - used)
        assert tail == given[used:stop]
        assert saved(again) == (states[stop] if stop < len(states) else saved(first))


def assert_rejects(sequence, state, error, message):
    """Loading the state is an error, and the Sequence keeps its position."""
    before = sequence.state_dict()
    with pytest.raises(error, match=message):
        sequence.load_state_dict(state)
    assert sequence.state_dict() == before
