"""A mark for tests that compare with TensorFlow, which only the pass of the tests of models on TensorFlow imports."""

import os

import pytest

# Next to `@pytest.mark.backend`, with which that pass finds the test. conftest.py hides TensorFlow from other backends.
needs_tensorflow = pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow", reason="runs with the tests of models on TensorFlow"
)
