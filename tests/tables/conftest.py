"""Fixtures for tests of tables."""

from csv_outcomes import check, folder
from houses import make_rows

__all__ = ["check", "folder", "make_rows"]
