"""Sweeps: from a YAML spec to resolved trials; the shipped specs lie beside this file."""
