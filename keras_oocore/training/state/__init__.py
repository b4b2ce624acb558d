"""What a checkpoint holds: variables, optimizer, callbacks and random states."""
