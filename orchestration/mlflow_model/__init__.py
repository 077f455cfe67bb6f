"""What MLflow keeps of a sweep's best network: the code that loads and serves it."""
