"""What a checkpoint contains: variables, optimizer, callbacks and random states, and the files that store them."""
