"""One image, from its file into an array."""
