"""An extension of Selfish: two scores, a method of them, and an architecture."""
