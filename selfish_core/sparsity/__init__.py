"""Masks and how they change: distributions, schedules, removal, regrowth, the updater."""
