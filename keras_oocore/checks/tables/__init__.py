"""Finds copies of rows, leaks and useless columns in tables before training."""
