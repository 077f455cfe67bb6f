"""Corpora: where their text comes from, how it is verified, how it becomes batches."""
