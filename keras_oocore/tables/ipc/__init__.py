"""Feather and Arrow IPC files as a table."""
