"""Predictions beside the names of their rows, in memory or in a file."""
