"""Draws figures for notebooks."""
