"""Planning, launching and tracking sweeps, and the `selfish` command."""
