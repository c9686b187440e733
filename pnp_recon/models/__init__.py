"""Trained models: cards and weights, exported, stored, loaded, verified."""
