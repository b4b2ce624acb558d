"""DataFrames, tables and arrays in memory as a table."""
