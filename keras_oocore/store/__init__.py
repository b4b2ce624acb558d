"""Rows of arrays on disk: the packed store."""
