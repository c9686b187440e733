"""Networks as discretised flows: field × integrator × steps → `Flow`, and what is proven of it."""
