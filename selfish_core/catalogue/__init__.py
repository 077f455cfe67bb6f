"""What exists: methods, scores, architectures, optimizers and corpora, as torch-free data."""
