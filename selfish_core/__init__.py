"""Sparse training of recurrent language models: the science, without Ray, MLflow or a network."""
