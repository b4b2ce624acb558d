"""The packed store: rows of fixed-shape arrays on disk."""
