"""Stands for TensorFlow where it is not installed. Keras imports it for seconds, on any backend."""

raise ImportError("The tests of this backend run without TensorFlow: tests/conftest.py.")
