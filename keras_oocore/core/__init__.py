"""What every room stands on: errors, files, locks, sizes and text. It knows no data."""
