"""Trains models end to end on datasets that are included in scikit-learn."""
