"""Stored networks at work: a trial's best weights, their scores on a split, and the probabilities of sentences."""
