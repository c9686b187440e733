"""Invertible maps: blocks with an inverse, and networks that are run backwards to save memory."""
