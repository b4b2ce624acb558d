"""Tables of any file format: features, statistics, rows and stored rows."""
