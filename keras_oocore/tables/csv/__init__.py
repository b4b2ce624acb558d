"""CSV files as one table."""
