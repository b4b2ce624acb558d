"""Stands for a package that is not installed: see tests/hidden_packages.py."""

raise ImportError("Tests of models and child processes run without this package: tests/hidden_packages.py.")
