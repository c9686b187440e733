"""Folders of pictures: BSDS500, any other, and what may be trained or tuned on."""
