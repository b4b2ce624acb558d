"""The ground floor: errors, files, locks, records, sizes and text. It knows nothing about data sets."""
