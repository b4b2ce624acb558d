"""Stands for a package that is not installed: see tests/hidden_packages.py."""

raise ImportError("Child processes of tests run without this package: tests/hidden_packages.py.")
