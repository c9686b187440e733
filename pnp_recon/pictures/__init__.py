"""Picture files and pictures as tensors: decoding, encoding, colour, quality, sheets."""
