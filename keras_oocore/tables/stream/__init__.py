"""Streams of rows, which can be read only once, as a table."""
