"""What all other folders use: errors, files, locks, records, sizes and text. It knows nothing about data sets."""
