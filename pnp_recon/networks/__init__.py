"""Networks: layers whose norms are proven, and what is built of them."""
