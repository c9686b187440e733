"""A denoiser applied again and again: which DnCNN breaks the picture; `__main__` is the front."""
