"""Stored runs, back as tidy frames and tables."""
