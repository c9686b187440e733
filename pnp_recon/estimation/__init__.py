"""What is estimated from a picture: noise and motion."""
