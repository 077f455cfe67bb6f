"""Architectures without torch: for each its config and the name, shape, gates and units of every parameter."""
