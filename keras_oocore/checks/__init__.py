"""Finds bad files and copies before training."""
