"""The verbs of the `selfish` command, a few a file; each imports what is heavy when it is called."""
