"""Losses, metrics, optimizers, schedulers, regularizers: each kind has one registry."""
