"""CSV files as a table."""
