"""Fixtures for tests of tables."""

from csv_outcomes import check, folder

__all__ = ["check", "folder"]
