"""Figures of docs/images and of the README."""
