"""Columns of Arrow types as the cells of a table: Parquet files, Arrow files, and tables in memory."""
