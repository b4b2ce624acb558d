"""Stands for TensorFlow where it is not installed: see tests/hidden_packages.py."""

raise ImportError("The tests of this backend run without TensorFlow: tests/hidden_packages.py.")
