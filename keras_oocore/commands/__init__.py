"""The commands of the terminal: each does what a few lines of a notebook do."""
