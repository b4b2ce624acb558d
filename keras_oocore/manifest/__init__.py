"""Which samples exist: filenames, labels and classes as one record."""
