"""The sections of `scripts.accelerator.check`, one a module."""
