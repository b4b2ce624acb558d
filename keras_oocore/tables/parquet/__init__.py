"""Parquet files as a table."""
