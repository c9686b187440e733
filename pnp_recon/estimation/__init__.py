"""What is estimated from a picture: noise, clipping, motion, and whether a result is sound."""
