"""Fixtures of the tests of batches."""

import pytest

from keras_oocore.batches import loader as batch_loader


@pytest.fixture(autouse=True)
def no_thread_is_left():
    """All threads of a test end after it."""
    yield
    for loader in list(batch_loader._loaders):
        for thread in loader.abandon():
            thread.wait()
            assert not thread.is_alive()
