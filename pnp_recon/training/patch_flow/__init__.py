"""Training of patch flows: likelihood of noisy patches of few pictures."""
