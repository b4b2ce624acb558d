"""Fixtures of the tests that train."""

import os

import pytest
import training_child


@pytest.fixture(scope="module")
def fast_training():
    """Do not wait for the disk, which a simulated kill does not need, nor for torch threads that other tests delay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield from training_child.one_thread()
