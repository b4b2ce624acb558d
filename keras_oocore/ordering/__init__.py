"""Which sample comes k-th in epoch e: integers only, no Keras."""
