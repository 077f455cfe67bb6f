"""Tables: how a concluded frame is laid out and printed."""
