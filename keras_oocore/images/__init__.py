"""Reads one image file into an array."""
