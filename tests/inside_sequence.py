"""The only place where tests access private parts of a Sequence: its plan, its threads, and its batches made ahead.

Everything else that tests use is public. If the internals of a Sequence change, only these functions change.
"""

import weakref

import loader_jobs

from keras_oocore.batches import loader as batch_loader
from keras_oocore.sources.cached import Cached


def planned(sequence, epoch, batch_index):
    """The samples of this batch, as a list of integers."""
    return sequence._pipeline.maker.planned(epoch, batch_index).tolist()


def members(sequence):
    """The samples of the Sequence, in ascending order."""
    return sequence._pipeline.order.members().tolist()


def epoch(sequence):
    """Number of the current or next epoch."""
    return sequence._pass.number


def row_shape(sequence):
    return sequence._format.shape


def row_dtype(sequence):
    """Dtype of rows before they are converted."""
    return sequence._source.spec.dtype


def batch_bytes(sequence):
    return sequence._format.batch_bytes


def num_idle_buffers(sequence):
    return sequence._pipeline.maker.pool.num_idle


def threads(sequence):
    """The loading threads of this Sequence that are running, as a new set."""
    return set(sequence._pipeline.loader._crew.threads)


def max_batches_ahead(sequence):
    return sequence._pipeline.loader.max_ahead


def wait_for_batches_ahead(sequence):
    """Wait until all batches that were started ahead are complete. Return their number."""
    return loader_jobs.wait_for_batches_ahead(sequence._pipeline.loader)


def loader_reference(sequence):
    """A weak reference to the loader, for tests that it is deleted with its Sequence."""
    return weakref.ref(sequence._pipeline.loader)


def keep_idle_threads(monkeypatch):
    """Let idle threads wait, instead of ending after a short time."""
    monkeypatch.setattr(batch_loader, "IDLE_SECONDS", 600)


def assert_consistent(sequence):
    """Check that the loader makes batches of its own Sequence, also in a copy."""
    assert sequence._pipeline.maker is sequence._pipeline.loader.make_job.__self__


def cache(sequence):
    """The `Cached` source that a Sequence of files reads through, or `None`."""
    return sequence._cached


def samples(sequence):
    """The source of a Sequence with labels, without labels and cache."""
    return sequence._data.source


def source(sequence):
    """The source that a Sequence reads from."""
    return sequence._source


def window_chunks(sequence):
    """Number of chunks whose rows are shuffled together, for a Sequence of rows of CSV files."""
    return sequence._pipeline.order.window_chunks


def batches_per_job(sequence):
    return sequence._pipeline.maker.batches_per_job


def parsed_rows(sequence):
    """The `ChunkCache` of parsed rows, for a Sequence of rows of CSV files."""
    return sequence._rows._chunk_cache


def record_decoded(monkeypatch):
    """Return a list of the samples that are decoded through a cache from now on."""
    decoded, read_and_store = [], Cached._read_and_store

    def recorded(source, store, samples, out):
        decoded.extend(samples.tolist())
        return read_and_store(source, store, samples, out)

    monkeypatch.setattr(Cached, "_read_and_store", recorded)
    return decoded


def num_passes_with_skipped_samples(sequence):
    """Number of passes of which the Sequence knows the samples that were skipped or replaced."""
    return len(sequence._pipeline.maker.served_instead)
