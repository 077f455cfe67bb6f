"""The training loop, evaluation and checkpoints: where models, sparsity, optim and data meet."""
