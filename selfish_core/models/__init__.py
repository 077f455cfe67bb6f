"""Recurrent language models, one architecture a file."""
