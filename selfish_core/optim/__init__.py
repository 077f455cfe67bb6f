"""Optimizers, plain and averaged, and what a mask update does to their state."""
