"""The packed store: rows of arrays of fixed shapes on disk."""
