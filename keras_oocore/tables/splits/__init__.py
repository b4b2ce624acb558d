"""Splits: which part of a split each row of a table belongs to. They know no file and no Sequence."""
