"""Random changes of images in the loading threads."""
