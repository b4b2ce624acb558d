"""Tables, whatever file they are in: features, statistics and rows."""
