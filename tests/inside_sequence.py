"""The one place where tests look inside a Sequence: what was planned, which threads run, how far ahead they are.

Everything else that tests use is public. If the inside of a Sequence changes, only these functions follow.
"""

import weakref

from keras_oocore.batches import loader as batch_loader


def planned(sequence, epoch, batch_index):
    """The samples that the order of the Sequence has for this batch, as a list of integers."""
    return sequence._pipeline.maker.planned(epoch, batch_index).tolist()


def members(sequence):
    """The samples that the Sequence can read, in no particular order."""
    return sequence._pipeline.order.members().tolist()


def epoch(sequence):
    """The epoch that the Sequence reads now, or reads next."""
    return sequence._pass.number


def row_shape(sequence):
    return sequence._format.shape


def row_dtype(sequence):
    """The dtype of rows as they are stored."""
    return sequence._source.spec.dtype


def batch_bytes(sequence):
    return sequence._format.batch_bytes


def num_idle_buffers(sequence):
    return sequence._pipeline.maker.pool.num_idle


def threads(sequence):
    """The loader threads of this Sequence that are running, as a set of its own."""
    return set(sequence._pipeline.loader._threads)


def max_batches_ahead(sequence):
    return sequence._pipeline.loader.max_ahead


def wait_for_batches_ahead(sequence):
    """Wait until every batch that was started ahead is complete; returns how many there are."""
    return len([future.result(timeout=300) for future in list(sequence._pipeline.loader._ahead.values())])


def loader_reference(sequence):
    """A weak reference, for tests that the loader does not outlive its Sequence."""
    return weakref.ref(sequence._pipeline.loader)


def keep_idle_threads(monkeypatch):
    """Idle threads end after a while by themselves; here they do not."""
    monkeypatch.setattr(batch_loader, "IDLE_SECONDS", 600)


def assert_consistent(sequence):
    """The loader makes batches of the Sequence that it belongs to, also in a copy."""
    assert sequence._pipeline.maker is sequence._pipeline.loader.make_job.__self__


def cache(sequence):
    """The `Cached` source that a Sequence of files reads through, or `None`."""
    return sequence._cached


def samples(sequence):
    """The source of a Sequence with labels, without labels and cache."""
    return sequence._data.source
