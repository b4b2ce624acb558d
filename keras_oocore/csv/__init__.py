"""The rows and cells of one CSV file."""
