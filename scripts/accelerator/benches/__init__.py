"""The sections of `scripts.accelerator.bench`, one a module."""
