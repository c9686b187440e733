"""A deep unrolled CT network that is run backwards: memory, time, and what depth is worth."""
